"""A Redis whose memory is full: what is refused is refused whole, what frees or only reads goes on."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from redis.asyncio import Redis

import fairlead
from fairlead.names import Names
from tests.support.redis import Server

USER = "user:42"


async def state_of(redis: Redis, names: Names) -> list[Any]:
    """All that a publish would change."""
    log, meta, seen, _ = names.of_durable(USER)
    return [await redis.xrange(log), await redis.hgetall(meta), await redis.zrange(seen, 0, -1)]


async def test_without_memory_nothing_is_half_stored_and_all_is_well_again_with_it(binary: str, names: Names) -> None:
    with Server("--maxmemory-policy", "noeviction", binary=binary) as server:
        redis = Redis.from_url(server.url)
        async with fairlead.connect(server.url, prefix=names.prefix) as fl:
            await fl.grant_session("s", ["a", "b"])
            await fl.send_to_user("42", {"type": "x"})
            before = await state_of(redis, names)
            await redis.config_set("maxmemory", 1)

            with pytest.raises(fairlead.Unavailable, match="no memory left") as refused:
                await asyncio.wait_for(fl.send_to_user("42", {"type": "x"}, message_id="m-2"), 3)
            with pytest.raises(fairlead.Unavailable, match="no memory left"):
                await fl.grant_session("s", ["c"])
            assert await state_of(redis, names) == before
            assert refused.value.detail == {"message_id": "m-2", "unknown": False}
            await fl.revoke_session("s", ["b"])
            assert not await fl.is_online("42")
            assert (await fl.send_to_topic("t", {"type": "x"})).receivers == 0, "what is not stored goes through"
            sync = fairlead.connect_sync(server.url, prefix=names.prefix)
            with sync, pytest.raises(fairlead.Unavailable, match="no memory left"):
                await asyncio.to_thread(sync.send_to_user, "42", {"type": "x"})

            await redis.config_set("maxmemory", 0)
            sent = await fl.send_to_user("42", {"type": "x"}, message_id="m-2")

        assert (sent.offset, sent.duplicate) == (2, False)
        assert await redis.smembers(names.members("s")) == {b"a"}
        await redis.aclose()


async def test_a_new_prefix_cannot_begin_without_memory(binary: str, names: Names) -> None:
    with Server("--maxmemory-policy", "noeviction", binary=binary) as server:
        redis = Redis.from_url(server.url)
        await redis.config_set("maxmemory", 1)
        async with fairlead.connect(server.url, prefix=names.prefix) as fl:
            with pytest.raises(fairlead.Unavailable, match="no memory left"):
                await asyncio.wait_for(fl.send_to_topic("t", {"type": "x"}), 3)
        await redis.aclose()
