"""Handing over: in order, one after the other, with a bound, and nothing left behind."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from typing import Any

import pytest

from fairlead.client.delivery import FEW, MAX_WAITING, Delivery, Item, Messages
from fairlead.client.handlers import Handler, Handlers, keys_of
from fairlead.errors import ClientError
from fairlead.format.position import Position

SECONDS = 5.0


class Given:
    """A delivery, and what came of it."""

    def __init__(self, *handlers: Handler) -> None:
        self.errors: list[Exception] = []
        self.finished: list[tuple[Any, bool]] = []
        self.full = 0
        self.drained = 0
        self.delivery = Delivery(self.errors.append, self._full, self._drained)
        self._handlers = list(handlers)

    def _full(self) -> None:
        self.full += 1

    def _drained(self) -> None:
        self.drained += 1

    def put(self, *contents: Any, channel: str = "") -> None:
        for content in contents:
            before = Position(content - 1, "e") if channel else None
            frame = {"type": "note", "content": content}
            self.delivery.put(Item(frame, lambda: self._handlers, self._finish(content), channel, before))

    def _finish(self, content: Any) -> Callable[[bool], None]:
        return lambda fine: self.finished.append((content, fine))

    def messages(self, *types: str) -> Messages:
        found = Messages(self.delivery, frozenset(types))
        self.delivery.iterators.add(found)
        return found

    async def done(self) -> None:
        async with asyncio.timeout(SECONDS):
            while self.delivery.is_busy:
                await asyncio.sleep(0)


async def test_handlers_are_awaited_one_after_the_other() -> None:
    told: list[tuple[str, int]] = []

    async def slow(frame: Any) -> None:
        told.append(("begins", frame["content"]))
        await asyncio.sleep(0)
        told.append(("ends", frame["content"]))

    given = Given(slow, lambda frame: told.append(("after", frame["content"])))
    given.put(1, 2)
    await given.done()

    assert told == [(what, number) for number in (1, 2) for what in ("begins", "ends", "after")]
    assert given.finished == [(1, True), (2, True)]


async def test_one_that_fails_disturbs_no_other() -> None:
    told: list[int] = []

    def fails(frame: Any) -> None:
        raise ValueError("no")

    async def awaits_what_is_cancelled(frame: Any) -> None:
        future = asyncio.get_running_loop().create_future()
        future.cancel()
        await future

    given = Given(fails, awaits_what_is_cancelled, lambda frame: told.append(frame["content"]))
    given.put(1, 2)
    await given.done()

    assert told == [1, 2]
    assert [type(error) for error in given.errors] == [ValueError, RuntimeError] * 2
    assert given.finished == [(1, False), (2, False)]


async def test_what_nobody_hears_is_not_heard() -> None:
    given = Given()
    given.put(1)
    await given.done()

    assert given.finished == [(1, False)]


async def test_nothing_is_handed_over_while_it_is_held() -> None:
    told: list[int] = []
    given = Given(lambda frame: told.append(frame["content"]))
    given.delivery.hold()
    given.put(1)
    await asyncio.sleep(0.01)
    before = list(told)
    given.delivery.release()
    await given.done()

    assert (before, told) == ([], [1])


async def test_iterators_have_each_message_once_and_may_choose() -> None:
    given = Given()
    all_of_them, none = given.messages(), given.messages("other")
    given.put(1, 2)

    assert [(await anext(all_of_them))["content"], (await anext(all_of_them))["content"]] == [1, 2]
    assert len(none) == 0
    assert given.finished == [(1, True), (2, True)]


async def test_an_iterator_that_nobody_has_collects_nothing() -> None:
    given = Given()
    given.messages()
    gc.collect()
    given.put(1)
    await given.done()

    assert len(given.delivery.iterators) == 0


async def test_an_iterator_ends_with_the_client_and_not_before_it_is_empty() -> None:
    given = Given()
    messages = given.messages()
    given.put(1, 2)
    given.delivery.finish(ClientError("closed", "over"))

    assert [frame["content"] async for frame in messages] == [1, 2]


async def test_an_iterator_tells_what_the_client_was_stopped_by() -> None:
    given = Given()
    messages = given.messages()
    waiting = asyncio.create_task(anext(messages))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    given.delivery.finish(ClientError("kicked", "by an operator"))

    with pytest.raises(ClientError, match="operator"):
        await waiting


async def test_too_much_is_told_once_and_so_is_its_end() -> None:
    free = asyncio.Event()

    async def waits(frame: Any) -> None:
        await free.wait()

    given = Given(waits)
    given.put(*range(MAX_WAITING + 500))
    await asyncio.sleep(0)
    given.put(*range(500))
    before = given.drained
    free.set()
    await given.done()

    assert (given.full, before, given.drained) == (1, 0, 1)
    assert len(given.finished) == MAX_WAITING + 1000


async def test_an_iterator_that_is_slow_counts_as_well() -> None:
    given = Given()
    messages = given.messages()
    given.put(*range(MAX_WAITING + 1))
    await given.done()
    given.put(1)
    await given.done()
    full = given.full
    while len(messages) > FEW:
        await anext(messages)

    assert (full, given.drained) == (1, 1)


async def test_what_was_not_handed_over_is_known() -> None:
    free = asyncio.Event()

    async def waits(frame: Any) -> None:
        await free.wait()

    given = Given(waits)
    given.put(5, 6, channel="user:42")
    given.put(3, 4, channel="session:s1")
    await asyncio.sleep(0)
    waiting = given.delivery.undelivered()
    free.set()
    await given.done()

    assert waiting == {"user:42": Position(4, "e"), "session:s1": Position(2, "e")}
    assert given.delivery.undelivered() == {}


async def test_closing_cancels_the_handler_that_is_busy() -> None:
    ended: list[int] = []

    async def waits(frame: Any) -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            ended.append(frame["content"])

    given = Given(waits)
    given.put(1, 2)
    await asyncio.sleep(0)
    await given.delivery.close()

    assert ended == [1]
    assert not given.delivery.is_busy


def test_handlers_are_told_in_the_order_in_which_they_came() -> None:
    table = Handlers()
    told: list[str] = []
    table.add(("", "*"), lambda _: told.append("all"))
    off = table.add(("session:s1", "note"), lambda _: told.append("never"))
    table.add(("session:s1", "*"), lambda _: told.append("session"))
    table.add(("session:s2", "*"), lambda _: told.append("another"))
    table.add(("", "note"), lambda _: told.append("note"))
    off()
    off()
    for handler in table.of(keys_of({"type": "note", "channel": "session:s1", "session_id": "s1"})):
        handler({})
    for handler in table.of(keys_of({"type": "other", "channel": "user:42", "session_id": "s2"})):
        handler({})

    assert told == ["all", "session", "note", "all", "another"]
