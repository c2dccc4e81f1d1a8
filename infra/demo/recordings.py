"""What is spoken in the demo courses, and the files in `audio/` that say it.

A file is named after its words and voices, so a text that changes wants a new file: `make audio` speaks what
is missing with a synthesiser. To put a person's recording in its place, overwrite the file under its name
(mp3, mono, 24 to 64 kbit/s); it is then left alone, as `make audio` makes only what is not there.
"""

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

import miniaudio  # type: ignore[import-untyped]
from pydantic import BaseModel, ConfigDict, Field

AUDIO = Path(__file__).parent / "audio"

_LONGEST_NAME = 40
_FASTEST, _SLOWEST = 30, 3
"""Characters a second: no one speaks faster, and who speaks more slowly has left a pause in the recording."""
_SILENCE = 4
"""Seconds that a recording may add before, between and after the words."""

Voice = Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z0-9]+)*(\+[mf][1-8])?$", max_length=20)]


class Line(BaseModel):
    """One speaker's words. A voice is a language, and a variant where several people speak: `de+f3`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    voice: Voice
    text: str = Field(min_length=1, max_length=500, pattern=r"[^\W_]")


class Spoken(BaseModel):
    """All that is heard in one recording, speaker after speaker."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    lines: tuple[Line, ...] = Field(min_length=1, max_length=12)

    @property
    def text(self) -> str:
        return "\n".join(line.text for line in self.lines)

    @property
    def file_name(self) -> str:
        """Readable by its first words, unique by the hash of all words and voices."""
        said = json.dumps([[line.voice, line.text] for line in self.lines])
        first = unicodedata.normalize("NFKD", self.lines[0].text.lower().replace("ß", "ss"))
        plain = re.sub(r"[^a-z0-9]+", "-", first.encode("ascii", "ignore").decode())
        return f"{plain[:_LONGEST_NAME].strip('-')}-{hashlib.sha256(said.encode()).hexdigest()[:8]}.mp3"

    @property
    def path(self) -> Path:
        return AUDIO / self.file_name


def recording_fault(spoken: Spoken) -> str | None:
    """What keeps this text from being heard; None where its file is there and can hold it."""
    try:
        seconds = miniaudio.mp3_get_info(spoken.path.read_bytes()).duration
    except FileNotFoundError:
        return f"audio/{spoken.file_name} is missing: make audio"
    except miniaudio.DecodeError:
        return f"audio/{spoken.file_name} is no mp3 file"
    length = len(spoken.text)
    if not length / _FASTEST <= seconds <= length / _SLOWEST + _SILENCE:
        return f"audio/{spoken.file_name} lasts {seconds:.1f} s: too short or too long for its text"
    return None


def orphans(wanted: Iterable[Spoken]) -> Iterator[Path]:
    """Files in `audio/` that no course names."""
    names = {spoken.file_name for spoken in wanted}
    return (file for file in sorted(AUDIO.glob("*")) if file.name not in names)
