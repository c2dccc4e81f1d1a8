"""Files that a spreadsheet opens without running them, and a CSV reader reads back whole."""

import csv
import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chalicelib.core import csv_file

STARTS = "=+-@\t\r\n＝＋－＠"
CELLS = st.text(st.characters(exclude_categories=["Cs"]))
HOSTILE = st.builds(str.__add__, st.sampled_from([*STARTS, "'", "''", '"', ";", ""]), CELLS)


def read(file: bytes, delimiter: str = ",") -> list[list[str]]:
    return list(csv.reader(io.StringIO(file.decode("utf-8-sig"), newline=""), delimiter=delimiter))


def test_quotes_delimiters_and_line_ends_stay_in_their_cell() -> None:
    row = ['Ana "la Profe"', "a;b\r\nc", "d\re", "f\ng", "h,i", "j"]
    for delimiter in (",", ";", "\t"):
        file = csv_file.lines([row, row], delimiter)
        assert b'"Ana ""la Profe"""' in file
        assert b'"a;b\r\nc"' in file
        assert b'"d\re"' in file
        assert read(file, delimiter) == [row, row]


def test_rows_end_with_crlf() -> None:
    assert csv_file.lines([["a", "b"], ["c", ""]], ",") == b"a,b\r\nc,\r\n"


@pytest.mark.parametrize(
    "value", ["-2+3+cmd|' /C calc'!A0", "=1+1", "@x", "+49 30 1234", "\t=1", "\r=1", "\n=1", "＝1", "'x"]
)
def test_what_a_spreadsheet_would_run_is_made_a_text(value: str) -> None:
    assert csv_file.text(value) == "'" + value


@pytest.mark.parametrize("value", ["", "Ana", " =1", "1-2", "a@b", "mem_01KAXG7Y0000000000000000A1"])
def test_any_other_text_stays_as_it_is(value: str) -> None:
    assert csv_file.text(value) == value


@given(st.one_of(CELLS, HOSTILE))
@example("'=1")
@example("''")
def test_dropping_one_apostrophe_gives_the_original(value: str) -> None:
    cell = csv_file.text(value)
    assert not cell.startswith(tuple(STARTS))
    assert cell.removeprefix("'") == value


@given(st.lists(st.lists(st.one_of(CELLS, HOSTILE), min_size=3, max_size=3)), st.sampled_from(",;\t"))
def test_a_reader_finds_every_cell_again(rows: list[list[str]], delimiter: str) -> None:
    made = [[csv_file.text(cell) for cell in row] for row in rows]
    file = csv_file.beginning(["a", "b", "c"], delimiter, bom=True)
    file += b"".join(csv_file.lines([row], delimiter) for row in made)
    assert read(file, delimiter) == [["a", "b", "c"], *made]


PLAIN = st.text("ab1;,\t -", max_size=3)


@given(
    st.lists(st.lists(st.one_of(PLAIN, HOSTILE), min_size=2, max_size=3)), st.sampled_from([",", ";", "\t"])
)
@example([["a", "b"]], ",")
@example([["a", "b,"], ["c"]], ",")
@example([["", ""], ["\r", "\n"]], ",")
def test_the_short_way_gives_the_bytes_of_the_csv_module(rows: list[list[str]], delimiter: str) -> None:
    expected = io.StringIO(newline="")
    csv.writer(expected, delimiter=delimiter, lineterminator="\r\n").writerows(rows)
    assert csv_file.lines(rows, delimiter) == expected.getvalue().encode()


def test_the_byte_order_mark_stands_once_or_not_at_all() -> None:
    rows = csv_file.lines([["Müller"]], ",")
    marked = csv_file.beginning(["name"], ",", bom=True) + rows
    assert marked == b"\xef\xbb\xbfname\r\nM\xc3\xbcller\r\n"
    assert csv_file.beginning(["name"], ",", bom=False) + rows == marked[3:]
