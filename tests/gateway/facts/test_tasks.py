"""Which tasks are still shown to their owner, and which have fallen silent."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

import fairlead
from fairlead.errors import Conflict
from fairlead.names import Names
from fairlead_gateway.facts.lane import Lane
from fairlead_gateway.facts.tasks import COMING_MS, SHOWN_MS, Silence, TaskStates, is_current, silence

NOW = 1_800_000_000_000
AT = b"%d" % NOW


@pytest.fixture
async def states(redis: Redis, names: Names) -> AsyncIterator[TaskStates]:
    lane = Lane(redis)
    yield TaskStates(lane, names, 300)
    await lane.aclose()


@pytest.fixture
async def fl(redis_url: str, prefix: str) -> AsyncIterator[fairlead.Backend]:
    async with fairlead.connect(redis_url, prefix=prefix) as fl:
        yield fl


@pytest.mark.parametrize(
    ("status", "at", "known_ms", "current"),
    [
        (b'"running"', b"1", 1, True),
        (b'"pending"', b"1", 1, True),
        (b'"completed"', AT, 1, True),
        (b'"completed"', b"%d" % (NOW - SHOWN_MS), NOW, False),
        (b'"failed"', b"1", 1, False),
        (b'"cancelled"', b"1", 1, False),
        (None, None, NOW - COMING_MS + 1, True),
        (None, None, NOW - COMING_MS, False),
    ],
)
def test_what_is_current(status: bytes | None, at: bytes | None, known_ms: int, current: bool) -> None:
    assert is_current(status, at, known_ms, NOW) is current


@pytest.mark.parametrize(
    ("status", "at", "patience", "stalled", "default_ms", "found"),
    [
        (b'"running"', AT, None, None, 300_000, Silence(NOW, NOW + 300_000, NOW)),
        (b'"running"', AT, b"1500", None, 300_000, Silence(NOW, NOW + 1500, NOW)),
        (b'"running"', AT, b"1500", None, 0, Silence(NOW, NOW + 1500, NOW)),
        (b'"running"', AT, None, None, 0, None),
        (b'"running"', AT, b"0", None, 300_000, None),
        (b'"running"', AT, None, AT, 300_000, None),
        (b'"pending"', AT, None, None, 300_000, None),
        (b'"completed"', AT, None, None, 300_000, None),
        (None, None, None, None, 300_000, None),
    ],
)
def test_what_is_silent(
    status: bytes | None,
    at: bytes | None,
    patience: bytes | None,
    stalled: bytes | None,
    default_ms: int,
    found: Silence | None,
) -> None:
    assert silence(status, at, patience, stalled, default_ms, NOW) == found


async def test_the_current_tasks_of_a_user_come_the_latest_first_and_the_others_are_forgotten(
    states: TaskStates, fl: fairlead.Backend, redis: Redis, names: Names
) -> None:
    key = names.tasks("42")
    for task in ("old", "ended", "gone", "new"):
        await fl.update_task(task, owner="42")
    await fl.update_task("ended", status="completed")
    await redis.hset(names.task("ended"), "@at", 1)
    await redis.delete(names.task("gone"))
    await redis.zadd(key, {"old": 1, "gone": 2, "new": NOW * 2})

    assert await states.current("42") == ["new", "old"]
    assert await states.current("43") == []
    assert await redis.zrange(key, 0, -1) == [b"old", b"new"]


async def test_what_has_another_owner_is_not_among_the_tasks_of_a_user(
    states: TaskStates, fl: fairlead.Backend, redis: Redis, names: Names
) -> None:
    await fl.update_task("t", owner="43", message="for 43 alone")
    with pytest.raises(Conflict):
        await fl.update_task("t", owner="42")

    assert await states.current("42") == []
    assert await states.current("43") == ["t"]
    assert await redis.exists(names.tasks("42")) == 0
