"""Streams that backends read: written as things happen; what Redis does not take is kept for a while."""

from __future__ import annotations

import asyncio
from collections import deque
from functools import partial
from typing import Any, Final

import structlog

from fairlead_gateway.facts.lane import Argument, Lane

log = structlog.get_logger(__name__)

OWED: Final = 10_000
"""Entries kept while Redis is away; one more puts out the oldest."""

AGAIN_SECONDS: Final = 0.5
"""How often they are tried again."""

TOGETHER: Final = 256
"""Entries tried at once."""


class Streams:
    """
    Appends to streams, without anybody waiting for it.

    In order as far as Redis takes them at once. What may or may not have been written is written again, so that
    entries carry ids of their own; what does not fit while Redis is away is lost, and counted.
    """

    def __init__(self, lane: Lane) -> None:
        self._lane = lane
        self._owed: deque[tuple[Argument, ...]] = deque()
        self._is_behind = asyncio.Event()
        self.dropped = 0

    @property
    def waiting(self) -> int:
        """Entries that Redis has not taken."""
        return len(self._owed)

    def write(self, *command: Argument) -> None:
        """Do *command*, an ``XADD``, as soon as Redis can be reached."""
        if self._is_behind.is_set():
            self._owe(command)
        else:
            self._lane.call(*command).add_done_callback(partial(self._written, command))

    async def run(self) -> None:
        """Write what is owed, until cancelled."""
        while True:
            await self._is_behind.wait()
            while self._owed:
                await asyncio.sleep(AGAIN_SECONDS)
                await self._catch_up()
            self._is_behind.clear()
            log.info("streams are written again", lost=self.dropped)

    async def _catch_up(self) -> None:
        """Write as much as Redis takes; the first that it does not take ends that."""
        while self._owed:
            some = [self._owed.popleft() for _ in range(min(TOGETHER, len(self._owed)))]
            answers = await asyncio.gather(*(self._lane.call(*command) for command in some), return_exceptions=True)
            refused = [c for c, answer in zip(some, answers, strict=True) if isinstance(answer, BaseException)]
            if refused:
                self._owed.extendleft(reversed(refused))
                return

    def _written(self, command: tuple[Argument, ...], answer: asyncio.Future[Any]) -> None:
        if answer.cancelled() or answer.exception() is not None:
            self._owe(command)

    def _owe(self, command: tuple[Argument, ...]) -> None:
        if not self._is_behind.is_set():
            log.warning("streams cannot be written, and wait", stream=command[1])
            self._is_behind.set()
        if len(self._owed) >= OWED:
            self._owed.popleft()
            if self.dropped == 0:
                log.error("entries of streams are lost: Redis is away for too long", kept=OWED)
            self.dropped += 1
        self._owed.append(command)
