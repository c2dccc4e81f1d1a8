"""The tour that `make run` ends with: the main job as an integrator walks it."""

import re

import pytest

from infra.local import tour
from tests.conftest import LocalCloud


def test_the_tour_walks_the_main_job(local_cloud: LocalCloud, capsys: pytest.CaptureFixture[str]) -> None:
    tour.walk(local_cloud.facts)
    told = capsys.readouterr().out
    assert "lesson 100 %" in told
    assert re.search(r"de \w+ +(not enough evidence|not proven|A1), from \d+ answers", told)
    assert "on this week's leaderboard with" in told
    assert "lesson.completed   attempt 2  signature verified, answered 200" in told
    assert "completed, " in told
    assert "learner_id,course_id" in told
