"""History and audit trail, page by page, whatever else stands in the streams."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis

from fairlead.names import Names
from fairlead.questions import audit
from fairlead.redis.connect import open_async
from fairlead_gateway.rest import trails
from tests.support.replica import Replica
from tests.support.rest import Rest, rest

NAMES = Names("test_trails")


@pytest.fixture
async def trail(redis_url: str) -> AsyncIterator[Redis]:
    """A way to the replica's Redis, in which there is no trail yet."""
    async with open_async(redis_url, NAMES) as client:
        await client.delete(NAMES.connection_history, NAMES.audit)
        yield client


async def ended(redis: Redis, *users: str) -> None:
    """One connection of each of *users* has ended."""
    async with redis.pipeline(transaction=False) as pipeline:
        for number, user in enumerate(users):
            facts = {
                "connection_id": f"c{number}",
                "user_id": user,
                "connected_at": 1_700_000_000.25,
                "ended_at": 1_700_000_060,
                "code": 4003,
                "reason": "kicked",
                "replica": "r",
                "address": "10.0.0.1",
                "device_id": "",
            }
            pipeline.xadd(NAMES.connection_history, {"facts": json.dumps(facts)})
        await pipeline.execute()


async def pages(api: Rest, path: str, **query: Any) -> list[list[dict[str, Any]]]:
    """All pages, until there is no cursor."""
    found = [await api.get(path, **query)]
    while found[-1]["cursor"]:
        found.append(await api.get(path, cursor=found[-1]["cursor"], **query))
    return [page["items"] for page in found]


async def test_history_tells_who_when_how_long_and_why(replica: Replica, trail: Redis) -> None:
    await ended(trail, "42")
    async with rest(replica) as api:
        ((record,),) = await pages(api, "/history")

    assert record == {
        "connection_id": "c0",
        "user_id": "42",
        "connected_at": "2023-11-14T22:13:20.250Z",
        "ended_at": "2023-11-14T22:14:20.000Z",
        "seconds": 59.75,
        "code": 4003,
        "reason": "kicked",
        "replica": "r",
        "address": "10.0.0.1",
        "device_id": "",
    }


@pytest.mark.parametrize("limit", [1, 3, 7, 8])
async def test_every_record_comes_once_the_latest_first(replica: Replica, trail: Redis, limit: int) -> None:
    await ended(trail, *"1234567")
    async with rest(replica) as api:
        found = await pages(api, "/history", limit=limit)

    assert [record["user_id"] for page in found for record in page] == list("7654321")
    assert all(len(page) == limit for page in found[:-1])


async def test_the_records_of_one_user_are_found_among_thousands_of_others(replica: Replica, trail: Redis) -> None:
    others = ["x"] * (trails.MOST_READ + 700)
    await ended(trail, "ann", *others, "ann", "ben", "ann")
    async with rest(replica) as api:
        first = await api.get("/history", user_id="ann", limit=2)
        found = await pages(api, "/history", user_id="ann", limit=2)

    assert [record["connection_id"] for record in first["items"]] == ["c5703", "c5701"]
    assert [record["connection_id"] for page in found for record in page] == ["c5703", "c5701", "c0"]


async def test_what_somebody_else_wrote_into_the_streams_is_passed_over(replica: Replica, trail: Redis) -> None:
    await ended(trail, "42")
    for name in (NAMES.connection_history, NAMES.audit):
        await trail.xadd(name, {"facts": "{", b"\xff": b"\xfe"})
        await trail.xadd(name, {"facts": json.dumps({"user_id": "42", "code": "x"})})
    await trail.xadd(NAMES.audit, {"event": b"\xff", "by": b"\xfe"})
    await trail.xadd(NAMES.audit, {"event": "late"}, id="18446744073709551615-1")
    async with rest(replica) as api:
        (history,) = await pages(api, "/history")
        (trail_,) = await pages(api, "/audit")

    assert [record["user_id"] for record in history] == ["42"]
    assert [record["event"] for record in trail_] == ["late", "\ufffd"]
    assert trail_[0]["at"].startswith("9999-")


async def test_the_audit_trail_tells_who_did_what(replica: Replica, trail: Redis) -> None:
    for number in range(3):
        facts = {"by": "admin", "to": f"user:{number}", "reason": "", "code": "4003"}
        await trail.execute_command(*audit.written(NAMES, "disconnected", facts))
    async with rest(replica) as api:
        found = await pages(api, "/audit", limit=2)

    assert [len(page) for page in found] == [2, 1]
    record = found[0][0]
    assert (record["event"], record["by"], record["facts"]) == (
        "disconnected",
        "admin",
        {"to": "user:2", "code": "4003"},
    )
    assert record["at"].endswith("Z") and "-" in record["id"]


@pytest.mark.parametrize("cursor", ["1", "-", "+", "(1-1", "0-0", "1-1 COUNT", "9" * 20 + "-1", "1-" + "9" * 20])
async def test_a_cursor_of_nobody_is_refused(replica: Replica, cursor: str) -> None:
    async with rest(replica) as api:
        assert await api.refused("GET", "/audit", cursor=cursor) == (422, "invalid_message")
