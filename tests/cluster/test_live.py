"""Who watches live sees what passes by on every replica, and costs nothing once it has gone (ADM-2)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import pytest

import fairlead
from fairlead.backend.backend import Backend
from tests.support.client import Client, Frame, connected
from tests.support.redis import Server
from tests.support.replica import Replica, replicas, token, wait_until

LASTS = 15.0
"""Seconds after which replicas forget a watcher that they hear nothing of."""

SETTINGS: Mapping[str, Any] = {"lease_seconds": 3, "presence_grace_seconds": 1, "rate_messages_per_second": 0}


@pytest.fixture(scope="module")
def trio(redis_url: str) -> Iterator[list[Replica]]:
    """Three replicas that tests leave as they were."""
    with replicas(3, redis_url, "live", **SETTINGS) as fleet:
        yield fleet


@pytest.fixture
async def fl(redis_url: str) -> AsyncIterator[Backend]:
    async with fairlead.connect(redis_url, prefix="live") as fl:
        yield fl


def new(what: str) -> str:
    return f"{what}-{uuid4().hex[:8]}"


@asynccontextmanager
async def admin(replica: Replica, role: str = "viewer", **wish: Any) -> AsyncIterator[Client]:
    """Somebody who looks at the fleet, and watches what *wish* says if it says something."""
    async with connected(f"{replica.url}/admin/monitor", new("admin"), role=role) as client:
        if wish:
            reply = await client.ask("watch_live", **wish)
            assert reply["type"] == "reply", reply
        yield client


async def shown(client: Client, accepts: Callable[[list[Frame]], object], seconds: float = 10) -> list[Frame]:
    """All that *client* is shown from now on, until the whole of it is accepted."""
    items: list[Frame] = []
    async with asyncio.timeout(seconds):
        while not accepts(items):
            items += (await client.until("live", seconds))["items"]
    return items


def named(items: list[Frame], name: str) -> list[Frame]:
    return [item for item in items if name in (item.get("message_type"), item.get("event"))]


def logged(replica: Replica, event: str) -> bool:
    return any(entry["event"] == event for entry in replica.events())


async def test_messages_of_all_replicas_are_shown_once_with_all_who_get_them(trio: list[Replica], fl: Backend) -> None:
    type, users = new("news"), [new("u") for _ in trio]
    async with (
        connected(trio[1].url, users[1]),
        connected(trio[2].url, users[2]),
        connected(trio[2].url, users[2]),
        admin(trio[0], types=[f"{type}*"], events=[]) as client,
    ):
        sent = {user: await fl.send_to_user(user, {"type": type}) for user in users}
        items = await shown(client, lambda items: len(named(items, type)) >= 2)
        told: set[str] = set()
        while not any(item["receivers"] == 4 for item in named(items, f"{type}-all")):
            assert len(told) < 20, "replicas that tell of it within one tick are added up"
            told.add((await fl.broadcast({"type": f"{type}-all"})).id)
            items += await shown(client, len)

    assert {(item["replica"].partition("-")[0], item["channel"], item["id"]) for item in named(items, type)} == {
        ("r2", f"user:{users[1]}", sent[users[1]].id),
        ("r3", f"user:{users[2]}", sent[users[2]].id),
    }, "nobody heard what was sent to the first"
    assert {item["channel"]: item["receivers"] for item in named(items, type)} == {
        f"user:{users[1]}": 1,
        f"user:{users[2]}": 2,
    }
    broadcasts = [item["id"] for item in named(items, f"{type}-all")]
    assert len(broadcasts) == len(set(broadcasts))
    assert set(broadcasts) <= told


async def test_comings_and_goings_of_all_replicas_are_shown(trio: list[Replica]) -> None:
    async with admin(trio[0], messages=False, events=["connection", "disconnection"]) as client:
        users = [new("u") for _ in trio]
        for replica, user in zip(trio, users, strict=True):
            async with connected(replica.url, user):
                pass
        items = await shown(client, lambda items: len(named(items, "disconnection")) >= 3)

    for event in ("connection", "disconnection"):
        found = [(item["user_id"], item["replica"].partition("-")[0]) for item in named(items, event)]
        assert sorted(found, key=lambda one: one[1]) == list(zip(users, ("r1", "r2", "r3"), strict=True))
    assert {item["kind"] for item in items} == {"event"}


async def test_what_is_more_than_wanted_is_counted_over_all_replicas(trio: list[Replica], fl: Backend) -> None:
    type, user, count = new("flood"), new("u"), 400
    async with (
        connected(trio[1].url, user) as reader,
        admin(trio[0], types=[type], events=[], max_per_second=10) as client,
    ):
        await asyncio.gather(*(fl.send_to_user(user, {"type": type}) for _ in range(count)))
        items: list[Frame] = []
        dropped = 0
        async with asyncio.timeout(10):
            while len(items) + dropped < count:
                live = await client.until("live")
                items, dropped = items + live["items"], dropped + live["dropped"]
        for _ in range(count):
            await reader.until(type)

    assert len(items) + dropped == count
    assert 10 <= len(items) <= 110
    assert len({item["id"] for item in items}) == len(items)


async def test_two_watchers_on_two_replicas_see_what_each_wants(trio: list[Replica], fl: Backend) -> None:
    one, two, user = new("one"), new("two"), new("u")
    async with (
        connected(trio[2].url, user),
        admin(trio[0], types=[one], events=[]) as first,
        admin(trio[1], types=[two], events=[]) as second,
    ):
        for type in (one, two):
            await fl.send_to_user(user, {"type": type})

        assert [item["message_type"] for item in await shown(first, len)] == [one]
        assert [item["message_type"] for item in await shown(second, len)] == [two]


async def test_a_plain_user_is_refused_and_a_lower_role_ends_it(trio: list[Replica]) -> None:
    user = new("u")
    async with connected(trio[0].url, user) as plain:
        assert (await plain.ask("watch_live"))["code"] == "forbidden"
    async with connected(f"{trio[0].url}/admin/monitor", user, role="viewer") as client:
        await client.ask("watch_live", types=["none"], events=[])
        await client.say("refresh", token=token(user))
        assert (await client.closed())[0] == 4403
    await asyncio.to_thread(wait_until, lambda: logged(trio[2], "tap ended"), 5, "the others look no more")


async def test_how_the_fleet_is_doing_reaches_admins_on_all_replicas(trio: list[Replica]) -> None:
    async with (
        admin(trio[0]) as first,
        admin(trio[1]) as second,
        connected(trio[2].url, new("u"), role="admin") as another,
    ):
        async with connected(trio[2].url, user := new("u")):
            for client in (first, second):
                await client.until(lambda frame: (frame["type"], frame.get("user_id")) == ("user_status_update", user))
                told = await client.until(lambda frame: frame.get("total_connections") == 4)
                assert (told["type"], told["alerts"]) == ("stats_update", 0)
                assert sorted(one["total_connections"] for one in told["replicas"]) == [1, 1, 2]
        await another.ask("ping")
        assert len(another.frames) == 1, "who has the role, and came another way, hears nothing of it"


async def test_when_the_watchers_replica_dies_the_others_stop_by_themselves(redis_url: str, prefix: str) -> None:
    with replicas(2, redis_url, prefix, **SETTINGS) as (near, far):
        async with admin(near, types=["none"], events=["none"]):
            await asyncio.to_thread(wait_until, lambda: logged(far, "tap begun"), 5, "the other looks")
            near.kill()
            await asyncio.to_thread(
                wait_until, lambda: logged(far, "tap ended by itself"), LASTS + 5, "the other looks no more"
            )


async def test_a_watch_outlives_redis_and_takes_in_replicas_that_come_later(own_server: Server, prefix: str) -> None:
    with replicas(2, own_server.url, prefix, **SETTINGS) as (near, far):
        async with admin(near, messages=False, events=["connection"]) as client:
            own_server.restart()
            for replica in (near, far):
                await asyncio.to_thread(replica.wait_ready)
            await _seen_by(client, far)

            with Replica(own_server.url, prefix, name="late", **SETTINGS) as late:
                await _seen_by(client, late)


async def _seen_by(client: Client, replica: Replica) -> None:
    """Return when what happens at *replica* is shown, which takes until it is told again that somebody looks."""
    users: set[str] = set()
    async with asyncio.timeout(20):
        while True:
            users.add(user := new("u"))
            async with connected(replica.url, user):
                pass
            await client.ask("ping")
            for frame in client.frames:
                if any(item.get("user_id") in users for item in frame.get("items", ())):
                    return
            await asyncio.sleep(0.2)
