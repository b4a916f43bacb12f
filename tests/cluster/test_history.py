"""What was said through one replica is read through another, as far as it is kept, and nothing twice or never."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import msgpack
import pytest
from redis.asyncio import Redis
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

import fairlead
from fairlead.backend.backend import Backend
from fairlead.names import Names
from fairlead_gateway.pool.formats import MSGPACK_SUBPROTOCOL
from tests.support.client import Client, Frame, connected
from tests.support.replica import Replica, replicas, token
from tests.support.rest import rest

SIZE = 120
"""Messages kept."""


@pytest.fixture(scope="module")
def fleet(redis_url: str, fleet_prefix: str) -> Iterator[list[Replica]]:
    with replicas(2, redis_url, fleet_prefix, rate_messages_per_second=0, history_size=SIZE) as fleet:
        yield fleet


@pytest.fixture
async def backend(redis_url: str, fleet_prefix: str) -> AsyncIterator[Backend]:
    async with fairlead.connect(redis_url, prefix=fleet_prefix, history_size=SIZE) as backend:
        yield backend


@asynccontextmanager
async def members(fleet: list[Replica], session: str, *users: str) -> AsyncIterator[list[Client]]:
    """Each user at the next replica."""
    async with connected(f"{fleet[0].url}/chat/session/{session}", users[0]) as one:
        if len(users) == 1:
            yield [one]
            return
        async with members(fleet[::-1], session, *users[1:]) as others:
            yield [one, *others]


def contents(page: Frame) -> list[Any]:
    return [message["content"] for message in page["messages"]]


async def pages(client: Client, channel: str, limit: int) -> list[Frame]:
    """All of them, the newest first."""
    found = [await client.ask("history", channel=channel, limit=limit)]
    while found[-1]["more"]:
        found.append(await client.ask("history", channel=channel, limit=limit, before=found[-1]["before"]))
    return found


async def test_said_through_one_and_read_through_the_other(fleet: list[Replica], backend: Backend) -> None:
    async with members(fleet, "h-talk", "ann", "bob") as (ann, bob):
        for number in range(1, 8):
            await ann.ask("message", session_id="h-talk", content=number)
        heard = [await bob.until("new_message") for _ in range(7)]

        async with connected(f"{fleet[1].url}/chat/session/h-talk", "cyd") as cyd:
            found = await pages(cyd, "session:h-talk", 3)

        assert [contents(page) for page in found] == [[5, 6, 7], [2, 3, 4], [1]]
        assert [message for page in found[::-1] for message in page["messages"]] == heard
        assert contents(await ann.ask("history", channel="session:h-talk")) == [*range(1, 8)], "her own words are hers"
        past = await backend.history("session:h-talk", limit=3)
        assert (past.messages, past.offset, past.epoch) == (heard[4:], 7, found[0]["epoch"])
        async with rest(fleet[0], role="admin") as api:
            told = await api.get("/sessions/h-talk/messages?limit=3")
        assert told == past._asdict()


async def test_paging_leads_to_the_beginning_of_what_is_kept(fleet: list[Replica], backend: Backend) -> None:
    for number in range(1, 3 * SIZE + 1):
        await backend.send_to_session("h-long", {"type": "hello", "content": number})

    async with members(fleet, "h-long", "ann") as (ann,):
        found = await pages(ann, "session:h-long", 50)

    told = [content for page in found[::-1] for content in contents(page)]
    assert told == list(range(3 * SIZE + 1 - len(told), 3 * SIZE + 1))
    assert SIZE <= len(told) < SIZE + 100, "Redis lets whole nodes of a hundred go"
    assert found[0]["offset"] == 3 * SIZE


async def test_joining_and_reading_leaves_no_hole_while_somebody_talks(fleet: list[Replica]) -> None:
    async with members(fleet, "h-hole", "ann") as (ann,), connected(fleet[1].url, "bob") as bob:
        for number in range(1, 21):
            await ann.ask("message", session_id="h-hole", content=number)
        has_read = asyncio.Event()

        async def go_on() -> int:
            number = 20
            while not has_read.is_set():
                number += 1
                await ann.ask("message", session_id="h-hole", content=number)
            return number

        talking = asyncio.create_task(go_on())
        joined = await bob.ask("join_session", session_id="h-hole")
        stands_at = joined["channels"]["session:h-hole"]["offset"]
        older = await bob.ask("history", channel="session:h-hole", limit=100, before=stands_at + 1)
        newest = await bob.ask("history", channel="session:h-hole", limit=100)
        await bob.until("new_message")
        has_read.set()
        last = await talking
        await bob.until(lambda frame: frame.get("content") == last)
        live = [frame["content"] for frame in bob.frames if frame["type"] == "new_message"]

    assert contents(older) == list(range(max(1, stands_at - 99), stands_at + 1))
    assert live == list(range(stands_at + 1, last + 1))
    assert contents(newest)[-1] in (stands_at, *live)
    assert contents(newest) == list(range(contents(newest)[0], contents(newest)[-1] + 1))


async def test_in_msgpack_a_page_is_the_same(fleet: list[Replica], backend: Backend) -> None:
    await backend.send_to_session("h-packed", {"type": "hello", "content": {"Größe": [1, None, 2.5, 2**64 - 1]}})
    async with (
        members(fleet, "h-packed", "ann") as (ann,),
        connect(
            f"{fleet[1].url}/chat/session/h-packed",
            subprotocols=[Subprotocol(MSGPACK_SUBPROTOCOL), Subprotocol(f"bearer.{token('bob')}")],
        ) as socket,
    ):
        await socket.send(msgpack.packb({"action": "history", "id": "h1", "channel": "session:h-packed"}))
        async with asyncio.timeout(10):
            while (frame := msgpack.unpackb(await socket.recv())).get("ref") != "h1":
                pass
        plain = await ann.ask("history", channel="session:h-packed")

    assert frame | {"ref": ""} == plain | {"ref": ""}


async def test_when_redis_has_forgotten_offsets_begin_anew_under_another_epoch(
    fleet: list[Replica], backend: Backend, redis: Redis, fleet_prefix: str
) -> None:
    for number in range(5):
        await backend.send_to_session("h-lost", {"type": "before", "content": number})
    async with members(fleet, "h-lost", "ann") as (ann,):
        before = await ann.ask("history", channel="session:h-lost", limit=2)
        await redis.delete(*Names(fleet_prefix).of_durable("session:h-lost")[:3])
        forgotten = await ann.ask("history", channel="session:h-lost", limit=2)
        await backend.send_to_session("h-lost", {"type": "after", "content": "new"})
        notice = await ann.until("epoch_changed")
        after = await ann.ask("history", channel="session:h-lost", limit=2, before=before["before"])

    assert (forgotten["messages"], forgotten["offset"], forgotten["more"]) == ([], 0, False)
    assert (contents(after), after["offset"], after["more"]) == (["new"], 1, False)
    assert after["epoch"] == notice["epoch"] != before["epoch"]


async def test_what_one_may_not_hear_one_may_not_read(fleet: list[Replica], backend: Backend) -> None:
    await backend.send_to_session("h-secret", {"type": "hello"})
    async with connected(fleet[1].url, "eve", sessions=["s1"]) as eve:
        answers = [
            await eve.ask("history", channel=channel)
            for channel in ("session:h-secret", "user:ann", "role:admin", "topic:prices", "session:s1")
        ]
        await eve.ask("join_session", session_id="s1")
        joined = await eve.ask("history", channel="session:s1")

    assert [one["code"] for one in answers] == ["forbidden"] * 3 + ["invalid_message", "forbidden"]
    assert joined["type"] == "reply"
