"""Speak what the demo courses need and `audio/` does not hold: `make audio`.

The voice is espeak-ng, a synthesiser small enough for any machine (Debian: apt install espeak-ng). What is
there already is left alone, be it spoken by a machine or by a person.
"""

import io
import shutil
import subprocess
import sys
import wave
from collections.abc import Sequence

import lameenc  # type: ignore[import-not-found]

from infra.demo.courses import BrokenCourse, load_course
from infra.demo.recordings import AUDIO, Line, Spoken, orphans
from infra.demo.validate import demo_folders, spoken_in

WORDS_A_MINUTE = 135
PAUSE_SECONDS = 0.4
"""Silence between two speakers, and after the last, whose end some players cut."""
KBIT_A_SECOND = 24


def speak(spoken: Spoken) -> bytes:
    """The lines, one after the other, as an mp3 file."""
    encoder: lameenc.Encoder | None = None
    encoded = b""
    for line in spoken.lines:
        rate, samples = _samples(line)
        encoder = encoder or _encoder(rate)
        encoded += encoder.encode(samples + bytes(2 * int(rate * PAUSE_SECONDS)))
    return encoded + (encoder.flush() if encoder else b"")


def _samples(line: Line) -> tuple[int, bytes]:
    """What one speaker says: the rate, and 16-bit mono samples."""
    command = ["espeak-ng", "-v", line.voice, "-s", str(WORDS_A_MINUTE), "--stdin", "--stdout"]
    done = subprocess.run(command, input=line.text.encode(), capture_output=True, check=True)
    with wave.open(io.BytesIO(done.stdout)) as sound:
        return sound.getframerate(), sound.readframes(sound.getnframes())


def _encoder(rate: int) -> lameenc.Encoder:
    encoder = lameenc.Encoder()
    encoder.set_channels(1)
    encoder.set_in_sample_rate(rate)
    encoder.set_bit_rate(KBIT_A_SECOND)
    encoder.set_quality(2)
    encoder.silence()
    return encoder


def missing(wanted: Sequence[Spoken]) -> list[Spoken]:
    """What has no file yet, each once."""
    return list({spoken.file_name: spoken for spoken in wanted if not spoken.path.exists()}.values())


def main() -> int:
    try:
        wanted = [spoken for folder in demo_folders() for spoken in spoken_in(load_course(folder))]
    except BrokenCourse as broken:
        print(broken, file=sys.stderr)
        return 1
    silent = missing(wanted)
    if silent and shutil.which("espeak-ng") is None:
        print("espeak-ng speaks the texts and is not installed: apt install espeak-ng", file=sys.stderr)
        return 1
    AUDIO.mkdir(exist_ok=True)
    for spoken in silent:
        spoken.path.write_bytes(speak(spoken))
        print(f"spoken: {spoken.file_name}")
    for file in orphans(wanted):
        print(f"no course uses {file.relative_to(AUDIO.parent)}: delete it, or put its text back")
    return 0


if __name__ == "__main__":
    sys.exit(main())
