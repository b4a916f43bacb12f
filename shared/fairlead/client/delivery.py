"""Handing over: one thing after the other to the functions of the application, away from the reading (M1, M3)."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from inspect import isawaitable
from typing import Any, Final
from weakref import WeakSet

from fairlead.client.handlers import Handler
from fairlead.client.told import Frame
from fairlead.errors import FairleadError
from fairlead.format.position import Position

MAX_WAITING: Final = 10_000
"""Things that may wait for handlers before the client hears no more."""

FEW: Final = MAX_WAITING // 10
"""So few that it may hear again."""


TURN: Final = 100
"""Things that are handed over before the loop may do something else."""


@dataclass(slots=True, eq=False)
class Item:
    """One thing to hand over."""

    what: Any
    hearers: Callable[[], list[Handler]]
    """Looked up when its turn comes."""
    finished: Callable[[bool], None] | None = None
    """Told, once everybody has it, whether none of them failed."""
    channel: str = ""
    before: Position | None = None
    """Where the client stood in the channel before this."""
    number: int = 0
    owed: int = 1
    """Who has yet to take it: the handlers, and each of the iterators."""
    failed: bool = False
    is_heard: bool = False
    """Whether anybody was given it."""

    def taken(self, *, failed: bool = False, heard: bool = True) -> None:
        """One of them has it."""
        self.owed -= 1
        self.failed = self.failed or failed
        self.is_heard = self.is_heard or heard
        if not self.owed and self.finished is not None:
            self.finished(self.is_heard and not self.failed)


class Messages:
    """
    Messages as they come: ``async for message in client.messages("hello")``.

    It collects from when it was made, until it is closed or nobody has it any more. It ends when the client is closed,
    and raises what the client was stopped by otherwise. One consumer; for more, make more of them.
    """

    def __init__(self, delivery: Delivery, types: frozenset[str]) -> None:
        self._delivery = delivery
        self._types = types
        self._items: deque[Item] = deque()
        self._filled = asyncio.Event()
        self._is_closed = False

    def __aiter__(self) -> Messages:
        return self

    async def __anext__(self) -> Frame:
        while not self._items:
            if self._is_closed:
                raise StopAsyncIteration
            if (end := self._delivery.end) is not None and not self._delivery.is_busy:
                self.close()
                if end.code == "closed":
                    raise StopAsyncIteration
                raise end
            self._filled.clear()
            await self._filled.wait()
        item = self._items.popleft()
        item.taken()
        self._delivery.look()
        frame: Frame = item.what
        return frame

    def close(self) -> None:
        """Collect no more; what was not taken is forgotten."""
        self._is_closed = True
        self._items.clear()
        self._delivery.iterators.discard(self)
        self._delivery.look()
        self._filled.set()

    async def aclose(self) -> None:
        """As `close`, for ``contextlib.aclosing``."""
        self.close()

    def wants(self, item: Item) -> bool:
        """Whether *item* is of a type that was asked for."""
        return isinstance(item.what, dict) and (not self._types or item.what.get("type") in self._types)

    def put(self, item: Item) -> None:
        item.owed += 1
        self._items.append(item)
        self._filled.set()

    def wake(self) -> None:
        """Look again whether there will be more."""
        self._filled.set()

    def waiting(self) -> Iterator[Item]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)


class Delivery:
    """
    A queue, and a task that is there as long as something is in it.

    :param failed: told what a handler raised.
    :param full: called when more waits than should.
    :param drained: called when that is over.
    """

    def __init__(
        self,
        failed: Callable[[Exception], None],
        full: Callable[[], None] = lambda: None,
        drained: Callable[[], None] = lambda: None,
    ) -> None:
        self._failed = failed
        self._full = full
        self._drained = drained
        self._queue: deque[Item] = deque()
        self._current: Item | None = None
        self._task: asyncio.Task[None] | None = None
        self._is_held = False
        self.is_full = False
        """Whether more waited than should, and not few enough have been handed over since."""
        self._number = 0
        self.iterators: WeakSet[Messages] = WeakSet()
        self.end: FairleadError | None = None
        """Why nothing more will come; None while something may."""

    # -- in ----------------------------------------------------------------------------------------

    def put(self, item: Item) -> None:
        """Hand *item* over in its turn."""
        self._number += 1
        item.number = self._number
        self._queue.append(item)
        self._begin()
        if not self.is_full and self._waiting() >= MAX_WAITING:
            self.is_full = True
            self._full()

    def hold(self) -> None:
        """Hand nothing over before `release`: who will hear has yet to say so."""
        self._is_held = True
        self.end = None

    def release(self) -> None:
        self._is_held = False
        self._begin()

    def finish(self, end: FairleadError) -> None:
        """Nothing more comes; what waits is still handed over."""
        self.end = end
        self.release()
        for iterator in list(self.iterators):
            iterator.wake()

    async def drain(self, seconds: float) -> None:
        """Give what waits that much time."""
        if self._task is not None and self._task is not asyncio.current_task():
            await asyncio.wait([self._task], timeout=seconds)

    async def close(self) -> None:
        """Hand nothing over any more. A handler that is busy is cancelled, unless it is the one that asks for this."""
        self._queue.clear()
        for iterator in list(self.iterators):
            iterator.close()
        task = self._task
        if task is not None and task is not asyncio.current_task():
            task.cancel()
            await asyncio.wait([task])

    # -- out ---------------------------------------------------------------------------------------

    @property
    def is_busy(self) -> bool:
        return self._task is not None

    def undelivered(self) -> dict[str, Position | None]:
        """Where the application stands in the channels of which something waits."""
        items = [item for iterator in self.iterators for item in iterator.waiting()]
        items += [self._current] if self._current is not None else []
        first: dict[str, Item] = {}
        for item in sorted([*items, *self._queue], key=lambda item: item.number):
            if item.channel:
                first.setdefault(item.channel, item)
        return {channel: item.before for channel, item in first.items()}

    def look(self) -> None:
        """Less may wait now."""
        if self.is_full and self._waiting() <= FEW:
            self.is_full = False
            self._drained()

    def _waiting(self) -> int:
        return len(self._queue) + max(map(len, self.iterators), default=0)

    def _begin(self) -> None:
        if self._task is None and self._queue and not self._is_held:
            self._task = asyncio.create_task(self._work_off(), name="fairlead client handlers")

    async def _work_off(self) -> None:
        try:
            while self._queue and not self._is_held:
                self._current = item = self._queue.popleft()
                self._hand_to_iterators(item)
                handlers = item.hearers()
                item.taken(failed=not await self._tell(handlers, item.what), heard=bool(handlers))
                self._current = None
                self.look()
                if not item.number % TURN:
                    await asyncio.sleep(0)
        finally:
            self._task = self._current = None
            self._wake_the_last()

    def _wake_the_last(self) -> None:
        """Iterators that wait for what will not come."""
        if self.end is not None:
            for iterator in list(self.iterators):
                iterator.wake()

    def _hand_to_iterators(self, item: Item) -> None:
        for iterator in list(self.iterators):
            if iterator.wants(item):
                iterator.put(item)

    async def _tell(self, handlers: Iterable[Handler], what: Any) -> bool:
        """Call *handlers* one after the other; whether all of them went well."""
        fine = True
        for handler in handlers:
            try:
                result = handler(what)
                if isawaitable(result):
                    await result
            except asyncio.CancelledError as error:
                task = asyncio.current_task()
                if task is None or task.cancelling():
                    raise
                # Not we were cancelled, but something that the handler awaited.
                fine = False
                self._failed(RuntimeError(f"a handler awaited what was cancelled: {error}"))
            except Exception as error:  # noqa: BLE001 - a fault of the application's function, whatever it is
                fine = False
                self._failed(error)
        return fine
