"""Files of exports as other programs read them: pandas, DuckDB, LibreOffice."""

import csv
import io
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.store.conftest import System
from tests.store.exporting import SPAN, new_school

pytestmark = [pytest.mark.proof, pytest.mark.usefixtures("empty_queues")]

HOSTILE = [
    'Ana "la Profe"', "a;b,c\td", "zwei\r\nZeilen", "-2+3+cmd|' /C calc'!A0", "=1+1", "@SUM(A1)",
    "+49 30 1234", "'quoted", "Müller-Łódź ñ", "日本語", "👩\u200d🏫", "0012", "1e5", "NULL", "nan",
    "  spaces  ", "TRUE", "2026-05-01",
]  # fmt: skip
"""Texts that a reader may take for something else, lose or run."""


@pytest.fixture(params=[",", ";", "\t"], ids=["comma", "semicolon", "tab"])
def delimiter(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def file(system: System, tmp_path: Path, delimiter: str) -> Path:
    """An export whose texts are hostile."""
    school = new_school(system)
    items = school.attempts(5 * len(HOSTILE))
    for number, item in enumerate(items):
        item["item_type"] = {"S": HOSTILE[number % len(HOSTILE)]}
        item["score"] = {"N": "-0.5"}
    school.write(items)
    job = school.until_done(school.ask(type="activity", filters=SPAN, format={"delimiter": delimiter}))
    path = tmp_path / "export.csv"
    path.write_bytes(school.file(job))
    return path


def expected(file: Path, delimiter: str) -> list[list[str]]:
    text = file.read_bytes().decode("utf-8-sig")
    found = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    assert len(found) == 1 + 5 * len(HOSTILE)
    kinds = {row[found[0].index("item_type")].removeprefix("'") for row in found[1:]}
    assert kinds == set(HOSTILE)
    return found


def test_pandas_reads_what_was_written(file: Path, delimiter: str) -> None:
    import pandas

    frame = pandas.read_csv(file, sep=delimiter, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    assert [list(frame.columns), *frame.to_numpy().tolist()] == expected(file, delimiter)


def test_duckdb_reads_what_was_written(file: Path, delimiter: str) -> None:
    import duckdb

    read = duckdb.execute(
        "SELECT * FROM read_csv(?, delim = ?, header = true, all_varchar = true, nullstr = '\\0')",
        [str(file), delimiter],
    )
    columns, rows = [one[0] for one in read.description or []], read.fetchall()
    found = [[cell or "" for cell in row] for row in rows]
    assert [columns, *found] == expected(file, delimiter)


def test_libreoffice_reads_what_was_written_and_runs_none_of_it(file: Path, delimiter: str) -> None:
    """Opened as a person opens it, with every column as it comes; and once more with all of them as texts."""
    office = shutil.which("soffice")
    if office is None:
        pytest.skip("wants LibreOffice (Debian: libreoffice-calc-nogui)")
    written = expected(file, delimiter)
    as_texts = "/".join(f"{number}/2" for number in range(1, len(written[0]) + 1))
    for columns in ("", as_texts):
        read = f"CSV:{ord(delimiter)},34,76,1,{columns},0,false,true"
        subprocess.run(
            [office, f"-env:UserInstallation=file://{file.parent}/office", "--headless", f"--infilter={read}",
             "--convert-to", "fods", "--outdir", str(file.parent), str(file)],
            check=True, capture_output=True, timeout=300,
        )  # fmt: skip
        sheet = file.with_suffix(".fods").read_text()
        assert "table:formula" not in sheet
    assert cells(sheet, len(written[0])) == [
        [cell.replace("\r\n", "\n") for cell in row] for row in written
    ], "its cells know LF only"


def cells(sheet: str, width: int) -> list[list[str]]:
    """The texts of a flat OpenDocument sheet."""
    table, text = (f"{{urn:oasis:names:tc:opendocument:xmlns:{name}:1.0}}" for name in ("table", "text"))
    found = []
    for row in ElementTree.fromstring(sheet).iter(f"{table}table-row"):  # noqa: S314 (made a moment ago)
        shown: list[str] = []
        for cell in row.iter(f"{table}table-cell"):
            content = "\n".join(_text(part, text) for part in cell.iter(f"{text}p"))
            shown += [content] * min(int(cell.get(f"{table}number-columns-repeated", "1")), width)
        if any(shown):
            found.append(shown[:width])
    return found


def _text(part: ElementTree.Element, text: str) -> str:
    """A paragraph; runs of spaces and tabs are elements of their own."""
    content = part.text or ""
    for inner in part:
        if inner.tag == f"{text}s":
            content += " " * int(inner.get(f"{text}c", "1"))
        elif inner.tag == f"{text}tab":
            content += "\t"
        else:
            content += _text(inner, text)
        content += inner.tail or ""
    return content
