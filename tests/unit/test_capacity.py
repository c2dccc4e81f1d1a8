"""Capacity units, by AWS's own examples."""

import pytest

from tests.capacity import Index, item_size, read_units, write_units


def test_an_item_is_its_names_and_values() -> None:
    assert item_size({"Name": {"S": "Zoë"}, "n": {"N": "27"}}) == 4 + 4 + 1 + 2
    assert item_size({"a": {"M": {"b": {"L": [{"BOOL": True}, {"NULL": True}]}}}}) == 1 + 3 + (1 + 1 + 3 + 4)
    assert item_size({"s": {"SS": ["ab", "c"]}, "b": {"B": "AAEC"}}) == 1 + 3 + 1 + 3
    assert item_size(None) == 0


@pytest.mark.parametrize(("number", "size"), [("0", 1), ("1234", 3), ("-1234", 4), ("100000", 2), ("0.5", 2)])
def test_a_number_takes_a_byte_for_two_digits(number: str, size: int) -> None:
    assert item_size({"n": {"N": number}}) == 1 + size


def test_reads_count_four_kib_begun_and_half_where_they_may_lag() -> None:
    assert [read_units(size, consistent=True) for size in (0, 4096, 4097)] == [1, 1, 2]
    assert read_units(8000, consistent=False) == 1


def test_writes_count_the_larger_of_before_and_after() -> None:
    small, large = {"pk": {"S": "x"}}, {"pk": {"S": "x" * 3000}}
    assert write_units(small, None) == write_units(None, None) == 1
    assert write_units(large, small) == write_units(small, large) == 3


def test_an_index_is_written_where_its_row_changes() -> None:
    index = Index(("state",), frozenset({"pk", "state"}))
    row = {"pk": {"S": "1"}, "state": {"S": "a"}}
    assert index.write_units(None, {"pk": {"S": "1"}}) == 0
    assert index.write_units(None, row) == index.write_units(row, None) == 1
    assert index.write_units(row, {**row, "other": {"S": "x"}}) == 0
    assert index.write_units(row, {**row, "state": {"S": "b"}}) == 2
