"""Connections are seen, pinged and ended through any replica, whatever shape Redis has (DEP-3)."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from tests.support.client import connected
from tests.support.replica import replicas
from tests.support.rest import rest
from tests.support.topologies import SHAPES

USERS = [f"user-{number}" for number in range(12)]
"""Enough for several in every shard."""


@pytest.mark.parametrize("shape", SHAPES)
async def test_one_replica_sees_and_ends_what_another_holds(shape: str, prefix: str) -> None:
    with SHAPES[shape]() as url, replicas(2, url, prefix, lease_seconds=3) as fleet:
        async with AsyncExitStack() as stack:
            api = await stack.enter_async_context(rest(fleet[0], "operator", "oscar"))
            clients = {user: await stack.enter_async_context(connected(fleet[1].url, user)) for user in USERS}
            ids = {user: client.frames[0]["connection_id"] for user, client in clients.items()}

            listed = await api.get("/connections", limit=len(USERS))
            assert {one["connection_id"] for one in listed["items"]} == set(ids.values())
            assert (listed["cursor"], listed["silent"]) == ("", [])
            for user in USERS:
                (one,) = (await api.get(f"/users/{user}/connections"))["items"]
                assert (
                    one["connection_id"] == (await api.get(f"/connections/{ids[user]}"))["connection_id"] == ids[user]
                )
                (pong,) = (await api.post(f"/ping/{user}"))["answers"]
                assert pong["round_trip_ms"] > 0

            first, *others = USERS
            await api.post(f"/connections/{ids[first]}/disconnect", {"reason": "first"})
            done = await api.post("/users/disconnect", {"user_ids": others, "reason": "others"})
            assert {one["user_id"] for one in done["closed"]} == set(others)
            for user, client in clients.items():
                assert await client.closed() == (4003, f"kicked: {'first' if user == first else 'others'}")

            async with asyncio.timeout(10):
                while len(trail := (await api.get("/audit"))["items"]) < len(USERS):
                    pass
                while len(past := (await api.get("/history"))["items"]) < len(USERS):
                    pass
            assert {entry["facts"]["connection_id"] for entry in trail} == set(ids.values())
            assert {entry["by"] for entry in trail} == {"oscar"}
            assert {one["connection_id"] for one in past} == set(ids.values())
