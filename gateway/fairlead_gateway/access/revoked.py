"""The list of revoked tokens that all replicas share, and how each of them keeps up with it (T5)."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import structlog
from redis.asyncio import Redis

from fairlead.errors import FairleadError, InvalidMessage, RateLimited
from fairlead.ids import uuid7
from fairlead.names import Names
from fairlead.redis.shards import Shards, shards_of
from fairlead_gateway.access.asking_redis import asking_redis
from fairlead_gateway.access.remembered import Remembered
from fairlead_gateway.access.revocations import Revocation, Revocations

log = structlog.get_logger(__name__)

LOOK_SECONDS: Final = 1.0
"""How soon a revocation is found of which nobody has told us."""

TIDY_SECONDS: Final = 300.0
"""How often all of the list is read, and what has ended taken out of it."""

KEPT_BEYOND_SECONDS: Final = 60.0
"""How long a revocation stays in Redis when it has ended, since clocks differ."""

RESTORE_SECONDS: Final = 2.0
"""Within this one replica after the other writes down again what Redis has lost, so that the first does it."""

PAGE: Final = 1000

MAX_REVOCATIONS: Final = 200_000
"""More at once are refused, since every replica holds all of them in memory."""

END_OF_TIME: Final = 253_402_300_799.0
"""Unix seconds in which the year 9999 ends; nothing that can be told is later."""

REMEMBERED: Final = 256
"""Revocations of which it is known for a minute how many connections they ended here."""

Taken = Callable[[Sequence[Revocation]], Mapping[str, int]]
"""Ends the connections that revocations are about; how many, by the id of each."""


class Entry(NamedTuple):
    """A revocation, and its place in the stream."""

    place: str
    revocation: Revocation


class RevocationList:
    """
    A stream in Redis of which each replica has all that goes on in memory.

    Nobody depends on being told: each second a replica reads what comes behind the latest entry that it has, and sees
    by that entry, its anchor, that nothing was lost meanwhile. Where the anchor is gone, as after a restart of Redis
    that kept nothing or a failover to a server that lagged behind, all of it is read, and what the replica has and
    Redis has not is written again.

    :param known: what this replica knows.
    :param taken: told of what is news here.
    :param kept_seconds: how long a revocation goes on that does not say itself.
    """

    def __init__(
        self, redis: Redis | Shards, names: Names, known: Revocations, taken: Taken, kept_seconds: float
    ) -> None:
        self._shards = shards_of(redis)
        self._key = names.revoked
        self.known = known
        self._taken = taken
        self._kept_seconds = kept_seconds
        self._closed: Remembered[str, int] = Remembered(REMEMBERED)
        self._anchor: Entry | None = None
        self._tidy_at = 0.0
        self._restore_at = 0.0
        """When to write down again what Redis has lost; 0 for never."""
        self.was_read = False
        """Whether all of the list was read since the start: before that a revoked token might be let in."""

    async def run(self) -> None:
        """Keep up until cancelled."""
        is_away = False
        while True:
            try:
                await self.look()
                is_away = False
            except FairleadError as error:
                if not is_away:
                    log.warning("revoked tokens not looked at", why=error.message)
                is_away = True
            await asyncio.sleep(LOOK_SECONDS)

    async def revoke(
        self, *, by: str, token_id: str = "", user_id: str = "", before: float | None = None, until: float | None = None
    ) -> Revocation:
        """
        Revoke one token, or all of a user that were issued before a moment; it counts here when this returns.

        :param before: Unix seconds; None for now.
        :param until: Unix seconds when it ends, as all those tokens have by then; None for as long as is usual.
        :raises InvalidMessage: it would have ended already, or before what it is about was issued.
        :raises RateLimited: too many revocations go on already.
        :raises Unavailable: Redis cannot be reached; it may have been written down, and doing it again is harmless.
        """
        if len(self.known) >= MAX_REVOCATIONS:
            raise RateLimited(f"{MAX_REVOCATIONS} revocations go on already; let tokens have shorter lives")
        async with asking_redis():
            ((seconds, micros),) = await self._shards.ask(("TIME",))
        at = int(seconds) + int(micros) / 1_000_000
        before = 0.0 if token_id else at if before is None else max(before, 0.0)
        until = min(at + self._kept_seconds if until is None else until, END_OF_TIME)
        if until <= max(at, before):
            raise InvalidMessage("expires_at is to come, and later than before: when the tokens have ended themselves")
        revocation = Revocation(uuid7(), token_id, user_id, before, until, at, by)
        await self._write([revocation])
        await self.look()
        return revocation

    async def look(self) -> None:
        """
        Learn what is new.

        :raises Unavailable: Redis cannot be reached; what was read until then counts.
        """
        now = time.time()
        self.known.forget(now)
        anchor = self._anchor
        if anchor is not None and anchor.revocation.until > now and now < self._tidy_at:
            found = await self._read(anchor.place)
            if found and found[0].place == anchor.place:
                self._take(found, now)
                return
            log.info("all revoked tokens are read again: the latest is not in redis any more")
        await self._read_all(now)

    def closed(self, id: str) -> int:
        """How many connections the revocation *id* has ended here, as long as that is remembered."""
        return self._closed.get(id, time.time()) or 0

    # -- inside ----------------------------------------------------------------------------------

    async def _read_all(self, now: float) -> None:
        # Until it is done nothing else will do; and who has very many takes them page by page, not all at once.
        self._anchor, self._tidy_at = None, 0.0
        found: list[Entry] = []
        async for some in self._pages("-"):
            self._take(some, now)
            found += some
        self.was_read = True
        self._tidy_at = now + TIDY_SECONDS * random.uniform(0.8, 1.2)
        held = {entry.revocation.id for entry in found}
        await self._restore([one for one in self.known if one.id not in held], now)
        over = [entry.place for entry in found if entry.revocation.until < now - KEPT_BEYOND_SECONDS]
        for start in range(0, len(over), PAGE):
            await self._ask("XDEL", self._key, *over[start : start + PAGE])

    async def _restore(self, lost: Sequence[Revocation], now: float) -> None:
        """Write *lost* down again when our turn has come, unless another replica was earlier."""
        if not lost:
            self._restore_at = 0.0
        elif not self._restore_at:
            self._restore_at = now + random.uniform(0, RESTORE_SECONDS)
            # So that all of it is read until it is complete.
            self._tidy_at = 0.0
        elif now >= self._restore_at:
            await self._write(lost)
            self._restore_at = 0.0
            log.warning("wrote revoked tokens down again that redis had lost", count=len(lost))
        else:
            self._tidy_at = 0.0

    async def _read(self, first: str) -> list[Entry]:
        """Everything from the place *first* on."""
        return [entry async for some in self._pages(first) for entry in some]

    async def _pages(self, first: str) -> AsyncIterator[list[Entry]]:
        """As `_read`, as it comes; what makes no sense is left out."""
        while True:
            reply = await self._ask("XRANGE", self._key, first, "+", "COUNT", PAGE)
            yield [entry for place, fields in reply if (entry := _entry(place, fields)) is not None]
            if len(reply) < PAGE:
                return
            first = f"({reply[-1][0].decode()}"

    def _take(self, found: Sequence[Entry], now: float) -> None:
        for entry in reversed(found):
            if entry.revocation.until > now:
                self._anchor = entry
                break
        if news := self.known.take([entry.revocation for entry in found], now):
            for id, count in self._taken(news).items():
                self._closed.keep(id, count, now + KEPT_BEYOND_SECONDS)

    async def _write(self, revocations: Sequence[Revocation]) -> None:
        for start in range(0, len(revocations), PAGE):
            async with asking_redis():
                await self._shards.ask(*(_written(self._key, one) for one in revocations[start : start + PAGE]))

    async def _ask(self, *command: str | int) -> Any:
        async with asking_redis():
            (reply,) = await self._shards.ask(command)
        return reply


def _written(key: str, one: Revocation) -> tuple[str, ...]:
    """The command that writes *one* down."""
    fields = {name: str(value) for name, value in one._asdict().items()}
    return ("XADD", key, "*", *(part for field in fields.items() for part in field))


def _entry(place: bytes, fields: Any) -> Entry | None:
    """What an entry says; None for one that is none of ours."""
    told = fields if isinstance(fields, Mapping) else dict(zip(fields[::2], fields[1::2], strict=True))
    try:
        text = {name.decode(): value.decode() for name, value in told.items()}
        one = Revocation(
            id=text["id"],
            token_id=text["token_id"],
            user_id=text["user_id"],
            before=float(text["before"]),
            until=float(text["until"]),
            at=float(text["at"]),
            by=text["by"],
        )
    except (ValueError, LookupError):
        log.warning("a revocation that nobody of ours wrote", place=place)
        return None
    is_one = one.id and bool(one.token_id) != bool(one.user_id)
    is_timed = all(0 <= moment <= END_OF_TIME for moment in (one.before, one.until, one.at))
    return Entry(place.decode(), one) if is_one and is_timed else None
