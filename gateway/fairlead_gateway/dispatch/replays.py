"""Replays: what was said in a channel since the position of a client who comes back, from Redis."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from fairlead.format.position import Position, Span, span

Ask = Callable[[str, "Position | None"], "asyncio.Future[Any]"]
"""Asks the log of a channel what was said since a position; see `fairlead_gateway.facts.history.History.ask`."""

MAX_REPLAY_BYTES: Final = 8 * 1024 * 1024
"""Most that is collected for a client who comes back, in all its channels; who has missed more reloads."""


class Replays:
    """Reads everything since a position, part by part; clients who come back together ask once."""

    def __init__(self, ask: Ask) -> None:
        self._ask_log = ask
        self._reading: dict[tuple[str, Position], asyncio.Task[Span | None]] = {}

    def since(self, channel: str, position: Position) -> asyncio.Task[Span | None]:
        """
        All that *channel* has said since *position*; None if that cannot be proven, or is too much.

        Whoever awaits it shields it, since others may, too.

        :raises Unavailable: when awaited: Redis cannot be reached.
        """
        key = (channel, position)
        task = self._reading.get(key)
        if task is None:
            task = self._reading[key] = asyncio.create_task(self._read(*key), name=f"recover {channel}")
            task.add_done_callback(partial(self._done, key))
        return task

    def _done(self, key: tuple[str, Position], task: asyncio.Task[Span | None]) -> None:
        del self._reading[key]
        if not task.cancelled():
            # Looked at, so that asyncio does not complain: whoever asked may have been refused meanwhile.
            task.exception()

    async def _read(self, channel: str, since: Position) -> Span | None:
        found = span(await self._ask_log(channel, since))
        entries = found.entries
        size = sum(len(entry.envelope) for entry in entries)
        while found.is_proven and not found.is_whole and size <= MAX_REPLAY_BYTES:
            last = entries[-1]
            found = span(await self._ask_log(channel, Position(last.offset, found.top.epoch, last.id)))
            entries += found.entries
            size += sum(len(entry.envelope) for entry in found.entries)
        return Span(found.top, True, entries) if found.is_proven and size <= MAX_REPLAY_BYTES else None
