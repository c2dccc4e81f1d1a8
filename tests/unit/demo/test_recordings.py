"""What is heard: how a course file says it, and the files that must be there."""

import shutil
from pathlib import Path
from typing import Any

import lameenc  # type: ignore[import-not-found]
import miniaudio  # type: ignore[import-untyped]
import pytest

from infra.demo import recordings
from infra.demo.courses import BrokenCourse, CourseFile, load_course
from infra.demo.recordings import Line, Spoken, recording_fault
from infra.demo.speak import speak
from infra.demo.validate import check, check_orphans, demo_folders, spoken_in
from tests.unit.demo.test_courses import written

LESSON = """
slug: heard-1
title: One
intro: Listen.
can_do: I can listen.
trainings:
  - slug: heard-1-a
    title: A
    items:
      - slug: heard-01
        type: listening
        skill: listening
        content:
          prompt: Listen.
          audio:
            - {voice: de+f3, text: "Der Zug fährt von Gleis drei."}
            - {text: "Danke!"}
          question: {type: multiple_choice, prompt: Which platform?, options: {a: "2", b: "3"}}
        key: {correct: b, explanation: "drei, three"}
        accepted: [{answer: b, score: 1}]
        rejected: [{answer: a, score: 0}]
      - slug: heard-02
        type: dictation
        skill: listening
        content: {prompt: Write it down., audio: Schöne Grüße!}
        key: {}
        accepted: [{answer: schöne grüsse, score: 1}]
        rejected: [{answer: Schöne, score: 0.5}]
      - slug: heard-03
        type: speaking_self_assessed
        skill: speaking
        content: {prompt: Greet., audio: Guten Tag!}
      - slug: heard-04
        type: flashcard
        skill: vocabulary
        content: {prompt: Turn it., front: the sister, back: die Schwester}
"""


@pytest.fixture
def audio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of recordings of the test's own."""
    folder = tmp_path / "audio"
    folder.mkdir()
    monkeypatch.setattr(recordings, "AUDIO", folder)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "heard").mkdir()
    return written(tmp_path / "heard", LESSON)


def silence(seconds: float) -> bytes:
    encoder = lameenc.Encoder()
    encoder.set_channels(1)
    encoder.set_in_sample_rate(22_050)
    encoder.set_bit_rate(24)
    encoder.silence()
    return bytes(encoder.encode(bytes(2 * int(22_050 * seconds))) + encoder.flush())


def record_all(course: CourseFile) -> None:
    for spoken in spoken_in(course):
        spoken.path.write_bytes(silence(len(spoken.text) / 12))


def test_what_is_heard_goes_into_content_and_key(folder: Path) -> None:
    course = load_course(folder, lambda spoken: f"https://cdn.example.org/{spoken.text[:3]}.mp3")
    heard, written_down, said, card = (entry.item for _, entry in course.items())
    assert heard.content.type == "listening"
    assert heard.content.audio_url == "https://cdn.example.org/Der.mp3"
    assert heard.content.question.type == "multiple_choice"
    assert [option.text for option in heard.content.question.options] == ["2", "3"]
    assert heard.key.type == "listening"
    assert (heard.key.transcript, heard.key.explanation) == (
        "Der Zug fährt von Gleis drei.\nDanke!",
        "drei, three",
    )
    assert heard.key.question.type == "multiple_choice"
    assert heard.key.question.correct == "b"
    assert written_down.key.type == "dictation"
    assert written_down.key.accept == ("Schöne Grüße!",)
    assert said.content.type == "speaking_self_assessed"
    assert said.content.model_answer == "Guten Tag!"
    assert card.content.type == "flashcard"
    assert card.content.audio_url is None


def test_what_learners_rate_themselves_needs_no_key_and_lists_no_answers(folder: Path) -> None:
    *_, card = (entry for _, entry in load_course(folder).items())
    assert [one.answer for one in (*card.accepted, *card.rejected)] == ["good", "easy", "again", "hard"]


def test_a_line_without_a_voice_is_said_in_the_language_of_the_course(folder: Path) -> None:
    first = next(spoken_in(load_course(folder)))
    assert [line.voice for line in first.lines] == ["de+f3", "de"]


def test_a_file_is_named_after_its_words_and_voices() -> None:
    def named(*lines: tuple[str, str]) -> str:
        return Spoken(lines=tuple(Line(voice=voice, text=text) for voice, text in lines)).file_name

    assert named(("de", "Schöne Grüße!")).startswith("schone-grusse-")
    names = {
        named(("de", "Guten Tag!")),
        named(("de", "Guten Tag.")),
        named(("de+f3", "Guten Tag!")),
        named(("de", "Guten Tag!"), ("de", "Hallo!")),
    }
    assert len(names) == 4


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("audio: Schöne Grüße!", "audio: {voice: Deutsch, text: Ja}", "heard-02 audio lines 0 voice"),
        ("audio: Schöne Grüße!", 'audio: "!"', "heard-02 audio lines 0 text"),
        ("audio: Schöne Grüße!", "audio: []", "heard-02 audio lines"),
        ("audio: Schöne Grüße!", "audio: Ja, audio_url: https://x.example/a.mp3", "Extra inputs"),
        ("key: {}", "key: {accept: [Liebe Grüße]}", 'what is spoken: "Schöne Grüße!" gets 0.5'),
        ("correct: b, explanation", "correct: c, explanation", "there is no option c"),
        ("question: {type: multiple_choice", "question: {type: dictation", "expected tags"),
    ],
)
def test_a_fault_in_what_is_heard_names_its_item(
    audio: Path, folder: Path, old: str, new: str, says: str
) -> None:
    assert old in LESSON
    record_all(load_course(folder))
    faults = check(written(folder, LESSON.replace(old, new, 1)))
    assert any(says in fault for fault in faults), faults


def test_every_recording_must_be_there_and_be_long_enough(audio: Path, folder: Path) -> None:
    course = load_course(folder)
    assert len([fault for fault in check(folder) if "is missing: make audio" in fault]) == 3
    record_all(course)
    assert check(folder) == []
    (greeting,) = (spoken for spoken in spoken_in(course) if spoken.text == "Guten Tag!")
    for recording, says in (
        (silence(0.1), "too short or too long"),
        (silence(9), "too short or too long"),
        (b"not a sound", "is no mp3 file"),
        (b"", "is no mp3 file"),
    ):
        greeting.path.write_bytes(recording)
        assert says in str(recording_fault(greeting))


def test_a_recording_that_no_course_uses_is_a_fault(audio: Path, folder: Path) -> None:
    course = load_course(folder)
    record_all(course)
    assert check_orphans([folder]) == []
    old = next(spoken_in(course)).path
    written(folder, LESSON.replace("von Gleis drei", "von Gleis vier"))
    assert check_orphans([folder]) == [f"{old}: no course uses this recording"]


def test_the_demo_courses_use_every_recording_that_is_kept() -> None:
    assert check_orphans(demo_folders()) == []


def test_the_recordings_stay_small() -> None:
    sizes = [file.stat().st_size for file in recordings.AUDIO.iterdir()]
    assert max(sizes) < 80_000
    assert sum(sizes) < 12_000_000


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng speaks: apt install espeak-ng")
def test_a_dialogue_is_spoken_line_after_line() -> None:
    def seconds(*texts: str) -> float:
        lines: Any = [{"voice": "de", "text": text} for text in texts]
        decoded = miniaudio.decode(speak(Spoken(lines=lines)), nchannels=1)
        assert max(decoded.samples) > 3000, "not silent"
        return float(decoded.num_frames / decoded.sample_rate)

    question, answer = "Wie heißen Sie?", "Mein Name ist Anna Berg."
    assert seconds(question, answer) == pytest.approx(seconds(question) + seconds(answer), abs=0.3)


def test_a_course_that_does_not_load_has_other_faults_first(audio: Path, folder: Path) -> None:
    (audio / "old.mp3").write_bytes(b"")
    written(folder, "just text")
    with pytest.raises(BrokenCourse):
        load_course(folder)
    assert check_orphans([folder]) == []
