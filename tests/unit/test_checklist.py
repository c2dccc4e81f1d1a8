"""The security checklist is whole, and each of its tests is there."""

import ast
from functools import cache

import pytest

from infra.local.cloud import REPOSITORY
from tests.checklist import CHECKLIST, NOT_YET


def test_no_item_is_left_out() -> None:
    assert sorted(int(item.partition(".")[0]) for item in {**CHECKLIST, **NOT_YET}) == list(range(1, 27))


@pytest.mark.parametrize("item", CHECKLIST)
def test_every_item_has_its_tests(item: str) -> None:
    gone = [
        test for test in CHECKLIST[item] if test.partition("::")[2] not in _tests(test.partition("::")[0])
    ]
    assert gone == []
    assert CHECKLIST[item]


@cache
def _tests(path: str) -> frozenset[str]:
    file = REPOSITORY / path
    tree = ast.parse(file.read_text()) if file.exists() else ast.Module([], [])
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))
