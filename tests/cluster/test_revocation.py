"""A revoked token is refused on every replica and its connections end, at once or once a partition has healed (T5)."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from typing import Any

import pytest

import fairlead
from fairlead.names import Names
from fairlead_gateway.access.minting import Wish, mint
from tests.support.cable import Cable
from tests.support.client import Client, client, connected
from tests.support.redis import Server
from tests.support.replica import SECRET, Replica, replicas, wait_until
from tests.support.rest import rest
from tests.support.topologies import SHAPES


def issued_ago(user: str, seconds: float = 10) -> str:
    return mint(SECRET, Wish(user), now=time.time() - seconds)


async def entered(stack: AsyncExitStack, replica: Replica, bearer: str) -> Client:
    """A live connection with this very token."""
    opened = await stack.enter_async_context(client(f"{replica.url}?wait=connect"))
    await opened.say("connect", token=bearer)
    assert (await opened.next())["type"] == "connection_established"
    return opened


async def revoke(replica: Replica, **what: Any) -> dict[str, Any]:
    async with rest(replica, "admin", "root") as api:
        done: dict[str, Any] = await api.post("/tokens/revoke", what)
    return done


async def refused(replica: Replica, bearer: str) -> int:
    async with client(f"{replica.url}?wait=connect") as late:
        await late.say("connect", token=bearer)
        return (await late.closed())[0]


async def test_three_replicas_close_and_refuse_within_two_seconds(redis_url: str, prefix: str) -> None:
    with replicas(3, redis_url, prefix) as fleet:
        async with AsyncExitStack() as stack:
            bearer = issued_ago("ann")
            clients = [await entered(stack, replica, bearer) for replica in fleet]
            other = await stack.enter_async_context(connected(fleet[1].url, "ben"))

            began = time.monotonic()
            done = await revoke(fleet[0], user_id="ann")
            codes = [(await one.closed(2))[0] for one in clients]
            seconds = time.monotonic() - began

            assert (done["closed"], done["silent"], codes) == (3, [], [4401] * 3)
            assert seconds < 2
            assert [await refused(replica, bearer) for replica in fleet] == [4401] * 3
            assert (await other.ask("ping"))["type"] == "pong"


async def test_who_was_told_nothing_finds_it_within_two_seconds(redis_url: str, prefix: str) -> None:
    """Written straight into the list, as by a replica that died before it could tell anybody."""
    with replicas(2, redis_url, prefix) as fleet:
        async with AsyncExitStack() as stack, fairlead.connect(redis_url, prefix=prefix) as backend:
            clients = [await entered(stack, replica, issued_ago("ann")) for replica in fleet]
            now = time.time()
            fields = {
                "id": "x",
                "token_id": "",
                "user_id": "ann",
                "before": now,
                "until": now + 60,
                "at": now,
                "by": "r",
            }
            flat = [str(part) for field in fields.items() for part in field]
            await backend._shards.ask(("XADD", Names(prefix).revoked, "*", *flat))

            assert [(await one.closed(2))[0] for one in clients] == [4401, 4401]


@pytest.mark.parametrize("how", ["cut", "silent"])
async def test_a_replica_that_was_away_from_redis_closes_within_five_seconds_of_its_return(
    redis_url: str, prefix: str, how: str
) -> None:
    port = int(redis_url.rsplit(":", 1)[1].split("/")[0])
    async with Cable(port) as cable, AsyncExitStack() as stack:
        here = stack.enter_context(replicas(1, redis_url, prefix))[0]
        away = Replica(cable.url, prefix, name="away")
        stack.callback(away.close)
        await asyncio.to_thread(away.launch)
        await asyncio.to_thread(away.wait_ready)
        bearer = issued_ago("ann")
        ann = await entered(stack, away, bearer)

        cable.up.block()
        cable.down.block()
        if how == "cut":
            cable.cut()
        await revoke(here, user_id="ann")
        await ann.silent(3)
        cable.clear()
        healed = time.monotonic()

        assert (await ann.closed(5))[0] == 4401
        assert time.monotonic() - healed < 5
        await asyncio.to_thread(away.wait_ready)
        assert await refused(away, bearer) == 4401


async def test_revocations_outlive_a_redis_that_keeps_nothing(own_server: Server, prefix: str) -> None:
    with replicas(2, own_server.url, prefix, lease_seconds=3) as fleet:
        bearer = issued_ago("ann")
        await revoke(fleet[0], user_id="ann")

        own_server.stop()
        own_server.start()
        for replica in fleet:
            await asyncio.to_thread(replica.wait_ready)
        assert await refused(fleet[1], bearer) == 4401, "it is still known"

        await asyncio.to_thread(wait_until, lambda: "wrote revoked tokens down again" in _logs(fleet), 15, "restored")
        async with rest(fleet[0], "admin", "root") as api:
            assert [one["user_id"] for one in (await api.get("/tokens/revoked"))["items"]] == ["ann"]
        fleet[1].restart()
        assert await refused(fleet[1], bearer) == 4401, "whoever starts now learns it, too"


def _logs(fleet: list[Replica]) -> str:
    return "".join(replica.log for replica in fleet)


async def test_a_replica_is_not_ready_before_it_has_read_the_list(own_server: Server, prefix: str) -> None:
    own_server.stop()
    replica = Replica(own_server.url, prefix, name="early")
    try:
        await asyncio.to_thread(replica.launch)
        await asyncio.to_thread(replica.wait_listening)
        async with rest(replica, user="") as api:
            answer = await api._http.get("/readyz")
        assert (answer.status_code, answer.json()["checks"]["revocations"]) == (503, False)

        own_server.start()
        await asyncio.to_thread(replica.wait_ready)
    finally:
        replica.close()


@pytest.mark.parametrize("shape", ["two servers", "sentinels", "a cluster"])
async def test_whatever_shape_redis_has(shape: str, prefix: str) -> None:
    with SHAPES[shape]() as url, replicas(2, url, prefix, lease_seconds=3) as fleet:
        async with AsyncExitStack() as stack:
            tokens = {user: issued_ago(user) for user in ("ann", "ben", "cho")}
            clients = {user: await entered(stack, fleet[1], bearer) for user, bearer in tokens.items()}

            for user, live in clients.items():
                assert (await revoke(fleet[0], user_id=user))["closed"] == 1
                assert (await live.closed(2))[0] == 4401
            assert {await refused(replica, bearer) for replica in fleet for bearer in tokens.values()} == {4401}
