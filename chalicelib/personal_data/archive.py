"""An archive of what is held of a person: each table as JSON, for programs, and as CSV, for spreadsheets."""

import hashlib
import itertools
import tempfile
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import IO

from pydantic_core import from_json, to_json

from chalicelib.core import csv_file
from chalicelib.core.types import Held

_ROWS_AT_ONCE = 500
ABOUT = """Everything that Talktiko holds of one member of one institution, as of {at}.

Each table is there twice: as JSON, for programs, and as CSV (UTF-8), for spreadsheets. Times are in UTC.
A text that a spreadsheet would run as a formula begins with an extra ' in the CSV.
"""


def write(file: IO[bytes], held: Held, at: datetime) -> None:
    """Write the archive of these tables, at constant memory. Times in it are all `at`."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(_entry("about.txt", at), ABOUT.format(at=f"{at:%Y-%m-%d %H:%M} UTC"))
        for name, rows in held:
            with tempfile.TemporaryFile() as lines:
                columns = _spool(rows, lines)
                lines.seek(0)
                with archive.open(_entry(f"{name}.json", at), "w") as entry:
                    _as_json(lines, entry)
                lines.seek(0)
                with archive.open(_entry(f"{name}.csv", at), "w") as entry:
                    _as_csv(lines, columns, entry)


def sha256_of(file: IO[bytes]) -> str:
    file.seek(0)
    return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]


def _entry(name: str, at: datetime) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, at.timetuple()[:6])
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry


def _spool(rows: Iterable[Mapping[str, object]], lines: IO[bytes]) -> list[str]:
    """Write a line of JSON per row. The names of all columns, as they first come."""
    columns: dict[str, None] = {}
    for row in rows:
        columns |= dict.fromkeys(row)
        lines.write(to_json(dict(row)) + b"\n")
    return list(columns)


def _as_json(lines: Iterable[bytes], entry: IO[bytes]) -> None:
    before = b"[\n"
    for line in lines:
        entry.write(before + line.rstrip(b"\n"))
        before = b",\n"
    entry.write(b"[]\n" if before == b"[\n" else b"\n]\n")


def _as_csv(lines: Iterable[bytes], columns: Sequence[str], entry: IO[bytes]) -> None:
    entry.write(csv_file.beginning(columns, ",", bom=True) if columns else csv_file.BOM)
    several = iter(lines)
    while batch := list(itertools.islice(several, _ROWS_AT_ONCE)):
        rows = [[_cell(row.get(name)) for name in columns] for row in map(from_json, batch)]
        entry.write(csv_file.lines(rows, ","))


def _cell(value: object) -> str:
    match value:
        case None:
            return ""
        case str():
            return csv_file.text(value)
        case _:
            return to_json(value).decode()
