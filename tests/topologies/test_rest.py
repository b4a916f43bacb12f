"""What operators do over HTTP, whatever shape Redis has (DEP-3)."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import pytest

from tests.support.client import connected
from tests.support.replica import replicas
from tests.support.rest import Rest, rest
from tests.support.topologies import SHAPES

USERS = [f"user-{number}" for number in range(12)]
"""Enough for several in every shard."""


@pytest.mark.parametrize("shape", SHAPES)
async def test_one_replica_does_what_another_shows(shape: str, prefix: str) -> None:
    with SHAPES[shape]() as url, replicas(2, url, prefix, lease_seconds=3) as fleet:
        async with AsyncExitStack() as stack:
            one = await stack.enter_async_context(rest(fleet[0], "operator"))
            other = await stack.enter_async_context(rest(fleet[1], "operator"))
            clients = {user: await stack.enter_async_context(connected(fleet[1].url, user)) for user in USERS}

            await asyncio.gather(
                *(one.post(f"/users/{user}/messages", {"message": {"type": "hello"}}) for user in USERS),
                *(one.ask("PUT", f"/tasks/{user}", {"owner": user, "progress": 1}) for user in USERS),
                *(one.post("/confirmations", {"responders": [user], "message": "?"}) for user in USERS),
            )
            told = {user: await one.post("/notify", {"user_id": user, "title": "t", "message": "m"}) for user in USERS}
            for user, client in clients.items():
                seen = await client.until("notification")
                await client.ask("ack", message_ids=[seen["id"]])
                found = await other.get(f"/notifications/{told[user]['id']}")
                assert found["channels"] == {"websocket": "delivered"}

            assert {task["task_id"] for task in await _all(other, "/tasks")} == set(USERS)
            questions = await _all(other, "/confirmations")
            assert {item["responders"][0] for item in questions} == {f"user:{user}" for user in USERS}
            for item in questions:
                user = item["responders"][0].removeprefix("user:")
                async with rest(fleet[0], "", user) as person:
                    await person.post(f"/confirmations/{item['callback_id']}/answer", {"proceed": True})
                assert (await clients[user].until("confirm_closed"))["by"] == user
            for user in USERS:
                assert (await other.post(f"/tasks/{user}/cancel"))["status"] == "cancelled"
            assert [await _all(one, path) for path in ("/tasks", "/confirmations")] == [[], []]


async def _all(api: Rest, path: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    cursor, is_first = "", True
    while cursor or is_first:
        is_first = False
        page = await api.get(path, limit=5, cursor=cursor)
        items += page["items"]
        cursor = page["cursor"]
    return items
