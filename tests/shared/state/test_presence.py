"""Who is online, how many, and since when not: asked of Redis by backends (ST-4)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from redis.asyncio import Redis

import fairlead
from fairlead.errors import InvalidMessage
from fairlead.names import PARTITIONS, Names, partition_of
from fairlead.state.presence import online_part

CROWD = 100_000


@pytest.fixture
async def fl(redis_url: str, prefix: str) -> AsyncIterator[fairlead.Backend]:
    async with fairlead.connect(redis_url, prefix=prefix) as fl:
        yield fl


async def come(redis: Redis, names: Names, users: list[str]) -> None:
    """Write *users* down as replicas do."""
    by_partition: dict[int, list[str]] = {}
    for user in users:
        by_partition.setdefault(partition_of(f"user:{user}"), []).append(user)
    pipeline = redis.pipeline(transaction=False)
    for partition, some in by_partition.items():
        pipeline.sadd(names.online(partition), *some)
    await pipeline.execute()


async def test_nobody_is_online(fl: fairlead.Backend) -> None:
    assert await fl.online_count() == 0
    assert await fl.online_page() == ([], "")
    assert [user async for user in fl.iter_online()] == []
    assert await fl.last_seen("42") is None


async def test_a_hundred_thousand_are_counted_and_paged_and_each_comes_once(
    fl: fairlead.Backend, redis_url: str, redis: Redis, names: Names
) -> None:
    users = {f"u{number}" for number in range(CROWD)}
    await come(redis, names, list(users))

    pages = [await fl.online_page(limit=1000)]
    while pages[-1].cursor:
        pages.append(await fl.online_page(pages[-1].cursor, limit=1000))
    listed = [user for page in pages for user in page.users]
    iterated = [user async for user in fl.iter_online()]
    with fairlead.connect_sync(redis_url, prefix=names.prefix) as sync:
        blocking = (sync.online_count(), list(sync.iter_online()))

    assert await fl.online_count() == CROWD
    assert len(listed) == CROWD and set(listed) == users
    assert iterated == listed
    assert blocking == (CROWD, listed)
    assert await fl.online_users() == users
    assert len(pages) > 20
    assert max(len(page.users) for page in pages) < 1000 + 2 * CROWD / PARTITIONS


async def test_a_page_spans_partitions_until_it_is_full(fl: fairlead.Backend, redis: Redis, names: Names) -> None:
    users = [f"u{number}" for number in range(300)]
    await come(redis, names, users)

    whole = await fl.online_page(limit=1000)
    tiny = await fl.online_page(limit=1)

    assert (sorted(whole.users), whole.cursor) == (sorted(users), "")
    assert 1 <= len(tiny.users) < 20
    assert tiny.cursor


@pytest.mark.parametrize("cursor", ["x", "-1", "128", "1.0", "٣"])
async def test_what_is_no_cursor_is_refused(fl: fairlead.Backend, cursor: str) -> None:
    with pytest.raises(InvalidMessage, match="cursor"):
        await fl.online_page(cursor)


@pytest.mark.parametrize("limit", [-1, 0, 1])
def test_a_page_makes_progress_whatever_the_limit(names: Names, limit: int) -> None:
    query = online_part(names, "7", [0] * (PARTITIONS - 7), limit)

    assert query.commands
    assert query.read([set() for _ in query.commands]).cursor in ("8", "")


async def test_a_user_was_last_seen_when_it_left_and_is_seen_now_while_it_is_there(
    fl: fairlead.Backend, redis_url: str, redis: Redis, names: Names
) -> None:
    key = names.last_seen(partition_of("user:42"))
    seconds, micros = await redis.time()
    now = datetime.fromtimestamp(seconds + micros / 1e6, UTC)
    left = now - timedelta(days=3)
    await redis.zadd(key, {"42": left.timestamp() * 1000})
    away = await fl.last_seen("42")
    with fairlead.connect_sync(redis_url, prefix=names.prefix) as sync:
        blocking = sync.last_seen("42")
    await come(redis, names, ["42"])
    here = await fl.last_seen("42")
    await redis.srem(names.online(partition_of("user:42")), "42")
    await redis.zadd(key, {"42": (now - timedelta(days=31)).timestamp() * 1000})

    assert away is not None and abs(away - left) < timedelta(milliseconds=2)
    assert blocking == away
    assert here is not None and timedelta() <= here - now + timedelta(seconds=1) < timedelta(seconds=10)
    assert await fl.last_seen("42") is None
