"""The sums of the fleet are what its clients have seen, whichever replicas die, freeze, come back or end (I7)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from redis.asyncio import Redis

import fairlead
from fairlead.names import Names
from fairlead.state.statistics import TEN
from tests.support.client import connected
from tests.support.recorder import Recorder, recording, talk, until_quiet
from tests.support.replica import Replica, replicas
from tests.support.rest import rest

LEASE = 3.0
SWEPT = LEASE + 6.0
ROOMS = ("s1", "s2")


@pytest.fixture
def trio(redis_url: str, prefix: str) -> Iterator[list[Replica]]:
    with replicas(3, redis_url, prefix, lease_seconds=LEASE, presence_grace_seconds=1) as fleet:
        yield fleet


async def is_listed(through: Replica, name: str, is_alive: bool) -> bool:
    async with rest(through) as api:
        listed = (await api.get("/replicas"))["items"]
    return [one["is_alive"] for one in listed if one["replica"].startswith(f"{name}-")] == [is_alive]


async def until_listed(through: Replica, name: str, is_alive: bool, seconds: float) -> None:
    async with asyncio.timeout(seconds):
        while not await is_listed(through, name, is_alive):
            await asyncio.sleep(0.1)


async def samples(redis: Redis, names: Names) -> list[dict[str, Any]]:
    entries = await redis.xrange(names.stats_history)
    return [orjson.loads(dict(fields)[b"sample"]) for _, fields in entries]


async def test_sums_are_what_clients_saw_whoever_dies_freezes_or_ends(
    trio: list[Replica], redis: Redis, names: Names, redis_url: str, prefix: str
) -> None:
    async with recording() as recorder:
        for number, replica in enumerate(trio):
            for room in (*ROOMS, ""):
                await recorder.sit(replica, f"u{number}{room}", room)
            await recorder.sit(replica, "everywhere")
        await talk(recorder, 3)
        first = await until_quiet(recorder, trio[0])
        assert [one["total_connections"] for one in first["replicas"]] == [4, 4, 4]
        assert sum(one["messages_sent"] for one in first["replicas"]) == first["messages_sent"] > 0

        turn = (await redis.get(names.stats_turn)).decode()
        overseer = next(one for one in trio if turn.startswith(f"{one.name}-"))
        frozen, calm = (one for one in trio if one is not overseer)
        await _freeze(recorder, frozen, calm)
        await _kill(recorder, overseer, calm, redis, names)

        frozen.stop()
        await recorder.ended(frozen)
        await until_quiet(recorder, calm)
        assert not await is_listed(calm, frozen.name, True) and not await is_listed(calm, frozen.name, False)
        async with rest(calm) as api:
            sessions = (await api.get("/sessions"))["items"]
            online = (await api.get("/online-users"))["items"]
        assert {one["session_id"]: (one["connections"], one["people"]) for one in sessions} == dict.fromkeys(
            ROOMS, (1, 1)
        )
        assert {one["user_id"] for one in online} == {seat.user for seat in recorder.open}
        async with fairlead.connect(redis_url, prefix=prefix) as fl:
            async with asyncio.timeout(5):
                while (told := await fl.stats())["messages_received"] < recorder.ten["messages_received"]:
                    await asyncio.sleep(0.1)
        assert told == recorder.ten

    figures = [one["figures"] for one in await samples(redis, names)]
    for column, name in enumerate(TEN):
        if name in ("messages_sent", "messages_received", "errors"):
            values = [one[column] for one in figures]
            assert values == sorted(values), f"{name} went down"


async def _freeze(recorder: Recorder, frozen: Replica, calm: Replica) -> None:
    """One is taken for dead and comes back: it is counted once, and its connections are held again."""
    frozen.freeze()
    try:
        await until_listed(calm, frozen.name, False, SWEPT)
        async with rest(calm) as api, asyncio.timeout(SWEPT):
            while (await api.get("/stats"))["disconnections"] != 4:
                await asyncio.sleep(0.1)
            assert (await api.get("/stats"))["total_connections"] == 8
    finally:
        frozen.thaw()
    await until_listed(calm, frozen.name, True, SWEPT)
    await until_quiet(recorder, calm)
    await talk(recorder, 2)
    await until_quiet(recorder, frozen)


async def _kill(recorder: Recorder, overseer: Replica, calm: Replica, redis: Redis, names: Names) -> None:
    """The overseer dies: another goes on within three seconds or so, and what the dead counted stays."""
    overseer.kill()
    await recorder.ended(overseer)
    count = await redis.xlen(names.stats_history)
    died_at = time.monotonic()
    async with asyncio.timeout(10):
        while await redis.xlen(names.stats_history) <= count:
            await asyncio.sleep(0.05)
    assert time.monotonic() - died_at < 4.5
    await until_listed(calm, overseer.name, False, SWEPT)
    await until_quiet(recorder, calm)


async def test_the_past_is_told_in_steps(trio: list[Replica], redis: Redis, names: Names) -> None:
    async with recording() as recorder:
        await recorder.sit(trio[0], "42", "s1")
        # Rates are differences: what was counted before the first sample is in none of them.
        async with asyncio.timeout(10):
            while not await redis.xlen(names.stats_history):
                await asyncio.sleep(0.1)
        await talk(recorder, 2)
        count = await redis.xlen(names.stats_history)
        async with asyncio.timeout(10):
            while await redis.xlen(names.stats_history) < count + 3:
                await asyncio.sleep(0.1)
        async with rest(trio[1]) as api:
            minute = await api.get("/stats/history")
            hour = await api.get("/stats/history", window="hour")
            assert await api.refused("GET", "/stats/history?window=year") == (422, "invalid_message")

    assert (minute["window"], minute["step_seconds"], hour["step_seconds"]) == ("minute", 1, 30)
    assert minute["points"][-1]["connections"] == minute["points"][-1]["users"] == minute["points"][-1]["sessions"] == 1
    assert minute["rates"]["messages_received"] > 0
    assert minute["percentiles"]["action_ms"]["count"] > 0
    assert set(minute["percentiles"]) == {"round_trip_ms", "action_ms", "delivery_ms"}


async def test_lists_are_paged_and_details_are_told(trio: list[Replica], redis_url: str, prefix: str) -> None:
    async with recording() as recorder, fairlead.connect(redis_url, prefix=prefix) as fl:
        for number in range(7):
            await recorder.sit(trio[number % 3], f"u{number}", f"s{number}")
        await recorder.sit(trio[0], "u0", "s1")
        await fl.send_patch("counter", {"a.b": 1})
        await fl.send_to_session("s1", {"type": "hello"})
        async with rest(trio[2]) as api:
            for path, field in (("/sessions", "session_id"), ("/online-users", "user_id")):
                assert sorted(await _paged(api, path, field)) == [f"{field[0]}{number}" for number in range(7)]
                assert await api.refused("GET", f"{path}?cursor=x") == (422, "invalid_message")
            assert len(await _paged(api, "/replicas", "replica")) == 3
            session = await api.get("/sessions/s1")
            instance = await api.get("/instances/counter")
            assert (await api.get("/sessions/none"))["members"] == []
            async with connected(trio[0].http.replace("http", "ws") + "/ws/instance/counter", "u9"):
                async with asyncio.timeout(10):
                    while (await api.get("/instances"))["items"] != [{"instance": "counter", "connections": 1}]:
                        await asyncio.sleep(0.1)
                assert (await api.get("/instances/counter"))["connections"] == 1

    assert (session["connections"], session["people"]) == (2, 2)
    assert session["messages"] >= 1
    assert session["members"] == [{"user_id": "u0", "connections": 1}, {"user_id": "u1", "connections": 1}]
    assert instance == {"instance": "counter", "connections": 0, "version": 1, "state": {"a": {"b": 1}}, "messages": 1}


async def _paged(api: Any, path: str, field: str) -> list[str]:
    found: list[str] = []
    cursor, is_first = "", True
    while cursor or is_first:
        page = await api.get(path, cursor=cursor, limit=2)
        assert len(page["items"]) <= 2
        found += [one[field] for one in page["items"]]
        cursor, is_first = page["cursor"], False
    return found


async def test_only_who_may_see_the_fleet_sees_it(trio: list[Replica]) -> None:
    paths = ("/stats", "/stats/history", "/replicas", "/instances", "/instances/x", "/sessions", "/online-users")
    async with rest(trio[0], role="") as plain, rest(trio[0], user="") as nobody:
        for path in paths:
            assert await plain.refused("GET", path) == (403, "forbidden")
            assert await nobody.refused("GET", path) == (401, "unauthorized")
