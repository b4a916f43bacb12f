"""The rules that a device keeps: what it drops, where it stands, what it asks for."""

from __future__ import annotations

from typing import Any

from tests.faults.positions import Positions
from tests.faults.recorder import Ahead, Delivered, Diary, Dropped, Skipped, Stood

CHANNEL = "session:s"


def standing(offset: int = 0, epoch: str = "a.1") -> tuple[Positions, Diary]:
    diary = Diary("d")
    positions = Positions(diary, [CHANNEL])
    positions.hear({"type": "reply", "channels": {CHANNEL: {"offset": offset, "epoch": epoch}}})
    return positions, diary


def message(offset: int, **fields: Any) -> dict[str, Any]:
    return {"type": "n", "channel": CHANNEL, "offset": offset, "id": f"m{offset}"} | fields


def test_it_asks_to_come_in_once_and_again_when_refused() -> None:
    positions = Positions(Diary("d"), [CHANNEL])
    (first,) = positions.wants()

    assert first["action"] == "join_session" and "recover" not in first
    assert positions.wants() == []
    positions.hear({"type": "error", "ref": first["id"], "code": "unavailable"})
    assert positions.wants() == [first]
    positions.hear({"type": "reply", "channels": {CHANNEL: {"offset": 4, "epoch": "a.1"}}})
    assert positions.is_whole and positions.recover() == {CHANNEL: {"offset": 4, "epoch": "a.1"}}


def test_it_drops_what_is_old_and_remembers_the_last() -> None:
    positions, diary = standing(2)

    for offset in (3, 3, 2, 4):
        positions.hear(message(offset))

    assert [type(event) for event in diary.events] == [Stood, Delivered, Dropped, Dropped, Delivered]
    assert positions.recover() == {CHANNEL: {"offset": 4, "epoch": "a.1", "id": "m4"}}


def test_it_takes_nothing_behind_a_hole_before_that_is_filled() -> None:
    positions, diary = standing()

    positions.hear(message(1))
    positions.hear(message(3))
    positions.hear(message(4))
    (question,) = positions.wants()
    positions.hear({"type": "reply", "channels": {CHANNEL: {"offset": 4, "epoch": "a.1", "recovered": True}}})
    for offset in (2, 3, 4):
        positions.hear(message(offset))

    assert question["recover"] == {CHANNEL: {"offset": 1, "epoch": "a.1", "id": "m1"}}
    assert [event.offset for event in diary.events if isinstance(event, Delivered)] == [1, 2, 3, 4]
    assert [event.offset for event in diary.events if isinstance(event, Ahead)] == [3, 4]
    assert positions.is_whole


def test_a_stand_in_counts_like_a_message() -> None:
    positions, diary = standing()

    positions.hear({"type": "skipped", "channel": CHANNEL, "offset": 1})
    positions.hear(message(2))

    assert [type(event) for event in diary.events] == [Stood, Skipped, Delivered]


def test_a_new_master_that_goes_on_changes_the_epoch_alone() -> None:
    positions, diary = standing(7)

    positions.hear({"type": "epoch_changed", "channel": CHANNEL, "offset": 7, "epoch": "a.2", "recovered": True})
    positions.hear(message(8))

    assert diary.events[-1] == Delivered(diary.events[-1].when, CHANNEL, "m8", 8, "a.2")


def test_a_history_that_is_gone_makes_it_begin_anew() -> None:
    positions, diary = standing(7)

    positions.hear({"type": "epoch_changed", "channel": CHANNEL, "offset": 1, "epoch": "b.2", "recovered": False})
    positions.hear(message(2))

    assert [type(event) for event in diary.events] == [Stood, Stood, Delivered]
    assert positions.recover() == {CHANNEL: {"offset": 2, "epoch": "b.2", "id": "m2"}}


def test_a_careless_one_takes_everything() -> None:
    diary = Diary("d")
    positions = Positions(diary, [CHANNEL], checks=False)
    positions.hear({"type": "reply", "channels": {CHANNEL: {"offset": 0, "epoch": "a.1"}}})

    for offset in (1, 1, 3):
        positions.hear(message(offset))

    assert [event.offset for event in diary.events if isinstance(event, Delivered)] == [1, 1, 3]
