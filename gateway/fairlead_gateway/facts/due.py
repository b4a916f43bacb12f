"""Deadlines that any replica may notice: each is given to one of them, and to another should that one die of it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple

import structlog

from fairlead.errors import Unavailable
from fairlead.redis.scripts import load
from fairlead_gateway.facts.lane import SCRIPTS, Lane

log = structlog.get_logger(__name__)

_DUE: Final = load("due", SCRIPTS)
_DONE: Final = load("done", SCRIPTS)

BEAT_SECONDS: Final = 0.5
LEASE_SECONDS: Final = 5.0
"""Whoever has not said what came of something by then is taken for dead, and it is given to somebody else."""

TOGETHER: Final = 100
"""Deadlines taken at once, of each key."""

Handle = Callable[[str], Awaitable["int | None"]]
"""
Does what is to be done about a member whose time has come; when it is due again (Redis time, ms), or None for never.

It may be asked twice for the same member, and too early: what is true is not in the set but where the member lives.
"""


class Taken(NamedTuple):
    """A member that is due, and is ours until *lease*."""

    key: str
    member: bytes
    """As it stands there: whoever may write to Redis may have put in anything."""
    lease: bytes


class Due:
    """
    Takes what is due from sorted sets of members by deadline (Redis time, ms).

    Deadlines are written by ``ZADD`` by whoever sets them: a later one takes the place of an earlier one, also while
    somebody deals with the earlier.

    :param keys: the sets; they may live on different servers.
    :param turn: key under which replicas take turns where there are many sets, so that of all replicas one looks in
        each beat; empty for every one in every beat.
    """

    def __init__(
        self,
        lane: Lane,
        keys: Sequence[str],
        *,
        turn: str = "",
        beat_seconds: float = BEAT_SECONDS,
        lease_seconds: float = LEASE_SECONDS,
    ) -> None:
        self._lane = lane
        self._keys = keys
        self._turn = turn
        self._beat_seconds = beat_seconds
        self._lease_ms = int(lease_seconds * 1000)
        self._is_away = False

    async def run(self, handle: Handle) -> None:
        """Look until cancelled. While Redis is away nothing is due; what *handle* could not do comes again."""
        while True:
            await asyncio.sleep(self._beat_seconds * random.uniform(0.8, 1.0))
            try:
                await self.sweep(handle)
                self._is_away = False
            except Unavailable as error:
                if not self._is_away:
                    log.warning("deadlines not looked at", why=error.message)
                self._is_away = True

    async def sweep(self, handle: Handle) -> int:
        """
        Let *handle* do everything that is due now; how much that was.

        :raises Unavailable: some of it could not be done, after the rest has been; it comes again.
        """
        if self._turn and not await self._is_our_turn():
            return 0
        count = 0
        keys = self._keys
        while keys:
            taken, full, away = await self._take(keys)
            results = await asyncio.gather(*(self._deal_with(one, handle) for one in taken), return_exceptions=True)
            for error in [*away, *results]:
                if isinstance(error, BaseException):
                    raise error
            count += len(taken)
            keys = full
        return count

    async def _is_our_turn(self) -> bool:
        milliseconds = int(self._beat_seconds * 700)
        return await self._lane.call("SET", self._turn, "1", "NX", "PX", milliseconds) is not None

    async def _take(self, keys: Sequence[str]) -> tuple[list[Taken], list[str], list[Unavailable]]:
        """What is due in *keys*, which of them have more, and why others did not answer."""
        asked = [self._lane.run(_DUE, (key,), (self._lease_ms, TOGETHER)) for key in keys]
        await asyncio.wait(asked)
        taken: list[Taken] = []
        full: list[str] = []
        away: list[Unavailable] = []
        for key, answer in zip(keys, asked, strict=True):
            if isinstance(error := answer.exception(), Unavailable):
                away.append(error)
                continue
            flat = answer.result()
            taken += [Taken(key, member, lease) for member, lease in zip(flat[::2], flat[1::2], strict=True)]
            if len(flat) == 2 * TOGETHER:
                full.append(key)
        return taken, full, away

    async def _deal_with(self, taken: Taken, handle: Handle) -> None:
        again = await handle(taken.member.decode(errors="replace"))
        await self._lane.run(_DONE, (taken.key,), (taken.member, taken.lease, "" if again is None else again))
