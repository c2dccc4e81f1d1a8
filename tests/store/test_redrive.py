"""Dead letters are shown, and moved back to their queue, on a real one."""

import json

import pytest

from infra.redrive import move, show
from tests.store.conftest import System

QUEUE = "talktiko-local-webhook-recoveries"


@pytest.mark.usefixtures("empty_queues")
def test_dead_letters_are_shown_and_moved_back(system: System, capsys: pytest.CaptureFixture[str]) -> None:
    sqs = system.cloud.client("sqs")
    dead = sqs.get_queue_url(QueueName=f"{QUEUE}-dead-letters")["QueueUrl"]
    for n in range(12):
        sqs.send_message(QueueUrl=dead, MessageBody=f'{{"n":{n}}}', MessageGroupId=f"g{n % 2}")
    assert show(sqs, QUEUE) == 12
    shown = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert sorted(json.loads(one["body"])["n"] for one in shown) == list(range(12))
    assert system.messages("webhook-recoveries") == [], "showing moves nothing"
    assert move(sqs, QUEUE) == 12
    assert sorted(json.loads(one["Body"])["n"] for one in system.messages("webhook-recoveries")) == list(
        range(12)
    )
    assert show(sqs, QUEUE) == 0
