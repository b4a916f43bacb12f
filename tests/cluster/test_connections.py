"""Connections of the whole fleet, listed, pinged and ended through whichever replica one happens to ask."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from tests.support.client import Client, client, connected
from tests.support.replica import Replica, replicas
from tests.support.rest import Rest, rest


@pytest.fixture(scope="module")
def fleet_prefix() -> str:
    return "connections"


@asynccontextmanager
async def crowd(fleet: list[Replica], *users: str) -> AsyncIterator[list[Client]]:
    """One connection of each of *users*, by turns on each replica."""
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(connected(fleet[number % len(fleet)].url, user))
            for number, user in enumerate(users)
        ]


def id_of(one: Client) -> str:
    id: str = one.frames[0]["connection_id"]
    return id


async def everybody(api: Rest, path: str = "/connections", **query: Any) -> list[dict[str, Any]]:
    """All pages of a list."""
    page = await api.get(path, **query)
    items: list[dict[str, Any]] = page["items"]
    while page["cursor"]:
        page = await api.get(path, cursor=page["cursor"], **query)
        items += page["items"]
    assert page["silent"] == []
    return items


# -- seeing them ---------------------------------------------------------------------------------------


async def test_the_whole_fleet_is_listed_page_by_page_the_latest_first(fleet: list[Replica]) -> None:
    async with crowd(fleet, *(f"u{n}" for n in range(11))) as clients:
        ids = sorted(map(id_of, clients), reverse=True)
        for replica in fleet:
            async with rest(replica) as api:
                for limit in (1, 4, 11, 500):
                    assert [one["connection_id"] for one in await everybody(api, limit=limit)] == ids
                found = await everybody(api)

    assert {one["replica"][:3] for one in found} == {"r1-", "r2-"}
    assert all(one["quality"] == "unknown" and one["is_alive"] for one in found)


async def test_who_comes_and_goes_meanwhile_hides_nobody_who_stays(fleet: list[Replica]) -> None:
    async with crowd(fleet, *(f"stays{n}" for n in range(6))) as staying, rest(fleet[0]) as api:
        seen: list[str] = []
        cursor = ""
        async with AsyncExitStack() as others:
            while True:
                page = await api.get("/connections", limit=2, cursor=cursor)
                seen += [one["connection_id"] for one in page["items"]]
                cursor = page["cursor"]
                if not cursor:
                    break
                await others.enter_async_context(connected(fleet[len(seen) % 2].url, f"comes{len(seen)}"))
                async with connected(fleet[1].url, f"goes{len(seen)}"):
                    pass

    assert [id for id in seen if id in set(map(id_of, staying))] == sorted(map(id_of, staying), reverse=True)
    assert len(seen) == len(set(seen))


async def test_filters_say_which(fleet: list[Replica]) -> None:
    async with crowd(fleet, "ann", "ann", "ben") as (first, second, third), rest(fleet[1]) as api:
        await second.ask("join_session", session_id="s1")
        await third.ask("join_session", session_id="s1")
        replica = first.frames[0]["replica"]

        async def users(**query: Any) -> list[str]:
            return sorted(one["user_id"] for one in await everybody(api, **query))

        assert await users(user_id="ann") == ["ann", "ann"]
        assert await users(session_id="s1") == ["ann", "ben"]
        assert await users(session_id="s1", user_id="ann") == ["ann"]
        assert await users(replica=replica) == ["ann", "ben"]
        assert await users(replica=replica, user_id="ann") == ["ann"]
        assert await users(q="AN") == ["ann", "ann"]
        assert await users(q=id_of(third)[-12:]) == ["ben"]
        assert await users(instance="none") == await users(user_id="nobody") == await users(replica="none") == []
        found = await everybody(api, "/sessions/s1/connections", limit=1)
        assert sorted(one["user_id"] for one in found) == ["ann", "ben"]


async def test_one_connection_is_shown_with_all_that_is_known_of_it(fleet: list[Replica]) -> None:
    async with connected(fleet[0].url, "ann") as ann, rest(fleet[1]) as api:
        await ann.ask("subscribe", channels=["topic:b", "topic:a"])
        found = await api.get(f"/connections/{id_of(ann)}")

    assert (found["channels"], found["outbox_bytes"], found["device_id"]) == (["topic:a", "topic:b"], 0, None)
    assert (found["format"], found["is_compressed"], found["subprotocol"]) == ("json", False, None)
    assert found["expires_at"] > found["connected_at"]


async def test_one_may_see_ones_own_and_nobody_elses(fleet: list[Replica]) -> None:
    async with crowd(fleet, "ann", "ann"), rest(fleet[0], role="", user="ann") as ann:
        assert len(await everybody(ann, "/users/ann/connections")) == 2
        assert await ann.refused("GET", "/users/ben/connections") == (403, "forbidden")
        assert await ann.refused("GET", "/connections") == (403, "forbidden")
    async with rest(fleet[0]) as viewer:
        assert await everybody(viewer, "/users/ann/connections") == []


# -- ending them ---------------------------------------------------------------------------------------


async def audited(api: Rest, **facts: str) -> list[dict[str, Any]]:
    """Entries of the audit trail with these facts, once there are any."""
    async with asyncio.timeout(5):
        while True:
            entries = (await api.get("/audit"))["items"]
            if found := [entry for entry in entries if facts.items() <= {**entry["facts"], "by": entry["by"]}.items()]:
                return found


async def test_a_connection_is_ended_on_another_replica_and_it_is_written_down(fleet: list[Replica]) -> None:
    async with crowd(fleet, "ann", "ann") as (first, second), rest(fleet[1], role="operator", user="oscar") as api:
        done = await api.post(f"/connections/{id_of(first)}/disconnect", {"reason": "spams"})

        assert await first.closed() == (4003, "kicked: spams")
        assert done == {
            "closed": [{"connection_id": id_of(first), "user_id": "ann", "replica": first.frames[0]["replica"]}],
            "count": 1,
            "silent": [],
        }
        (entry,) = await audited(api, connection_id=id_of(first))
        assert (entry["event"], entry["by"]) == ("disconnected", "oscar")
        assert entry["facts"] == {
            "to": "user:ann",
            "connection_id": id_of(first),
            "code": "4003",
            "reason": "spams",
            "replica": first.frames[0]["replica"],
        }
        assert (await second.ask("ping"))["type"] == "pong"
        assert await api.refused("POST", f"/connections/{id_of(first)}/disconnect", {}) == (404, "not_found")
        past = (await api.get("/history", user_id="ann"))["items"]
        assert [one["reason"] for one in past if one["connection_id"] == id_of(first)] == ["kicked: spams"]


async def test_users_are_ended_wherever_they_are(fleet: list[Replica]) -> None:
    async with crowd(fleet, "cat", "cat", "dan", "eve") as clients, rest(fleet[0], role="operator") as api:
        done = await api.post("/users/disconnect", {"user_ids": ["cat", "dan", "nobody", "cat"], "code": 4401})

        assert {one["connection_id"] for one in done["closed"]} == set(map(id_of, clients[:3]))
        assert done["count"] == 3
        for one in clients[:3]:
            assert await one.closed() == (4401, "token_expired")
        assert (await clients[3].ask("ping"))["type"] == "pong"
        assert await api.post("/users/disconnect", {"user_id": "nobody"}) == {"closed": [], "count": 0, "silent": []}


@pytest.mark.parametrize(
    ("body", "code", "reason"),
    [
        ({}, 4003, "kicked"),
        ({"code": 4200, "reason": "update"}, 4200, "drain: 0"),
        ({"code": 4401, "reason": "log in again"}, 4401, "token_expired: log in again"),
        ({"reason": "é" * 100}, 4003, "kicked: " + "é" * 57),
    ],
    ids=["kicked", "drain", "token", "long"],
)
async def test_what_the_client_reads(fleet: list[Replica], body: dict[str, Any], code: int, reason: str) -> None:
    async with connected(fleet[0].url, "fay") as fay, rest(fleet[1], role="operator") as api:
        await api.post("/users/disconnect", {"user_id": "fay", **body})

        assert await fay.closed() == (code, reason)


# -- pinging them --------------------------------------------------------------------------------------


async def test_a_ping_measures_the_way_to_every_connection_of_a_user(fleet: list[Replica]) -> None:
    async with crowd(fleet, "gus", "gus") as clients, rest(fleet[0], role="operator") as api:
        for _ in range(3):
            pinged = await api.post("/ping/gus")
            answers = {one["connection_id"]: one for one in pinged["answers"]}

            assert answers.keys() == set(map(id_of, clients))
            assert all(0 < one["round_trip_ms"] < 2000 and one["is_alive"] for one in answers.values())
            assert {one["replica"][:3] for one in answers.values()} == {"r1-", "r2-"}
        seen = await everybody(api, user_id="gus")
        nobody = await api.post("/ping/nobody")

    assert [(one["last_ping"], one["last_pong"]) for one in seen] == [(None, None)] * 2, "the heartbeat has seen none"
    assert (nobody["answers"], nobody["silent"]) == ([], [])


async def test_who_does_not_answer_is_told_of_in_time(fleet: list[Replica]) -> None:
    async with client(fleet[0].url, "hal") as deaf, connected(fleet[1].url, "hal") as hal:
        await deaf.next()
        deaf.websocket.transport.pause_reading()
        async with rest(fleet[1], role="operator") as api:
            pinged = await api.post("/ping/hal", timeout=0.3)
            found = {one["connection_id"]: one["round_trip_ms"] for one in pinged["answers"]}

            assert found[id_of(deaf)] is None and found[id_of(hal)] > 0
            assert await api.refused("POST", "/ping/hal", timeout=10.5) == (422, "invalid_message")
        deaf.websocket.transport.resume_reading()


async def test_a_crowd_of_pings_is_no_flood_for_who_answers_them(fleet: list[Replica]) -> None:
    async with connected(fleet[0].url, "ida") as ida, rest(fleet[1], role="operator") as api:
        for _ in range(15):
            await asyncio.gather(*(api.post("/ping/ida") for _ in range(20)))

        assert (await ida.ask("ping"))["type"] == "pong"


# -- replicas that say nothing ---------------------------------------------------------------------------


@pytest.fixture
def frail(redis_url: str) -> Iterator[list[Replica]]:
    """Two replicas, one of which a test may freeze."""
    with replicas(2, redis_url, "frail", lease_seconds=30) as fleet:
        yield fleet


async def test_a_replica_that_does_not_answer_is_named(frail: list[Replica]) -> None:
    async with crowd(frail, "ann", "ann") as (first, second), rest(frail[0], role="operator") as api:
        name = second.frames[0]["replica"]
        frail[1].freeze()
        try:
            everything, ann, of_it, pinged, missed, done = await asyncio.gather(
                api.get("/connections"),
                api.get("/users/ann/connections"),
                api.get("/connections", replica=name),
                api.post("/ping/ann", timeout=0.2),
                api.refused("GET", f"/connections/{id_of(second)}"),
                api.post("/users/disconnect", {"user_id": "ann"}),
            )
        finally:
            frail[1].thaw()
        answers = (everything, ann, of_it, pinged, done)
        assert [answer["silent"] for answer in answers] == [[name]] * len(answers)
        assert missed == (503, "unavailable")
        assert of_it["items"] == []
        assert {one["connection_id"] for page in (everything, ann) for one in page["items"]} <= {id_of(first)}
        assert [one["connection_id"] for one in done["closed"]] == [id_of(first)]
        assert (await second.closed())[0] == 4003, "it obeys when it can"
