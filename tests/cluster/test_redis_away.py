"""Redis stops and comes back: sockets stay, nothing false is said, and all works again by itself (§3.5)."""

from __future__ import annotations

import asyncio

import pytest

import fairlead
from tests.support.client import client, connected
from tests.support.redis import Server
from tests.support.replica import replicas, wait_until


async def test_sockets_outlive_a_restart_of_redis(own_server: Server, prefix: str) -> None:
    with replicas(2, own_server.url, prefix, lease_seconds=3) as fleet:
        async with connected(fleet[0].url, "a") as a, connected(fleet[1].url, "b") as b:
            for who in (a, b):
                await who.ask("join_session", session_id="s")

            own_server.stop()
            refused = await a.ask("message", session_id="s", content="lost?")
            pong = await b.ask("ping")
            await asyncio.to_thread(wait_until, lambda: not fleet[0].is_ready(), 8, "readiness tells the truth")
            async with client(fleet[0].url, "newcomer") as newcomer:
                code, _ = await newcomer.closed(15)
            async with fairlead.connect(own_server.url, prefix=prefix, timeout_seconds=0.5) as backend:
                with pytest.raises(fairlead.Unavailable):
                    await backend.send_to_user("a", {"type": "x"})

            own_server.start()
            for replica in fleet:
                await asyncio.to_thread(replica.wait_ready)

            assert (refused["type"], refused["code"]) == ("error", "unavailable")
            assert pong["type"] == "pong"
            assert code == 4102
            answer = await a.ask("message", session_id="s", content="again")
            assert answer["type"] == "reply", answer
            assert (await b.until("new_message"))["content"] == "again"
            async with fairlead.connect(own_server.url, prefix=prefix) as backend:
                assert (await backend.send_to_user("b", {"type": "hello"})).receivers == 1
                assert {member.user_id for member in await backend.presence("session:s")} == {"a", "b"}
            await b.until("hello")


async def test_a_replica_that_starts_before_redis_serves_when_redis_comes(own_server: Server, prefix: str) -> None:
    from tests.support.replica import Replica

    own_server.stop()
    replica = Replica(own_server.url, prefix, name="early")
    try:
        replica.launch()
        await asyncio.to_thread(replica.wait_listening)
        assert (replica.status("/healthz"), replica.status("/readyz")) == (200, 503)

        own_server.start()
        await asyncio.to_thread(replica.wait_ready)

        async with connected(replica.url, "u") as one:
            assert (await one.ask("ping"))["type"] == "pong"
    finally:
        replica.close()


async def test_killed_subscriptions_come_back(own_server: Server, prefix: str) -> None:
    with replicas(1, own_server.url, prefix) as (replica,):
        async with (
            fairlead.connect(own_server.url, prefix=prefix) as backend,
            connected(replica.url, "u") as one,
        ):
            for _ in range(3):
                await backend._shards.ask(("CLIENT", "KILL", "TYPE", "pubsub"))
                async with asyncio.timeout(10):
                    while (await backend.send_to_user("u", {"type": "knock"})).receivers == 0:
                        await asyncio.sleep(0.05)
                await one.until("knock")
