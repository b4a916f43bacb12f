"""What is done over HTTP holds on every replica: sent once, answered anywhere, awaited until a replica leaves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from uuid import uuid4

import pytest

from tests.support.client import connected
from tests.support.replica import Replica, replicas, token
from tests.support.rest import Rest, rest

HELLO = {"type": "hello"}


@pytest.fixture
def leaving(redis_url: str, prefix: str) -> Iterator[list[Replica]]:
    """Two replicas, one of which a test sends away."""
    with replicas(2, redis_url, prefix, drain_linger_seconds=1, drain_seconds=1) as fleet:
        yield fleet


async def test_sent_again_through_another_replica_it_is_said_once(fleet: list[Replica]) -> None:
    user, name = uuid4().hex, uuid4().hex
    async with (
        connected(fleet[1].url, user) as client,
        rest(fleet[0], "operator") as one,
        rest(fleet[1], "operator") as other,
    ):
        sent = [
            await api.post(f"/users/{user}/messages", {"message": HELLO, "message_id": "mine"}) for api in (one, other)
        ]
        patched = [
            await api.post(f"/instances/{name}/patch", {"patch": {"a": 1}, "patch_id": 1}) for api in (one, other)
        ]
        told = [
            await api.post("/notify", {"user_id": user, "title": "t", "message": "m", "notification_id": "n"})
            for api in (one, other)
        ]
        asked = [
            await api.post("/confirmations", {"responders": [user], "message": "?", "idempotency_key": user})
            for api in (one, other)
        ]
        await client.ask("ack", message_ids=["n"])
        seen = await asyncio.gather(*(api.get(f"/notifications/{told[0]['id']}") for api in (one, other)))

        assert [one["duplicate"] for one in sent] == [False, True]
        assert [one["duplicate"] for one in patched] == [False, True] and {one["version"] for one in patched} == {1}
        assert told[0] == told[1]
        assert asked[0]["callback_id"] == asked[1]["callback_id"]
        assert [one["channels"]["websocket"] for one in seen] == ["delivered", "delivered"]
        types = [(await client.next())["type"] for _ in range(3)]
        assert sorted(types) == ["hello", "notification", "task_step_result"]
        await client.silent()


async def test_answered_over_http_every_dialog_on_every_replica_closes(fleet: list[Replica]) -> None:
    one, other = uuid4().hex, uuid4().hex
    async with (
        connected(fleet[0].url, one) as here,
        connected(fleet[1].url, one) as there,
        connected(fleet[1].url, other) as colleague,
        rest(fleet[0], "operator") as operator,
        rest(fleet[1], "", one) as answering,
    ):
        question = await operator.post("/confirmations", {"responders": [one, other], "message": "?"})
        path = f"/confirmations/{question['callback_id']}"
        for client in (here, there, colleague):
            assert (await client.until("task_step_result"))["callback_id"] == question["callback_id"]

        waiting = asyncio.create_task(operator.get(path, wait=20))
        await answering.post(f"{path}/answer", {"proceed": True})

        found = await asyncio.wait_for(waiting, 5)
        assert (found["status"], found["answer"]["by"], found["answer"]["source"]) == ("answered", one, "rest")
        for client in (here, there, colleague):
            closed = await client.until("confirm_closed")
            assert (closed["callback_id"], closed["by"]) == (question["callback_id"], one)


async def test_all_pending_questions_and_tasks_of_the_fleet_are_listed_anywhere(fleet: list[Replica]) -> None:
    users = {uuid4().hex for _ in range(30)}
    async with rest(fleet[0], "operator") as operator, rest(fleet[1], "viewer") as viewer:
        await asyncio.gather(
            *(operator.post("/confirmations", {"responders": [user], "message": "?"}) for user in users),
            *(operator.ask("PUT", f"/tasks/{user}", {"owner": user}) for user in users),
        )

        asked = [item["responders"][0] for item in await _all(viewer, "/confirmations")]
        tasks = [item["task_id"] for item in await _all(viewer, "/tasks")]

        assert {f"user:{user}" for user in users} <= set(asked)
        assert users <= set(tasks) and len(tasks) == len(set(tasks))


async def _all(api: Rest, path: str) -> list[dict[str, str | list[str]]]:
    items: list[dict[str, str | list[str]]] = []
    page = await api.get(path, limit=7)
    items += page["items"]
    while page["cursor"]:
        page = await api.get(path, limit=7, cursor=page["cursor"])
        items += page["items"]
    return items


async def test_whoever_waits_is_answered_when_the_replica_leaves_and_waits_at_another(leaving: list[Replica]) -> None:
    async with rest(leaving[0], "operator") as one, rest(leaving[1], "operator") as other:
        question = await one.post("/confirmations", {"responders": ["ann"], "message": "?"})
        path = f"/confirmations/{question['callback_id']}"
        waiting = asyncio.create_task(one.get(path, wait=30))
        await _waits(leaving[0])

        began = time.monotonic()
        stopping = asyncio.create_task(asyncio.to_thread(leaving[0].stop))
        found = await asyncio.wait_for(waiting, 12)
        assert (found["status"], time.monotonic() - began < 12) == ("pending", True)
        assert await stopping == 0

        waiting = asyncio.create_task(other.get(path, wait=30))
        async with rest(leaving[1], "", "ann") as ann:
            await ann.post(f"{path}/answer", {"proceed": False})
        assert (await asyncio.wait_for(waiting, 5))["status"] == "answered"


async def test_an_acknowledgement_is_waited_for_at_another_replica_when_one_leaves(leaving: list[Replica]) -> None:
    wish = {"message": HELLO, "message_id": "m-1", "requires_ack": True, "ack_timeout": 20}
    async with (
        rest(leaving[0], "operator") as one,
        rest(leaving[1], "operator") as other,
        connected(leaving[1].url, "ann") as ann,
    ):
        waiting = asyncio.create_task(one.ask("POST", "/users/ann/messages", wish))
        assert (await ann.until("hello"))["id"] == "m-1"
        stopping = asyncio.create_task(asyncio.to_thread(leaving[0].stop))
        status, problem = await asyncio.wait_for(waiting, 12)
        assert (status, problem["title"], problem["id"]) == (503, "unavailable", "m-1")

        again = asyncio.create_task(other.post("/users/ann/messages", wish))
        await ann.ask("ack", message_ids=["m-1"])
        receipt = await asyncio.wait_for(again, 5)
        assert (receipt["status"], receipt["duplicate"]) == ("delivered", True)
        await stopping


async def _waits(replica: Replica) -> None:
    """Give a request the time to arrive: another one, made after it, has been answered."""
    async with rest(replica, "operator") as api:
        await api.get("/confirmations")


async def test_a_replica_that_ends_breaks_off_what_goes_on_without_a_fault(redis_url: str, prefix: str) -> None:
    head = "POST /api/v1/websocket/broadcast HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    head += f"Authorization: Bearer {token('olga', role='operator')}\r\nContent-Length: 100\r\n\r\n{{"
    with replicas(1, redis_url, prefix) as (replica,):
        sockets = [await asyncio.open_connection(replica.host, replica.port) for _ in range(5)]
        for _, writer in sockets:
            writer.write(head.encode())
            await writer.drain()
        async with rest(replica, "operator") as api:
            await api.get("/stats")

        assert await asyncio.to_thread(replica.stop) == 0
        answers = [await asyncio.wait_for(reader.read(), 5) for reader, _ in sockets]
        for _, writer in sockets:
            writer.close()

        assert [answer.split(b" ")[1] for answer in answers] == [b"503"] * 5
        assert "Traceback" not in replica.log
