"""A Python client generated from `openapi.json` works with the running system."""

import subprocess
import sys
from pathlib import Path

from tests.contract.clients import generate_python_client
from tests.system.client import Client

PROGRAM = """
import sys
from datetime import datetime

from talktiko_client import AuthenticatedClient
from talktiko_client.api.authentication import create_token, me
from talktiko_client.api.courses_and_content import list_courses, list_training_items
from talktiko_client.api.learning_progress import record_attempt
from talktiko_client.models import AttemptCreate, MultipleChoiceContent, TokenCreate, ValidationProblem

client = AuthenticatedClient(sys.argv[1], sys.argv[2])
print(me.sync(client=client).data.role)
print([course.cefr_level for course in list_courses.sync(client=client, language="de", level="A1").data][0])

(item, *_) = list_training_items.sync(client=client, type_="multiple_choice").data
assert isinstance(item.content, MultipleChoiceContent)
answer = AttemptCreate(answer=item.content.options[0].id, duration_ms=900)
recorded = record_attempt.sync(item.id, client=client, body=answer).data.attempt
assert isinstance(recorded.recorded_at, datetime)
print(recorded.item_id == item.id)

refused = create_token.sync(client=client, body=TokenCreate(name="", abilities=["progress:read"]))
assert isinstance(refused, ValidationProblem)
print(sorted(refused.errors.additional_properties))
"""


def test_a_program_reads_writes_and_is_refused(learner: Client, tmp_path: Path) -> None:
    generate_python_client(tmp_path)
    command = [sys.executable, "-c", PROGRAM, learner.base_url, str(learner.token)]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.stderr == ""
    assert ran.stdout.splitlines() == ["learner", "A1", "True", "['name']"]
