"""The commands that compare and rebuild what follows from answers, against the running system."""

import os
import subprocess
import sys

import pytest

from infra.local.cloud import REPOSITORY
from tests.conftest import LocalCloud
from tests.system.client import Client


def run(local_cloud: LocalCloud, what: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "infra.rebuild", what],
        cwd=REPOSITORY,
        env={
            "PATH": os.defpath,
            "PORT": str(local_cloud.cloud.port),
            "STATE_DIR": str(local_cloud.cloud.state),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def answer_something(learner: Client) -> None:
    item = learner.call("GET", "/api/trainingItems?type=multiple_choice").body["data"][0]
    body = {"answer": None, "duration_ms": 1000}
    solution = learner.call("POST", f"/api/trainingItems/{item['id']}/attempts", body)
    body = {"answer": solution.body["data"]["attempt"]["correct_answer"], "duration_ms": 1000}
    assert learner.call("POST", f"/api/trainingItems/{item['id']}/attempts", body).status == 201


def test_every_learners_numbers_follow_from_its_answers(local_cloud: LocalCloud, learner: Client) -> None:
    answer_something(learner)
    assert run(local_cloud, "verify") == "0 learners differ\n"


@pytest.mark.proof
def test_a_rebuild_leaves_the_boards_as_they_were(local_cloud: LocalCloud, learner: Client) -> None:
    """Answers given meanwhile are entered afterwards: the worker takes up its work again."""
    answer_something(learner)
    assert "entered anew" in run(local_cloud, "rebuild")
    stats = learner.call("GET", "/api/gamification/stats").body["data"]
    board = learner.call("GET", "/api/gamification/leaderboard?period=all").body["data"]
    assert board["you"]["xp"] == stats["xp"]
    mapping = local_cloud.client("lambda").list_event_source_mappings(
        FunctionName="talktiko-local-refresh-standings"
    )["EventSourceMappings"]
    assert [one["State"] for one in mapping] == ["Enabled"]
