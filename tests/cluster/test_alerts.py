"""A fleet that loses a replica tells it once, whoever is left to tell it, and shows how it is (ADM-4, ADM-5)."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from typing import Any

import pytest

from fairlead.names import Names
from fairlead.redis.connect import open_async
from tests.gateway.access.web import Web, response, serving
from tests.support.client import connected
from tests.support.redis import Server, free_port
from tests.support.replica import Replica, replicas
from tests.support.rest import rest

SECRET = "1f9c2b7d5e8a4c60b3d7f1e29a8c5b40"
LEASE_SECONDS = 3
DETECTED_SECONDS = LEASE_SECONDS + 4
"""The lease, a beat, and what the machine is behind."""


async def overseen_by(fleet: list[Replica]) -> Replica:
    """The replica that oversees the others, as soon as all of them have reported."""
    async with asyncio.timeout(20):
        async with rest(fleet[0]) as api:
            while len((await api.get("/stats"))["replicas"]) < len(fleet):
                await asyncio.sleep(0.05)
        while True:
            for replica in fleet:
                said = [event["event"] for event in replica.events() if "oversee" in str(event["event"])]
                if said and said[-1] == "overseeing the fleet":
                    return replica
            await asyncio.sleep(0.05)


async def reported(replica: Replica, other: Replica) -> None:
    """Return when the fleet has figures of *other*, as *replica* is told."""
    async with asyncio.timeout(20), rest(replica) as api:
        while True:
            ready = [one["replica"] for one in (await api.get("/replicas"))["items"] if one["is_ready"]]
            if any(name.startswith(f"{other.name}-") for name in ready):
                return
            await asyncio.sleep(0.05)


async def alerts_of(replica: Replica, rule: str, state: str, seconds: float = 30) -> list[dict[str, Any]]:
    """Alerts of a rule in a state, as soon as there are any."""
    async with asyncio.timeout(seconds), rest(replica) as api:
        while True:
            items = (await api.get("/alerts", state=state))["items"]
            if found := [one for one in items if one["rule"] == rule]:
                return found
            await asyncio.sleep(0.1)


@asynccontextmanager
async def hook() -> AsyncIterator[Web]:
    async with serving() as web:
        web.answer = response(b"", "204 No Content")
        yield web


def posted(web: Web) -> list[dict[str, Any]]:
    return [json.loads(request.partition(b"\r\n\r\n")[2]) for request in web.requests]


@pytest.mark.parametrize("victim", ["overseer", "another"])
async def test_a_replica_that_dies_is_told_once_and_again_when_it_is_back(
    redis_url: str, prefix: str, victim: str
) -> None:
    async with hook() as web, AsyncExitStack() as stack:
        options = {"lease_seconds": LEASE_SECONDS, "alert_webhook_url": web.url, "alert_webhook_secret": SECRET}
        with replicas(3, redis_url, prefix, **options) as fleet:
            overseer = await overseen_by(fleet)
            dies = overseer if victim == "overseer" else next(one for one in fleet if one is not overseer)
            others = [one for one in fleet if one is not dies]
            async with rest(others[0]) as api:
                assert (await api.get("/alerts"))["items"] == []
                assert (await api.get("/health"))["status"] == "healthy"

            watching = await stack.enter_async_context(connected(f"{others[1].url}/admin/monitor", "op", role="viewer"))
            killed = time.monotonic()
            await asyncio.to_thread(dies.kill)
            (alert,) = await alerts_of(others[0], "replica_lost", "firing")
            detected = time.monotonic() - killed
            assert detected < DETECTED_SECONDS
            assert alert["replica"].startswith(f"{dies.name}-") and alert["severity"] == "critical"
            async with rest(others[1]) as api:
                health = await api.get("/health")
            assert (health["status"], health["alerts"]) == ("degraded", 1)
            await web.was_asked(1)

            await asyncio.to_thread(dies.restart)
            (over,) = await alerts_of(others[1], "replica_lost", "resolved")
            await web.was_asked(2)
            async with rest(dies) as api:
                assert (await api.get("/health"))["status"] == "healthy"
            heard = [(await watching.until("alert"))["alert"] for _ in range(2)]
            logs = "".join(replica.log for replica in fleet)

    assert over["id"] == alert["id"] and over["until"] > over["since"]
    assert [(one["id"], one["state"]) for one in heard] == [(alert["id"], "firing"), (alert["id"], "resolved")]
    told = posted(web)
    assert [one["type"] for one in told] == ["alert.firing", "alert.resolved"]
    assert {one["data"]["id"] for one in told} == {alert["id"]}
    assert logs.count('"event":"alert"') == logs.count('"event":"alert is over"') == 1
    assert SECRET not in logs


async def test_a_worker_whose_successor_has_another_name_is_not_missed_for_long(redis_url: str, prefix: str) -> None:
    port = free_port()
    with replicas(1, redis_url, prefix) as watching, ExitStack() as stack:
        first = stack.enter_context(Replica(redis_url, prefix, name="pid1", port=port, lease_seconds=LEASE_SECONDS))
        await reported(watching[0], first)
        await asyncio.to_thread(first.kill)
        (alert,) = await alerts_of(watching[0], "replica_lost", "firing")

        stack.enter_context(Replica(redis_url, prefix, name="pid2", port=port, lease_seconds=LEASE_SECONDS))

        (over,) = await alerts_of(watching[0], "replica_lost", "resolved", seconds=10)
        async with rest(watching[0]) as api:
            assert (await api.get("/health"))["status"] == "healthy"

    assert over["id"] == alert["id"]


async def test_a_replica_that_ends_as_it_should_is_no_alert(redis_url: str, prefix: str) -> None:
    with replicas(2, redis_url, prefix, lease_seconds=LEASE_SECONDS) as fleet:
        await overseen_by(fleet)
        assert await asyncio.to_thread(fleet[0].stop) == 0
        await asyncio.sleep(LEASE_SECONDS + 2)

        async with rest(fleet[1]) as api:
            assert (await api.get("/alerts"))["items"] == []
            health = await api.get("/health")

    assert health["status"] == "healthy" and len(health["replicas"]) == 1


async def test_an_alert_that_redis_forgets_is_told_to_be_over(own_server: Server, prefix: str) -> None:
    options = {"lease_seconds": LEASE_SECONDS, "alert_webhook_secret": SECRET}
    async with hook() as web, open_async(own_server.url, Names(prefix)) as redis:
        with replicas(3, own_server.url, prefix, alert_webhook_url=web.url, **options) as fleet:
            for replica in fleet[1:]:
                await reported(fleet[0], replica)
            overseer = await overseen_by(fleet)
            dies = next(one for one in fleet if one is not overseer)
            await asyncio.to_thread(dies.kill)
            await alerts_of(overseer, "replica_lost", "firing")
            await web.was_asked(1)

            await redis.flushall()
            await web.was_asked(2)

            (over,) = await alerts_of(overseer, "replica_lost", "resolved")

    told = posted(web)
    assert [one["type"] for one in told] == ["alert.firing", "alert.resolved"]
    assert {one["data"]["id"] for one in told} == {over["id"]}


# -- health -----------------------------------------------------------------------------------------


@pytest.fixture
def frozen(own_server: Server, prefix: str) -> Iterator[list[Replica]]:
    """Two replicas, the second of which does nothing any more."""
    with replicas(2, own_server.url, prefix, lease_seconds=30) as fleet:
        fleet[1].freeze()
        yield fleet
        fleet[1].thaw()


async def test_who_does_not_answer_is_silent_and_the_fleet_degraded(frozen: list[Replica]) -> None:
    async with rest(frozen[0]) as api:
        health = await api.get("/health")

    states = {one["replica"].rpartition("-")[0]: one["status"] for one in health["replicas"]}
    assert states == {"r1": "healthy", "r2": "silent"}
    assert health["status"] == "degraded"
    (server,) = health["redis"]["servers"]
    assert health["redis"]["reachable"] and server["version"] and server["memory_bytes"] > 0


async def test_without_redis_the_fleet_is_unhealthy_and_says_so(own_server: Server, prefix: str) -> None:
    with Replica(own_server.url, prefix) as replica:
        own_server.stop()
        async with rest(replica) as api:
            health = await api.get("/health")

    assert health["status"] == "unhealthy"
    assert not health["redis"]["reachable"] and [one["reachable"] for one in health["redis"]["servers"]] == [False]
    assert [one["status"] for one in health["replicas"]] != ["healthy"]
