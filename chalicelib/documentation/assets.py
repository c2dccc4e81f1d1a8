"""The files that the pages load, under names that change with their content, so that browsers keep them.

The names have no dots: they are path parameters, and those take none.
"""

import hashlib
from functools import cache
from pathlib import Path
from typing import NamedTuple

from chalicelib.core.errors import NotFound

SCALAR = "scalar-1.46.4.js"
START = "start.js"
STYLE = "style.css"
_FOLDER = Path(__file__).with_name("static")
_MEDIA_TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8"}


class Asset(NamedTuple):
    """One file as it is sent."""

    text: str
    media_type: str


@cache
def name(file: str) -> str:
    """The address of a file under `/docs/assets/`: `start-3f9a2c51d0be`."""
    digest = hashlib.sha256((_FOLDER / file).read_bytes()).hexdigest()
    return f"{Path(file).stem.replace('.', '-')}-{digest[:12]}"


def asset(address: str) -> Asset:
    """The file at an address. Raises `NotFound`, also for an earlier content of it."""
    for file in (SCALAR, START, STYLE):
        if name(file) == address:
            return _read(file)
    raise NotFound("file")


@cache
def _read(file: str) -> Asset:
    path = _FOLDER / file
    return Asset(path.read_bytes().decode(), _MEDIA_TYPES[path.suffix])
