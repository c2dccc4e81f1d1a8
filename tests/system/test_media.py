"""Recordings as a player in a browser fetches them: over plain HTTP, without a token."""

from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import miniaudio  # type: ignore[import-untyped]
import pytest

from infra.demo.courses import COURSES, load_course
from tests.system.client import Client


def fetch(url: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    request = Request(url, method=method, headers=sent, data=b"x" if method == "PUT" else None)
    try:
        with urlopen(request, timeout=30) as answer:
            return answer.status, {k.lower(): v for k, v in answer.headers.items()}, answer.read()
    except HTTPError as error:
        with error:
            return error.code, {k.lower(): v for k, v in error.headers.items()}, error.read()


@pytest.fixture(scope="module")
def dictation(learner: Client) -> dict[str, Any]:
    course = next(one for one in learner.rows("/api/courses?per_page=100") if one["slug"] == "german-a1")
    items = learner.rows("/api/trainingItems?type=dictation&per_page=100")
    return next(item for item in items if item["course_id"] == course["id"])


def test_a_dictation_is_heard_whole_and_lasts_as_long_as_its_words(dictation: dict[str, Any]) -> None:
    status, headers, sound = fetch(dictation["content"]["audio_url"])
    assert (status, headers["content-type"]) == (200, "audio/mpeg")
    assert headers["cache-control"] == "public, max-age=31536000, immutable"
    assert headers["accept-ranges"] == "bytes"
    entries = {entry.slug: entry for _, entry in load_course(COURSES / "german-a1").items()}
    spoken = entries[dictation["slug"]].spoken
    assert spoken is not None
    decoded = miniaudio.decode(sound, nchannels=1)
    seconds = decoded.num_frames / decoded.sample_rate
    assert 6 < len(spoken.text) / seconds < 20, "characters a second"
    assert max(decoded.samples) > 3000, "not silent"


def test_a_player_may_ask_for_a_part(dictation: dict[str, Any]) -> None:
    url = dictation["content"]["audio_url"]
    sound = fetch(url)[2]
    status, headers, part = fetch(url, Range="bytes=100-299")
    assert (status, headers["content-range"]) == (206, f"bytes 100-299/{len(sound)}")
    assert (headers["content-type"], part) == ("audio/mpeg", sound[100:300])
    status, headers, part = fetch(url, Range="bytes=-50")
    assert (status, part) == (206, sound[-50:])
    assert fetch(url, Range=f"bytes={len(sound)}-")[0] == 416


def test_a_player_may_look_first_and_keep_what_it_has(dictation: dict[str, Any]) -> None:
    url = dictation["content"]["audio_url"]
    sound = fetch(url)[2]
    status, headers, nothing = fetch(url, "HEAD")
    assert (status, int(headers["content-length"]), nothing) == (200, len(sound), b"")
    assert headers["content-type"] == "audio/mpeg"
    assert fetch(url, If_None_Match=headers["etag"])[0] == 304


def test_recordings_are_heard_not_listed_nor_changed_by_just_anyone(dictation: dict[str, Any]) -> None:
    url = dictation["content"]["audio_url"]
    bucket = url.rpartition("/")[0]
    for refused in (fetch(bucket), fetch(f"{bucket}?list-type=2")):
        assert refused[0] == 403
    for method in ("PUT", "DELETE"):
        assert fetch(url, method)[0] == 403
    assert fetch(url)[0] == 200
