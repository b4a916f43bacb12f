"""Positions: what is new, what was seen, what is missing, and what the application is told."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.client.positions import MAX_CHANNELS, Positions
from fairlead.client.told import Recovery
from fairlead.errors import InvalidMessage
from fairlead.format.position import Position

OWN = "user:42"


def standing(offset: int = 5, epoch: str = "e.1", channel: str = OWN) -> Positions:
    return Positions({channel: Position(offset, epoch, f"m-{offset}")})


def changed(offset: int, epoch: str, *, recovered: bool) -> dict[str, Any]:
    return {"type": "epoch_changed", "channel": OWN, "offset": offset, "epoch": epoch, "recovered": recovered}


@given(st.lists(st.integers(1, 8), max_size=40))
def test_taken_is_every_offset_once_and_in_order(offsets: list[int]) -> None:
    positions = standing(0)
    positions.mending.add(OWN)

    taken = [offset for offset in offsets if positions.take(OWN, offset, f"m-{offset}") == "new"]

    assert taken == list(range(1, len(taken) + 1))
    assert positions.known()[OWN].offset == len(taken)


def test_a_message_further_on_moves_nothing() -> None:
    positions = standing(5)

    assert [positions.take(OWN, offset, "") for offset in (5, 7, 6, 7)] == ["seen", "hole", "new", "new"]


def test_what_does_not_come_when_it_was_asked_for_is_passed() -> None:
    positions = standing(5)

    assert positions.take(OWN, 7, "") == "hole"
    positions.mending.add(OWN)
    assert positions.take(OWN, 8, "") == "hole"
    positions.told({OWN: {"offset": 8, "epoch": "e.1", "recovered": True}})
    assert [positions.take(OWN, offset, "") for offset in (7, 8, 10)] == ["lost", "new", "hole"]


def test_the_first_message_of_a_channel_that_nothing_is_known_of_is_new() -> None:
    positions = Positions()

    assert positions.take("task:t1", 17, "m") == "new"
    assert positions.take("task:t1", 19, "m") == "hole"
    assert positions.known() == {}, "without an epoch nobody can go on from there"
    positions.broke()
    assert positions.take("task:t1", 30, "m") == "new"


def test_an_epoch_changes_alone_where_nothing_was_lost() -> None:
    positions = standing(5)

    assert positions.changed(changed(9, "e.2", recovered=True)) == Recovery(OWN, recovered=True)
    assert positions.known()[OWN] == Position(5, "e.2", "m-5")
    assert positions.changed(changed(2, "e.3", recovered=False)) == Recovery(OWN, recovered=False)
    assert positions.known()[OWN] == Position(2, "e.3", "")


@pytest.mark.parametrize(
    ("facts", "recovery", "known"),
    [
        ({"offset": 9, "epoch": "e.2", "recovered": True}, Recovery(OWN, True, 4), Position(5, "e.2", "m-5")),
        ({"offset": 9, "epoch": "e.2", "recovered": False}, Recovery(OWN, False), Position(9, "e.2", "")),
        ({"offset": 9, "epoch": "e.1"}, None, Position(5, "e.1", "m-5")),
        ({"recovered": False, "code": "forbidden"}, Recovery(OWN, False, 0, "forbidden"), None),
        ({"recovered": False}, Recovery(OWN, False), None),
    ],
    ids=["whole", "ran out", "heard already", "forbidden", "ephemeral"],
)
def test_what_a_greeting_says_of_a_channel(
    facts: dict[str, Any], recovery: Recovery | None, known: Position | None
) -> None:
    positions = standing(5)
    positions.wanted[OWN] = None
    positions.mending.add(OWN)

    assert positions.told({OWN: facts}) == ([recovery] if recovery else [])
    assert positions.known().get(OWN) == known
    assert positions.mending == set()
    assert (OWN in positions.wanted) == ("code" not in facts)


def test_where_only_the_gateway_knows_the_cursor_any_message_is_the_first() -> None:
    positions = Positions()

    assert positions.told({OWN: {"offset": 9, "epoch": "e.1", "recovered": True}}) == [Recovery(OWN, True)]
    assert positions.recover() == {}, "the cursor of the device still tells"
    assert positions.take(OWN, 7, "m-7") == "new"
    assert positions.known() == {OWN: Position(7, "e.1", "m-7")}


def test_what_was_asked_for_is_named_without_a_position_as_well() -> None:
    positions = standing(5)
    positions.wanted |= {"topic:t": None, OWN: None}

    assert positions.recover() == {
        OWN: {"offset": 5, "epoch": "e.1", "id": "m-5"},
        "topic:t": {"offset": 0, "epoch": ""},
    }
    assert positions.recover(["topic:t"]) == {}, "there is nothing to come back to yet"
    positions.forget(["topic:t", OWN])
    assert positions.recover() == {}


def test_channels_that_nobody_asked_for_are_not_remembered_without_end() -> None:
    positions = standing(5)
    positions.wanted["session:s1"] = None
    for number in range(3 * MAX_CHANNELS):
        positions.take(f"task:{number}", 1, "")

    assert len(positions._last) <= MAX_CHANNELS
    assert positions.take(OWN, 7, "") == "hole"
    assert positions.take("task:0", 5, "") == "new"


def test_positions_may_have_been_json() -> None:
    assert Positions({OWN: {"offset": 5, "epoch": "e.1"}}).known() == {OWN: Position(5, "e.1", "")}
    assert Positions(json.loads(json.dumps(standing(5).known()))).known() == standing(5).known()


@pytest.mark.parametrize(
    "given", [{}, {"offset": 1}, {"offset": "1", "epoch": "e"}, {"offset": -1, "epoch": "e"}, 5, [1], "ab"]
)
def test_what_is_no_position_is_refused(given: Any) -> None:
    with pytest.raises(InvalidMessage):
        Positions({OWN: given})
    with pytest.raises(InvalidMessage):
        Positions({"42": {"offset": 1, "epoch": "e"}})
