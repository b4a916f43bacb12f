"""Pages over sorted sets: every member once, none more than asked for, whatever changes beside them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis

from fairlead.errors import InvalidMessage
from fairlead.names import Names
from fairlead_gateway.facts.lane import Lane
from fairlead_gateway.facts.pages import page, place_of


class Sets:
    """Sorted sets in memory, as a lane answers for them."""

    def __init__(self, members: Mapping[str, Sequence[str]]) -> None:
        self.members = members
        self.calls = 0

    async def call(self, verb: str, key: str, *_: object) -> object:
        self.calls += 1
        found = self.members.get(key, ())
        return len(found) if verb == "ZCARD" else [name.encode() for name in found]


async def walk(lane: object, keys: Sequence[str], limit: int) -> list[list[str]]:
    pages, cursor, is_first = [], "", True
    while cursor or is_first:
        is_first = False
        found = await page(lane, keys, cursor, limit)  # type: ignore[arg-type]
        assert len(found.members) <= limit
        assert found.members or not found.cursor, "who goes on gets somewhere"
        pages.append(found.members)
        cursor = found.cursor
    return pages


@given(
    st.lists(st.lists(st.text("ab:", min_size=1, max_size=4), unique=True, max_size=6), max_size=8), st.integers(1, 7)
)
def test_every_member_comes_once_in_order(sets: list[list[str]], limit: int) -> None:
    keys = [f"k{number}" for number in range(len(sets))]
    lane = Sets(dict(zip(keys, sets, strict=True)))

    pages = asyncio.run(walk(lane, keys, limit)) if keys else []

    assert [name for some in pages for name in some] == [name for some in sets for name in sorted(some)]


async def test_a_page_of_few_looks_at_few_sets() -> None:
    keys = [f"k{number}" for number in range(128)]
    lane = Sets({key: ["a", "b"] for key in keys})

    await page(lane, keys, "", 4)  # type: ignore[arg-type]

    assert lane.calls == 128 + 3


@pytest.mark.parametrize("cursor", ["x", "128", "-1", "1e1", "0001", "²", ":a"])
def test_a_cursor_that_no_page_gave_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidMessage, match="cursor"):
        place_of(cursor, 128)


@pytest.fixture
async def lane(redis: Redis) -> AsyncIterator[Lane]:
    lane = Lane(redis)
    yield lane
    await lane.aclose()


async def test_over_redis(lane: Lane, redis: Redis, names: Names) -> None:
    keys = names.all_tasks_going_on()[:3]
    for number, key in enumerate(keys):
        await redis.zadd(key, {f"{number}-{n}": n for n in range(5)})

    assert await walk(lane, keys, 4) == [
        ["0-0", "0-1", "0-2", "0-3"],
        ["0-4", "1-0", "1-1", "1-2"],
        ["1-3", "1-4", "2-0", "2-1"],
        ["2-2", "2-3", "2-4"],
    ]
