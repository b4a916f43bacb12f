"""
What replicas have counted, summed over all of them, each counted exactly once (I7).

Every replica writes down absolute values, which may be written twice. Those of one that is gone are folded into the
totals, and how much of them is there already is kept: who was only taken for dead goes on writing, and what counts of
it is what it has more than that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, Final, NamedTuple

from fairlead.errors import Unavailable
from fairlead.names import Names
from fairlead.redis.scripts import load
from fairlead.state.presence import online_count, session_count
from fairlead_gateway.facts.lane import SCRIPTS, Lane

_REPORT: Final = load("report", SCRIPTS)
_INHERIT: Final = load("inherit", SCRIPTS)
_SUMS: Final = load("sums", SCRIPTS)
_RECORD: Final = load("record", SCRIPTS)

TURN_SECONDS: Final = 2.5
"""Who has not reported for so long does not oversee the fleet any more."""

FOLDED_SECONDS: Final = 24 * 3600
"""How long a replica that was taken for dead may come back and still be counted once."""

KNOWN_SECONDS: Final = 30 * 24 * 3600
"""How long a replica counts that neither reports nor was swept after, since none has run since."""

LOST_SECONDS: Final = 300
"""How long a replica that has died is shown."""

SAMPLES: Final = 3600
"""Samples kept, one a second; Redis drops them a hundred at a time."""

_MOST: Final = 2**53
"""What is said to be more is no figure of ours: whoever reads JSON may know none greater."""

_REPEAT: Final = 10
"""With every so many reports everything is written, whatever has changed."""

GAUGE: Final = "@"
"""What the name of a figure begins with that says how much there is now, and is not summed up for ever."""


class Turn(NamedTuple):
    """What a report is answered."""

    was_forgotten: bool
    """Redis knew nothing any more of a replica that had reported before."""
    oversees: bool
    """Whether it is the caller who oversees the fleet, for the next `TURN_SECONDS`."""


class Said(NamedTuple):
    """What one replica has said of itself."""

    is_alive: bool
    lease_ms: float
    """What is left of its lease."""
    is_folded: bool
    """Whether all that it has counted is in the totals."""
    counters: dict[str, int]
    """Since its start; of one that has died, what it said last."""
    gauges: dict[str, int]


class Sums(NamedTuple):
    """What all replicas have said, at one moment."""

    now_ms: int
    """By the clock of Redis."""
    counters: dict[str, int]
    """Of all replicas that there have ever been."""
    replicas: dict[str, Said]
    """Those alive, and those that died within the last minutes."""


class Statistics:
    """The statistics of one replica, and of all of them."""

    def __init__(self, lane: Lane, names: Names, replica: str) -> None:
        self._lane = lane
        self._names = names
        self._replica = replica
        self._reported: dict[str, int] = {}
        self._reports = 0

    # -- our own -----------------------------------------------------------------------------------

    async def report(self, figures: Mapping[str, int]) -> Turn:
        """
        Write down what has changed of *figures*, by name (see `GAUGE`).

        :raises Unavailable: Redis cannot be reached; everything is written the next time.
        """
        is_known, self._reports = bool(self._reported), self._reports + 1
        reported = self._reported if self._reports % _REPEAT else {}
        changed = {name: value for name, value in figures.items() if reported.get(name) != value}
        changed = changed or dict(islice(figures.items(), 1))
        try:
            forgotten, oversees = await self._write(changed)
            if forgotten and len(changed) < len(figures):
                _, oversees = await self._write(figures)
        except Unavailable:
            self._reported = {}
            raise
        self._reported = dict(figures)
        return Turn(bool(forgotten) and is_known, bool(oversees))

    async def end(self, figures: Mapping[str, int]) -> None:
        """
        Report for the last time, let others oversee, and have it folded.

        :raises Unavailable: Redis cannot be reached; who sweeps after us will see to it.
        """
        self._reported = {}
        _, oversees = await self._write(figures)
        if oversees:
            self._lane.call("DEL", self._names.stats_turn)
        await self._fold(self._replica, is_lost=False)

    async def _write(self, figures: Mapping[str, int]) -> tuple[int, int]:
        names = self._names
        keys = (*names.stats_of(self._replica), names.stats_known, names.stats_lost, names.stats_turn)
        flat = [item for pair in figures.items() for item in pair]
        args = (self._replica, KNOWN_SECONDS, int(TURN_SECONDS * 1000), *flat)
        forgotten, oversees = await self._lane.run(_REPORT, keys, args)
        return forgotten, oversees

    # -- of the others -----------------------------------------------------------------------------

    async def inherit(self, dead: str) -> None:
        """
        Fold what a *dead* replica has counted; done twice, it adds nothing.

        :raises Unavailable: Redis cannot be reached.
        """
        await self._fold(dead, is_lost=True)

    async def _fold(self, replica: str, *, is_lost: bool) -> None:
        names = self._names
        keys = (*names.stats_of(replica), names.stats, names.stats_known, names.stats_lost)
        args = (replica, FOLDED_SECONDS, LOST_SECONDS * 1000, int(is_lost), KNOWN_SECONDS)
        await self._lane.run(_INHERIT, keys, args)

    async def sums(self) -> Sums:
        """
        What all replicas have said by now.

        :raises Unavailable: Redis cannot be reached.
        """
        names = self._names
        begin, end = names.stats_of(" ")[1].split(" ")
        keys = (names.stats, names.stats_known, names.stats_lost, names.replicas)
        return summed(await self._lane.run(_SUMS, keys, (begin, end, LOST_SECONDS * 1000)))

    async def people(self) -> tuple[int, int]:
        """
        Users who are online, and sessions with somebody in them, each counted once over all replicas.

        :raises Unavailable: Redis cannot be reached.
        """
        users, sessions = await asyncio.gather(
            self._lane.look(online_count(self._names)), self._lane.look(session_count(self._names))
        )
        return users, sessions

    # -- what was before -----------------------------------------------------------------------------

    async def record(self, sample: bytes) -> bool:
        """
        Add *sample* to the history; whether it was still ours to do so.

        :raises Unavailable: Redis cannot be reached.
        """
        keys = (self._names.stats_turn, self._names.stats_history)
        return bool(await self._lane.run(_RECORD, keys, (self._replica, sample, SAMPLES)))

    async def samples_since(self, ms: Iterable[int]) -> list[bytes]:
        """
        The first sample at or after each moment (of Redis, ms), each once.

        :raises Unavailable: Redis cannot be reached.
        """
        asked = [self._lane.call("XRANGE", self._names.stats_history, at, "+", "COUNT", 1) for at in ms]
        found = {entry[0]: entry[1][1] for answer in asked for entry in await answer}
        return list(found.values())

    async def last_samples(self, count: int) -> list[bytes]:
        """
        The last *count* samples, oldest first.

        :raises Unavailable: Redis cannot be reached.
        """
        entries = await self._lane.call("XREVRANGE", self._names.stats_history, "+", "-", "COUNT", count)
        return [fields[1] for _, fields in reversed(entries)]


def summed(reply: Sequence[Any]) -> Sums:
    """What ``sums.lua`` has answered; what makes no sense is left out."""
    now, totals, *said = reply
    counters, _ = _apart(totals)
    replicas = {}
    for name, lease, flat, folded_flat in said:
        own, gauges = _apart(flat)
        if folded_flat is not None:
            folded, _ = _apart(folded_flat)
            for field, value in own.items():
                counters[field] = counters.get(field, 0) + value - folded.get(field, 0)
        left = float(lease) - now
        replicas[name.decode(errors="replace")] = Said(left > 0, max(left, 0.0), folded_flat is None, own, gauges)
    return Sums(now, counters, replicas)


def _apart(flat: Sequence[bytes]) -> tuple[dict[str, int], dict[str, int]]:
    """Counters and gauges."""
    counters: dict[str, int] = {}
    gauges: dict[str, int] = {}
    for field, value in zip(flat[::2], flat[1::2], strict=True):
        try:
            name, number = field.decode(), int(value)
        except ValueError:
            continue
        if not 0 <= number <= _MOST:
            continue
        if name.startswith(GAUGE):
            gauges[name[len(GAUGE) :]] = number
        else:
            counters[name] = number
    return counters, gauges
