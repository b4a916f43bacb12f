"""Acknowledgements: several together, and again for what comes again."""

from __future__ import annotations

import asyncio
from typing import Any

from fairlead.client.acks import MAX_TOGETHER, REMEMBERED, Acks


class Asked:
    def __init__(self, *, automatic: bool = True) -> None:
        self.said: list[tuple[str, list[str]]] = []
        self.acks = Acks(lambda channel, ids: self.said.append((channel, ids)), automatic=automatic)

    def arrive(self, id: str, channel: str = "user:42", *, fine: bool = True, **more: Any) -> bool:
        """Whether it was shown."""
        frame = {"id": id, "channel": channel, "requires_ack": True, **more}
        if self.acks.is_copy(frame):
            return False
        self.acks.handled(frame, fine)
        return True


async def until(check: Any) -> None:
    async with asyncio.timeout(5):
        while not check():
            await asyncio.sleep(0.005)


async def test_those_that_come_together_are_acknowledged_together() -> None:
    asked = Asked()
    for number in range(3):
        asked.arrive(f"m-{number}")
    asked.arrive("m-9", "session:s1")
    await until(lambda: asked.said)

    assert asked.said == [("user:42", ["m-0", "m-1", "m-2"]), ("session:s1", ["m-9"])]


async def test_a_frame_carries_no_more_than_it_may() -> None:
    asked = Asked()
    for number in range(MAX_TOGETHER + 1):
        asked.arrive(f"m-{number}")
    asked.acks.flush()

    assert [len(ids) for _, ids in asked.said] == [MAX_TOGETHER, 1]


async def test_a_copy_is_acknowledged_and_not_shown() -> None:
    asked = Asked()
    shown = [asked.arrive("m-1"), asked.arrive("m-1", attempt=2)]
    asked.acks.flush()
    shown.append(asked.arrive("m-1", attempt=3))
    asked.acks.flush()

    assert shown == [True, False, False]
    assert asked.said == [("user:42", ["m-1"])] * 2


async def test_what_a_handler_failed_at_is_not_acknowledged_and_may_be_shown_again() -> None:
    asked = Asked()
    first = asked.arrive("m-1", fine=False)
    asked.acks.flush()
    said = list(asked.said)

    assert (first, said, asked.arrive("m-1", attempt=2)) == (True, [], True)
    asked.acks.flush()
    assert asked.said == [("user:42", ["m-1"])]


async def test_what_is_acknowledged_by_hand_is_not_acknowledged_by_itself() -> None:
    asked = Asked(automatic=False)
    frame = {"id": "m-1", "channel": "user:42"}
    asked.arrive("m-1")
    copy = asked.arrive("m-1", attempt=2)
    asked.acks.flush()
    before = list(asked.said)
    asked.acks.acknowledged(frame)
    asked.arrive("m-1", attempt=3)
    asked.acks.flush()

    assert (copy, before, asked.said) == (False, [], [("user:42", ["m-1"])])


async def test_not_every_id_is_remembered_for_ever() -> None:
    asked = Asked()
    for number in range(REMEMBERED + 10):
        asked.arrive(f"m-{number}")
    asked.acks.flush()

    assert asked.arrive("m-0"), "as if it had never come"
    assert not asked.arrive(f"m-{REMEMBERED}")
    asked.acks.flush()
