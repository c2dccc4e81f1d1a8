"""Where learners stand, and what the platform has in all. All but SETTINGS can be rebuilt from attempts.

PK <board>#<part>#<level>#<prefix>   SK NODE                    a node of the rank tree: n<digit> counters
PK <board>#<shard>                   SK <inverted score>#mem_…  the entries, best first
PK mem_…                             SK BOARD#<board>           the score that the learner is entered with
PK mem_…                             SK COUNTED                 what of the learner is in the totals
PK mem_…                             SK SETTINGS                whether, and since when, to be on leaderboards
PK TOTALS#<0..63>                    SK TOTALS                  the platform's totals, in parts
"""

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from pynamodb.attributes import BooleanAttribute, NumberAttribute, UnicodeAttribute
from pynamodb.expressions.operand import Path
from pynamodb.expressions.update import Action

from chalicelib.core.clock import epoch
from chalicelib.core.store import RawItem, Stale, Table, Transaction, connection, table
from chalicelib.standings import ranks
from chalicelib.standings.boards import Board
from chalicelib.standings.ranks import HIGHEST, Node

COUNTED = ("learners", "answers", "lessons_completed", "courses_completed", "study_ms")
_PARTS = 64
_WIDTH = len(str(HIGHEST))


class NodeItem(Table):
    class Meta:
        table_name = table("standings")

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True, default="NODE")
    expires_at = NumberAttribute(null=True)


class EntryItem(Table):
    class Meta:
        table_name = table("standings")

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    institution_id = UnicodeAttribute()
    expires_at = NumberAttribute(null=True)

    @property
    def score(self) -> int:
        return HIGHEST - int(self.sk.partition("#")[0])

    @property
    def learner_id(self) -> str:
        return self.sk.partition("#")[2]


class PlaceItem(Table):
    """`score` is None once the learner was taken off the board. `version` orders concurrent writers."""

    class Meta:
        table_name = table("standings")

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    score = NumberAttribute(null=True)
    version = NumberAttribute(default=0)
    expires_at = NumberAttribute(null=True)

    @property
    def board(self) -> str:
        return self.sk.removeprefix("BOARD#")


class CountedItem(Table):
    """`entered_at`: when something of the learner was entered last."""

    class Meta:
        table_name = table("standings")

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True, default="COUNTED")
    learners = NumberAttribute(default=0)
    answers = NumberAttribute(default=0)
    lessons_completed = NumberAttribute(default=0)
    courses_completed = NumberAttribute(default=0)
    study_ms = NumberAttribute(default=0)
    entered_at = NumberAttribute(null=True)
    version = NumberAttribute(default=0)


class SettingsItem(Table):
    class Meta:
        table_name = table("standings")

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True, default="SETTINGS")
    leaderboards = BooleanAttribute(default=True)
    since = UnicodeAttribute(null=True)


class TotalsItem(Table):
    class Meta:
        table_name = table("standings")

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True, default="TOTALS")


# Reads


@dataclass(frozen=True)
class Setting:
    """Whether a learner is shown on leaderboards; `since` when again, a local day, after having left them."""

    leaderboards: bool
    since: date | None = None

    def shows(self, board: Board) -> bool:
        """Boards that were over by then stay as they are."""
        over = self.since is not None and board.span.last is not None and board.span.last < self.since
        return self.leaderboards and not over


def setting_of(learner_id: str) -> Setting:
    try:
        item = SettingsItem.get(learner_id, "SETTINGS", consistent_read=True)
    except SettingsItem.DoesNotExist:
        return Setting(leaderboards=True)
    return Setting(bool(item.leaderboards), date.fromisoformat(item.since) if item.since else None)


def keep_setting(learner_id: str, setting: Setting) -> None:
    since = setting.since.isoformat() if setting.since else None
    SettingsItem(learner_id, leaderboards=setting.leaderboards, since=since).save()


def all_places_of(learner_id: str) -> list[PlaceItem]:
    """Every board that the learner is on; past ones are kept for two months."""
    found = PlaceItem.query(learner_id, PlaceItem.sk.startswith("BOARD#"), consistent_read=True)
    return [place for place in found if place.score is not None]


def places_of(learner_id: str, boards: Iterable[Board]) -> tuple[CountedItem, dict[str, PlaceItem]]:
    """What of the learner is counted, and its place on each board, by the board's name. One call."""
    boards = list(boards)
    keys = [(learner_id, "COUNTED"), *((learner_id, f"BOARD#{board.name}") for board in boards)]
    found = _batch_get(keys)

    def row(model: type[Any], sk: str) -> Any:
        raw = found.get((learner_id, sk))
        return model.from_raw_data(dict(raw)) if raw else model(learner_id, sk)

    places = {board.name: row(PlaceItem, f"BOARD#{board.name}") for board in boards}
    return row(CountedItem, "COUNTED"), places


def entered_at(learner_id: str) -> int:
    """When something of the learner was entered last, in epoch seconds."""
    try:
        return int(CountedItem.get(learner_id, "COUNTED").entered_at or 0)
    except CountedItem.DoesNotExist:
        return 0


def score_of(learner_id: str, board: Board) -> int | None:
    """The score that the learner is entered with."""
    _, places = places_of(learner_id, [board])
    score = places[board.name].score
    return None if score is None else int(score)


def counters_of(board: Board, scores: Iterable[int]) -> dict[Node, dict[int, int]]:
    """The counters that the ranks of these scores need, summed over the parts. A call per 100 nodes."""
    nodes = sorted(ranks.nodes_of(scores) | {(0, 0)})
    keys = [(_node_key(board, part, node), "NODE") for part in board.parts for node in nodes]
    found = _batch_get(keys, consistent=False)
    summed: dict[Node, dict[int, int]] = {node: {} for node in nodes}
    for part in board.parts:
        for node in nodes:
            raw = found.get((_node_key(board, part, node), "NODE"), {})
            for name, value in raw.items():
                if name[0] == "n":
                    digit = int(name[1:])
                    summed[node][digit] = summed[node].get(digit, 0) + int(value["N"])
    return summed


def entries(
    board: Board, limit: int, *, beyond: tuple[int, str] | None = None, upwards: bool = False
) -> list[EntryItem]:
    """The next entries from the top, or from a learner's own place (score, id); one query per shard."""
    found: list[EntryItem] = []
    for shard in board.shards if limit else ():
        condition = None
        if beyond is not None:
            own = _entry_key(*beyond)
            condition = EntryItem.sk < own if upwards else EntryItem.sk > own
        found += EntryItem.query(
            f"{board.name}#{shard}", condition, limit=limit, scan_index_forward=not upwards
        )
    return sorted(found, key=lambda entry: entry.sk, reverse=upwards)[:limit]


def totals() -> dict[str, int]:
    """The platform's totals. One call."""
    found = _batch_get([(f"TOTALS#{part}", "TOTALS") for part in range(_PARTS)], consistent=False)
    return {name: sum(int(raw[name]["N"]) for raw in found.values() if name in raw) for name in COUNTED}


def _batch_get(keys: Sequence[tuple[str, str]], *, consistent: bool = True) -> dict[tuple[str, str], RawItem]:
    name = NodeItem.Meta.table_name
    found: dict[tuple[str, str], RawItem] = {}
    for start in range(0, len(keys), 100):
        wanted: list[RawItem] = [{"pk": {"S": pk}, "sk": {"S": sk}} for pk, sk in keys[start : start + 100]]
        while wanted:
            request = {"RequestItems": {name: {"Keys": wanted, "ConsistentRead": consistent}}}
            answer = connection().dispatch("BatchGetItem", request)
            found |= {(item["pk"]["S"], item["sk"]["S"]): item for item in answer["Responses"].get(name, [])}
            wanted = answer.get("UnprocessedKeys", {}).get(name, {}).get("Keys", [])
    return found


# Writes


def if_still_shown(transaction: Transaction, learner_id: str) -> None:
    """Do not enter who left leaderboards in this very moment: `Stale`."""
    shown = SettingsItem.pk.does_not_exist() | (SettingsItem.leaderboards == True)  # noqa: E712
    transaction.check(SettingsItem, learner_id, "SETTINGS", shown)


def move(
    transaction: Transaction,
    board: Board,
    learner_id: str,
    institution_id: str,
    place: PlaceItem,
    score: int | None,
) -> None:
    """Enter the learner with this score, or take it off the board. `Stale` if another did so meanwhile."""
    before = None if place.score is None else int(place.score)
    expires_at = None if board.expires_at is None else epoch(board.expires_at)
    for node, counters in ranks.moves(before, score).items():
        actions: list[Action] = [Path(f"n{digit}").add(count) for digit, count in counters.items()]
        if expires_at is not None:
            actions.append(NodeItem.expires_at.set(expires_at))
        transaction.update(NodeItem(_node_key(board, board.part_of(learner_id), node)), actions)
    of_shard = f"{board.name}#{board.shard_of(learner_id)}"
    if before is not None:
        transaction.delete(EntryItem(of_shard, _entry_key(before, learner_id)))
    if score is not None:
        entry = EntryItem(of_shard, _entry_key(score, learner_id))
        entry.institution_id, entry.expires_at = institution_id, expires_at
        transaction.put(entry)
    place.score, place.expires_at = score, expires_at
    _put_next(transaction, place)


def count(
    transaction: Transaction, counted: CountedItem, now_counted: Mapping[str, int], now: datetime
) -> None:
    """Add to the platform's totals what of the learner is not in them yet. `Stale` as above."""
    added = {name: now_counted[name] - int(getattr(counted, name)) for name in COUNTED}
    actions: list[Action] = [Path(name).add(number) for name, number in added.items() if number]
    if not actions:
        return
    part = zlib.crc32(counted.pk.encode()) % _PARTS
    transaction.update(TotalsItem(f"TOTALS#{part}"), actions)
    for name in COUNTED:
        setattr(counted, name, now_counted[name])
    counted.entered_at = epoch(now)
    _put_next(transaction, counted)


def forget(learner_id: str) -> None:
    """Delete a learner's own rows; the setting stays, which keeps it off the boards."""
    with PlaceItem.batch_write() as batch:
        for place in PlaceItem.query(learner_id, PlaceItem.sk.startswith("BOARD#"), consistent_read=True):
            batch.delete(place)
        batch.delete(CountedItem(learner_id))


def _put_next(transaction: Transaction, item: PlaceItem | CountedItem) -> None:
    model, version = type(item), int(item.version)
    unchanged = model.version == version if version else model.pk.does_not_exist()
    item.version = version + 1
    transaction.put(item, unchanged, Stale())


def _node_key(board: Board, part: int, node: Node) -> str:
    return f"{board.name}#{part}#{node[0]}#{node[1]}"


def _entry_key(score: int, learner_id: str) -> str:
    return f"{HIGHEST - score:0{_WIDTH}}#{learner_id}"
