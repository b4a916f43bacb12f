"""Pages over what lies in one sorted set for each partition: questions, tasks."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from fairlead.errors import InvalidMessage
from fairlead.names import is_id
from fairlead_gateway.facts.lane import Lane


class Page(NamedTuple):
    """Some members."""

    members: list[str]
    cursor: str
    """What to ask the next page with; empty when this is the last one."""


class Place(NamedTuple):
    """Where a page begins: in a set, behind a member of it."""

    number: int
    after: str


async def page(lane: Lane, keys: Sequence[str], cursor: str, limit: int) -> Page:
    """
    At most *limit* members of the sets *keys*, from *cursor* on, set by set and in each by name.

    A member stays in its set: what is there all the time comes, once.

    :raises InvalidMessage: *cursor* is none that a page gave.
    :raises Unavailable: Redis cannot be reached.
    """
    start = place_of(cursor, len(keys))
    counts = await asyncio.gather(*(lane.call("ZCARD", key) for key in keys[start.number :]))
    numbers = _enough(start, counts, limit)
    replies = await asyncio.gather(*(lane.call("ZRANGE", keys[number], 0, -1) for number in numbers))
    members: list[str] = []
    for number, reply in zip(numbers, replies, strict=True):
        if len(members) == limit:
            return Page(members, f"{number}")
        # What is no id is none of ours.
        found = sorted(filter(is_id, (name.decode(errors="replace") for name in reply)))
        if number == start.number:
            found = [name for name in found if name > start.after]
        some = found[: limit - len(members)]
        members += some
        if len(some) < len(found):
            return Page(members, f"{number}:{members[-1]}")
    return Page(members, _next(numbers, start, counts))


def _enough(start: Place, counts: Sequence[int], limit: int) -> list[int]:
    """The sets to look at: those that have something, until they have more than *limit* together, or as good as."""
    chosen: list[int] = []
    coming = 0
    for number, count in enumerate(counts, start.number):
        if count and coming <= limit:
            chosen.append(number)
            # How many of the first lie behind where the page begins is not known.
            coming += 0 if number == start.number and start.after else count
    return chosen


def _next(numbers: Sequence[int], start: Place, counts: Sequence[int]) -> str:
    """The first set that has something, and was not looked at."""
    seen = numbers[-1] if numbers else start.number
    rest = (number for number, count in enumerate(counts, start.number) if count and number > seen)
    return next(map(str, rest), "")


def place_of(cursor: str, sets: int) -> Place:
    """Where the page of *cursor* begins; the empty one is that of the first page."""
    number, _, after = cursor.partition(":")
    if not cursor:
        return Place(0, "")
    if number.isascii() and number.isdecimal() and len(number) <= 3 and int(number) < sets:
        return Place(int(number), after)
    raise InvalidMessage("the cursor is none: take that of the page before, or none for the first page")
