"""People over all replicas: who reloads or is moved has not left, who is gone has left once (ST-4, ST-5, I5)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from uuid import uuid4

import pytest

import fairlead
from tests.support.client import Client, Frame, connected
from tests.support.replica import Replica, replicas

LEASE = 3.0
GRACE = 2.0
SWEPT = LEASE + 3.0
"""How soon after a crash another replica has swept, at the latest."""


@pytest.fixture
def trio(redis_url: str, prefix: str) -> Iterator[list[Replica]]:
    """Three replicas whose users come back within two seconds."""
    with replicas(
        3, redis_url, prefix, lease_seconds=LEASE, presence_grace_seconds=GRACE, rate_messages_per_second=0
    ) as fleet:
        yield fleet


async def watching(stack: AsyncExitStack, replica: Replica, session: str = "") -> Client:
    """Somebody who hears everybody's status, and sits in a session if one is named."""
    watcher = await stack.enter_async_context(connected(replica.url, f"w-{uuid4().hex[:8]}"))
    await watcher.ask("subscribe", channels=["topic:presence"])
    if session:
        await watcher.ask("join_session", session_id=session)
    return watcher


async def sitting(stack: AsyncExitStack, replica: Replica, session: str, user: str) -> Client:
    """A client that came by the path of a session; it hangs up without reading what is left."""
    client = await stack.enter_async_context(connected(f"{replica.url}/chat/session/{session}", user))
    stack.callback(client.websocket.transport.abort)
    return client


async def heard(client: Client, user: str) -> list[Frame]:
    """All that *client* has been told about a user until now."""
    await client.ask("ping")
    return [frame for frame in client.frames if frame.get("user_id") == user and frame["type"] != "new_message"]


def kinds(frames: list[Frame]) -> list[tuple[str, str]]:
    return sorted((frame["type"], str(frame.get("status", ""))) for frame in frames)


async def until_told(client: Client, user: str, type: str, status: str, seconds: float) -> Frame:
    """The first frame of this kind about a user."""
    async with asyncio.timeout(seconds):
        while True:
            for frame in await heard(client, user):
                if (frame["type"], frame.get("status", "")) == (type, status):
                    return frame
            await asyncio.sleep(0.05)


async def test_a_reload_and_a_move_to_another_replica_are_no_news(trio: list[Replica]) -> None:
    session = f"s-{uuid4().hex[:8]}"
    async with AsyncExitStack() as stack:
        host = await watching(stack, trio[2], session)
        for replica in (*trio[:2], *trio[:2]):
            async with connected(f"{replica.url}/chat/session/{session}", "ann"):
                await until_told(host, "ann", "session_joined", "", 5)
        last = await sitting(stack, trio[0], session, "ann")
        await asyncio.sleep(GRACE * 1.6)

        assert kinds(await heard(host, "ann")) == [
            ("session_joined", ""),
            ("user_status_update", "online"),
            ("user_status_update", "online"),
        ], "by the session and by the topic"
        assert (await last.ask("ping"))["type"] == "pong"


async def test_of_a_killed_replica_each_departure_is_told_once(
    trio: list[Replica], redis_url: str, prefix: str
) -> None:
    session = f"s-{uuid4().hex[:8]}"
    users = [f"u{n}" for n in range(20)]
    async with AsyncExitStack() as stack, fairlead.connect(redis_url, prefix=prefix) as backend:
        hosts = [await watching(stack, replica, session) for replica in trio[1:]]
        for user in users:
            await sitting(stack, trio[0], session, user)
        stays = await sitting(stack, trio[1], session, users[0])
        for user in users:
            await until_told(hosts[0], user, "session_joined", "", 5)
        began = datetime.now(UTC)

        trio[0].kill()
        killed_at = time.monotonic()
        for user in users[1:]:
            for host in hosts:
                await until_told(host, user, "session_left", "", SWEPT + GRACE + 2)
                await until_told(host, user, "user_status_update", "offline", 3)
        took = time.monotonic() - killed_at
        await asyncio.sleep(GRACE)

        for host in hosts:
            for user in users[1:]:
                said = kinds(await heard(host, user))
                assert said.count(("session_left", "")) == 1, user
                assert said.count(("user_status_update", "offline")) == 2, "by the session and by the topic"
            assert ("session_left", "") not in kinds(await heard(host, users[0]))
        assert took < 12 + GRACE
        assert await backend.online_count() == 3
        seen = await backend.last_seen(users[1])
        assert seen is not None
        assert 0 <= (seen - began).total_seconds() <= SWEPT
        assert (await stays.ask("ping"))["type"] == "pong"


async def test_nobody_has_left_when_all_come_back_after_a_crash(trio: list[Replica]) -> None:
    session = f"s-{uuid4().hex[:8]}"
    users = [f"u{n}" for n in range(60)]
    async with AsyncExitStack() as stack:
        host = await watching(stack, trio[2], session)
        for user in users:
            await sitting(stack, trio[0], session, user)
        for user in users:
            await until_told(host, user, "session_joined", "", 10)
        before = {user: kinds(await heard(host, user)) for user in users}

        trio[0].kill()
        await asyncio.gather(*(sitting(stack, trio[1 + n % 2], session, user) for n, user in enumerate(users)))
        await asyncio.sleep(SWEPT + GRACE + 1)

        assert {user: kinds(await heard(host, user)) for user in users} == before
        answer = await host.ask("presence", channel=f"session:{session}")
        assert answer["count"] == 61


async def test_rolling_the_fleet_is_no_departure(trio: list[Replica]) -> None:
    session = f"s-{uuid4().hex[:8]}"
    users = [f"u{n}" for n in range(10)]
    async with AsyncExitStack() as stack:
        host = await watching(stack, trio[2], session)
        clients = [await sitting(stack, trio[0], session, user) for user in users]
        for user in users:
            await until_told(host, user, "session_joined", "", 5)
        before = {user: kinds(await heard(host, user)) for user in users}

        stopping = asyncio.create_task(asyncio.to_thread(trio[0].stop))
        moves = (_moved(stack, one, trio[1], session, user) for one, user in zip(clients, users, strict=True))
        ends = await asyncio.gather(*moves)
        assert await stopping == 0
        await asyncio.sleep(GRACE * 1.6)

        assert set(ends) == {4200}
        assert {user: kinds(await heard(host, user)) for user in users} == before


async def _moved(stack: AsyncExitStack, one: Client, heir: Replica, session: str, user: str) -> int:
    """The code that a client is closed with; it has come back elsewhere."""
    code, _ = await one.closed()
    await sitting(stack, heir, session, user)
    return code


async def test_the_last_of_two_devices_on_two_replicas_is_the_one_that_counts(trio: list[Replica]) -> None:
    session = f"s-{uuid4().hex[:8]}"
    async with AsyncExitStack() as stack:
        host = await watching(stack, trio[2], session)
        async with connected(f"{trio[0].url}/chat/session/{session}", "ann"):
            async with connected(f"{trio[1].url}/chat/session/{session}", "ann"):
                await until_told(host, "ann", "session_joined", "", 5)
            await asyncio.sleep(GRACE * 1.6)
            while_one_is_left = kinds(await heard(host, "ann"))
        left = await until_told(host, "ann", "session_left", "", GRACE + 3)
        offline = await until_told(host, "ann", "user_status_update", "offline", 3)

        assert while_one_is_left.count(("session_joined", "")) == 1
        assert ("session_left", "") not in while_one_is_left
        assert left["session_id"] == session
        assert offline["last_seen"] <= offline["timestamp"]


async def test_who_is_cut_off_while_typing_has_stopped_for_those_on_other_replicas(trio: list[Replica]) -> None:
    session = f"s-{uuid4().hex[:8]}"
    async with AsyncExitStack() as stack:
        watcher = await sitting(stack, trio[1], session, "ben")
        typist = await sitting(stack, trio[0], session, "ann")
        await typist.ask("typing", is_typing=True)
        assert (await watcher.until("typing"))["is_typing"] is True

        typist.websocket.transport.abort()

        assert (await watcher.until("typing", 3))["is_typing"] is False


async def test_what_is_read_on_one_replica_is_known_to_all_devices_of_both(trio: list[Replica]) -> None:
    session = f"s-{uuid4().hex[:8]}"
    async with AsyncExitStack() as stack:
        desk = await sitting(stack, trio[0], session, "ann")
        pocket = await stack.enter_async_context(connected(trio[1].url, "ann"))
        phone = await sitting(stack, trio[1], session, "ben")
        tablet = await stack.enter_async_context(connected(trio[2].url, "ben"))
        said = await desk.ask("message", content="hello", message_id="m-1")
        again = await desk.ask("message", content="hello", message_id="m-1")
        await phone.until("new_message")

        replies = [await phone.ask("read", session_id=session, message_id=said["message_id"]) for _ in range(2)]
        updates = [await device.until("message_status_update") for device in (desk, pocket, tablet)]

        assert again["duplicate"] is True
        assert [reply["duplicate"] for reply in replies] == [False, True]
        for update in updates:
            assert (update["message_id"], update["status"], update["user_id"]) == (said["message_id"], "read", "ben")
        for device in (desk, pocket, tablet, phone):
            await device.ask("ping")
            assert sum(frame["type"] == "message_status_update" for frame in device.frames) == (device is not phone)
