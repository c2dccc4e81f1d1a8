"""What stands in an archive of personal data."""

import csv
import io
import json
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from chalicelib.core.store import Table
from chalicelib.core.types import Held
from chalicelib.learning import models
from chalicelib.personal_data import archive

AT = datetime(2026, 11, 25, 12, 30, 2, tzinfo=UTC)
ROWS: list[dict[str, Any]] = [
    {"id": "1", "name": 'Ana "la Profe"', "answer": ["um", {"a": 1}], "score": -0.5, "used": None},
    {"id": "2", "name": "=1+1", "answer": "'x", "score": 3, "late": True},
]


def held() -> Held:
    yield "people", iter(ROWS)
    yield "nothing", iter(())


def written(of: Held) -> zipfile.ZipFile:
    file = io.BytesIO()
    archive.write(file, of, AT)
    return zipfile.ZipFile(file)


def test_each_table_is_there_as_json_and_as_csv() -> None:
    found = written(held())
    assert found.testzip() is None
    assert found.namelist() == ["about.txt", "people.json", "people.csv", "nothing.json", "nothing.csv"]
    assert json.loads(found.read("people.json")) == ROWS
    assert json.loads(found.read("nothing.json")) == []
    file = found.read("people.csv")
    assert file.startswith(b"\xef\xbb\xbfid,name,answer,score,used,late\r\n")
    first, second = csv.DictReader(io.StringIO(file.decode("utf-8-sig"), newline=""))
    assert first == {
        "id": "1", "name": 'Ana "la Profe"', "answer": '["um",{"a":1}]', "score": "-0.5",
        "used": "", "late": "",
    }  # fmt: skip
    assert (second["name"], second["answer"], second["late"]) == ("'=1+1", "''x", "true")
    assert "2026-11-25 12:30 UTC" in found.read("about.txt").decode()


def test_the_same_data_of_the_same_time_is_the_same_archive() -> None:
    first, second = io.BytesIO(), io.BytesIO()
    for file in (first, second):
        archive.write(file, held(), AT)
    assert first.getvalue() == second.getvalue()
    assert archive.sha256_of(first) == archive.sha256_of(second)


def test_a_table_is_read_before_the_next_one_and_never_held() -> None:
    alive, most = 0, 0

    class Row(dict[str, object]):
        def __init__(self, number: int) -> None:
            nonlocal alive, most
            super().__init__(id=number)
            alive += 1
            most = max(most, alive)

        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    def several() -> Iterator[tuple[str, Iterator[Row]]]:
        for name in ("a", "b"):
            yield name, (Row(number) for number in range(5000))

    found = written(several())
    assert len(json.loads(found.read("b.json"))) == 5000
    assert most <= 2


def test_every_kind_of_row_of_a_learner_is_known() -> None:
    """One that is not could neither be exported nor erased."""
    table = models.LearnerItem.Meta.table_name
    of_learner = {model for model in Table.__subclasses__() if model.Meta.table_name == table}
    known = {of("ITEM#a") for of in models._OF_KIND.values()} | {
        of("ITEM#a#b") for of in models._OF_KIND.values()
    }
    assert of_learner == known
