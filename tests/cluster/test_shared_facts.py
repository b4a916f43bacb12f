"""Who is alive, connected and present, over all replicas (CON-5, ST-4, I5, I6)."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from uuid import uuid4

from redis.asyncio import Redis
from websockets.exceptions import ConnectionClosed

import fairlead
from fairlead.backend.backend import Backend
from fairlead.names import Names
from tests.support.client import Client, client, connected
from tests.support.replica import Replica, replicas


async def test_a_user_has_at_most_five_connections_over_all_replicas(fleet: list[Replica]) -> None:
    async with AsyncExitStack() as stack:
        tries = [await stack.enter_async_context(client(fleet[number % 2].url, "greedy")) for number in range(12)]
        ends = await asyncio.gather(*(_greeting_or_code(one) for one in tries))

    assert sorted(ends, key=str) == [4429] * 7 + ["connection_established"] * 5


async def test_a_seat_is_free_again_when_its_connection_has_closed(fleet: list[Replica]) -> None:
    for number in range(12):
        async with connected(fleet[number % 2].url, "restless"):
            pass


async def test_the_oldest_is_evicted_where_the_policy_says_so(redis_url: str, prefix: str) -> None:
    settings = {"user_limit_policy": "evict", "max_connections_per_user": 2}
    with replicas(2, redis_url, prefix, **settings) as fleet:
        async with AsyncExitStack() as stack:
            devices = [await stack.enter_async_context(connected(fleet[n % 2].url, "u")) for n in range(3)]

            code, reason = await devices[0].closed()

            assert (code, reason.partition(":")[0]) == (4009, "replaced")
            assert (await devices[1].ask("ping"))["type"] == "pong"


async def test_a_single_connection_replaces_the_one_before_on_another_replica(redis_url: str, prefix: str) -> None:
    with replicas(2, redis_url, prefix, user_limit_policy="single") as fleet:
        async with connected(fleet[0].url, "u") as first, connected(fleet[1].url, "u") as second:
            assert (await first.closed())[0] == 4009
            assert (await second.ask("ping"))["type"] == "pong"


async def test_presence_is_the_same_from_every_side(fleet: list[Replica], backend: Backend) -> None:
    session = f"s-{uuid4().hex[:8]}"
    async with connected(fleet[0].url, "ann") as ann, connected(fleet[1].url, "ben") as ben:
        for who in (ann, ben):
            await who.ask("join_session", session_id=session)

        seen = [await who.ask("presence", channel=f"session:{session}") for who in (ann, ben)]

        assert seen[0]["users"] == seen[1]["users"]
        assert [(user["user_id"], user["connections"]) for user in seen[0]["users"]] == [("ann", 1), ("ben", 1)]
        assert {member.user_id for member in await backend.presence(f"session:{session}")} == {"ann", "ben"}
        assert {"ann", "ben"} <= await backend.online_users()
    async with asyncio.timeout(5):
        while await backend.is_online("ann"):
            await asyncio.sleep(0.02)


async def test_a_crashed_replica_is_swept_by_another_and_its_seats_are_free(redis_url: str, prefix: str) -> None:
    with replicas(2, redis_url, prefix, lease_seconds=3, max_connections_per_user=2) as fleet:
        async with fairlead.connect(redis_url, prefix=prefix) as backend, AsyncExitStack() as stack:
            for _ in range(2):
                await stack.enter_async_context(connected(fleet[0].url, "u"))
            bystander = await stack.enter_async_context(connected(fleet[1].url, "v"))

            fleet[0].kill()

            assert (await bystander.ask("ping"))["type"] == "pong"
            async with asyncio.timeout(15):
                while await backend.is_online("u"):
                    await asyncio.sleep(0.1)
            for _ in range(2):
                await stack.enter_async_context(connected(fleet[1].url, "u"))
            assert await backend.is_online("v")


async def test_a_stopped_replica_leaves_nothing_behind(redis_url: str, redis: Redis, prefix: str) -> None:
    with replicas(1, redis_url, prefix) as (replica,):
        async with client(replica.url, "u") as one:
            await one.next()
            await one.ask("join_session", session_id="s")
            status = await asyncio.to_thread(replica.stop)
            code, _ = await one.closed()

        left = {key async for key in redis.scan_iter(f"{prefix}:*")} - {Names(prefix).connection_history.encode()}

    assert (status, code) == (0, 4200)
    assert not [key for key in left if b"conns" in key or b"here" in key or b"online" in key or b"replica" in key]


async def _greeting_or_code(one: Client) -> str | int:
    try:
        return str((await one.next())["type"])
    except ConnectionClosed as end:
        return end.rcvd.code if end.rcvd else 1006
