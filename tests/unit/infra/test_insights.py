"""The queries' language, on rows as log lines make them."""

from typing import Any

import pytest

from infra.grouping import Row
from infra.insights import NotUnderstood, parse

ROWS: list[Row] = [
    {"@timestamp": "2026-11-25 12:00:00.000", "host": "a.example", "code": 200, "ms": 10, "who": "mia"},
    {"@timestamp": "2026-11-25 12:00:01.000", "host": "a.example", "code": 503, "ms": 40, "who": "noah"},
    {"@timestamp": "2026-11-25 12:00:02.000", "host": "b.example", "ms": 20},
    {"@timestamp": "2026-11-25 12:00:03.000", "@message": "START RequestId"},
    {"@timestamp": "2026-11-25 12:00:04.000", "host": "b.example", "code": 200, "ms": 30},
]


def run(text: str) -> list[dict[str, Any]]:
    return [dict(row) for row in parse(text).run(ROWS)]


def milliseconds(condition: str) -> list[int]:
    return [row["ms"] for row in run(f"fields ms | filter {condition}")]


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ('host = "a.example"', [10, 40]),
        ("host = 'a.example' and code = 200", [10]),
        ('host = "b.example" or code = 503', [40, 20, 30]),
        ("code = 200", [10, 30]),
        ("code != 200", [40]),
        ('who != "mia"', [40]),
        ("code >= 200 and code < 300", [10, 30]),
        ("ms > 10 and ms <= 30", [20, 30]),
        ('code in [503, 200] and who in ["mia", "noah"]', [10, 40]),
        ('host like "a."', [10, 40]),
        (r"host like /^b\.ex/", [20, 30]),
        ('who like "" and not who = "mia"', [40]),
        ("code = 503 or code = 200 and ms = 30", [40, 30]),
        ("(code = 503 or code = 200) and ms = 30", [30]),
        ("not (code = 200 or code = 503) and ms > 0", [20]),
    ],
)
def test_a_filter_keeps_what_it_says(condition: str, found: list[int]) -> None:
    assert milliseconds(condition) == found


def test_numbers_are_compared_as_numbers_and_texts_as_texts() -> None:
    rows: list[Row] = [{"code": "200"}, {"code": 200}, {"code": "many"}]
    assert len(parse("fields code | filter code = 200").run(rows)) == 2
    assert len(parse('fields code | filter code = "200"').run(rows)) == 2
    assert len(parse("fields code | filter code > 9").run(rows)) == 2


def test_what_a_row_lacks_is_not_shown_and_meets_no_condition() -> None:
    shown = run("fields host, code | filter ms = 20")
    assert shown == [{"host": "b.example"}]
    assert milliseconds("code != 1") == [10, 40, 30]


def test_stats_count_by_groups() -> None:
    text = """
        filter ms > 0
        | stats count(*) as n, avg(ms) as mean, max(ms) as longest, latest(code) as last,
                count_distinct(code) as codes by host
        | sort longest desc
    """
    assert run(text) == [
        {"host": "a.example", "n": 2, "mean": 25, "longest": 40, "last": 503, "codes": 2},
        {"host": "b.example", "n": 2, "mean": 25, "longest": 30, "last": 200, "codes": 1},
    ]


@pytest.mark.parametrize(("share", "value"), [(0, 10), (25, 10), (50, 20), (75, 30), (76, 40), (99, 40)])
def test_a_percentile_is_the_value_at_its_rank(share: int, value: int) -> None:
    assert run(f"stats pct(ms, {share}) as p") == [{"p": value}]


def test_stats_of_nothing() -> None:
    assert run('filter host = "none" | stats count(*) as n, max(ms) as m') == [{"n": 0}]
    assert run('filter host = "none" | stats count(*) as n by host') == []


def test_a_group_may_lack_what_it_is_grouped_by() -> None:
    found = run('filter host like "" | stats count(*) as n by code | sort n desc')
    assert found == [{"code": 200, "n": 2}, {"code": 503, "n": 1}, {"n": 1}]


def test_rows_are_put_in_an_order_and_cut() -> None:
    assert [row["ms"] for row in run("fields ms | filter ms > 0 | sort ms desc | limit 2")] == [40, 30]
    assert [row["ms"] for row in run("fields ms | filter ms > 0 | sort ms asc | limit 1")] == [10]
    found = run("fields @timestamp, ms | sort @timestamp desc | limit 1")
    assert found == [{"@timestamp": "2026-11-25 12:00:04.000", "ms": 30}]


def test_a_comment_says_nothing() -> None:
    assert run("# what\nfields ms # which | limit 0\n| filter code = 503 # why") == [{"ms": 40}]


def test_a_text_may_hold_what_begins_a_comment_or_a_command() -> None:
    rows: list[Row] = [{"a": "x#y"}, {"a": "x|y"}, {"a": "x"}]
    assert parse('fields a | filter a = "x#y"').run(rows) == [{"a": "x#y"}]
    assert parse('fields a | filter a like "|"').run(rows) == [{"a": "x|y"}]


def test_it_tells_which_fields_of_a_line_it_reads() -> None:
    query = parse("fields a | filter b = 1 | stats count(*) as n, pct(c, 5) as p by d | sort n desc")
    assert query.read == {"a", "b", "c", "d"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "word is expected"),
        ("filter ms > 0", "shows nothing"),
        ("fields ms | parse @message '*' as x", "command parse is not known"),
        ("fields ms | display ms", "command display is not known"),
        ("fields ms |", "word is expected"),
        ("fields ms | filter", "word is expected"),
        ("fields ms | filter ms", "a comparison is expected"),
        ("fields ms | filter ms =", "text is expected"),
        ("fields ms | filter ms = other", "text is expected"),
        ("fields ms | filter ms =~ /x/", "cannot be read"),
        ("fields ms | filter (ms = 1", ") is expected"),
        ("fields ms | filter ms in [1, 2", "] is expected"),
        ("fields ms | filter host like host", "text is expected"),
        ("fields ms | filter ispresent(ms)", "a comparison is expected"),
        ("fields ms | sort ms", "asc is expected"),
        ("fields ms | limit many", "number is expected"),
        ("fields ms ms", "| is expected"),
        ("stats count(*)", "as is expected"),
        ("stats count(ms) as n", "* is expected"),
        ("stats stddev(ms) as s", "stddev() is not known"),
        ("stats count(*) as n by bin(5m)", "| is expected"),
        ("stats count(*) as n | sort ms desc", "After stats there is no ms"),
        ("stats count(*) as n | fields n", "no other fields"),
        ("stats count(*) as n | stats max(n) as m", "second stats"),
        ("fields strlen(host) as n", "| is expected"),
        ('fields ms | filter host = "open', "cannot be read"),
    ],
)
def test_what_is_not_known_is_refused_and_named(text: str, told: str) -> None:
    with pytest.raises(NotUnderstood) as refused:
        parse(text)
    assert told in str(refused.value)
