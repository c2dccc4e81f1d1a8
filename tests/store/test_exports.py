"""An export whose message was lost."""

import pytest

from chalicelib.exports.worker import make_export, sweep_exports
from tests.store.conftest import System


@pytest.mark.usefixtures("empty_queues")
def test_a_job_whose_message_was_lost_is_woken_and_made(system: System, school: str) -> None:
    body = {"email": "owner@lingua-school.example", "password": "demo-owner-1", "institution_id": school}
    token = system.call("POST", "/api/auth/sign-in", body).body["data"]["token"]
    made = system.call("POST", "/api/integrations/exports", {"type": "activity"}, token=token)
    assert made.status == 201, made.body
    assert system.messages("exports"), "which nobody gets"

    system.tick(sweep_exports)
    assert system.messages("exports") == [], "it is not overdue yet"
    system.later(3600)
    system.tick(sweep_exports)
    system.work(make_export, system.messages("exports"))

    export = system.call("GET", f"/api/integrations/exports/{made.body['data']['id']}", token=token)
    assert export.body["data"]["status"] == "completed"
