"""What backends are told is written in order, waits while Redis is away, and is bounded."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from fairlead.errors import HandlerTimeout
from fairlead.ids import uuid7
from fairlead.names import Names
from fairlead.publishing.replies import Replies
from fairlead.redis.calls import run
from fairlead.redis.connect import open_async
from fairlead.streams import answers
from fairlead.streams.answers import Asked
from fairlead_gateway.facts import streams as module
from fairlead_gateway.facts import told as of_told
from fairlead_gateway.facts.lane import Lane
from fairlead_gateway.facts.streams import Streams
from fairlead_gateway.facts.told import Limits, Told
from tests.gateway.patience import until, until_asked
from tests.support.redis import Server

LIMITS = Limits(events=1000, inbound=1000, inbound_bytes=2**20, connections=1000, connection_days=7)


@asynccontextmanager
async def writing(redis: Redis, answer_seconds: float = 5.0) -> AsyncIterator[Streams]:
    lane = Lane(redis, answer_seconds)
    streams = Streams(lane)
    task = asyncio.create_task(streams.run())
    yield streams
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await lane.aclose()


@asynccontextmanager
async def telling(redis: Redis, names: Names, limits: Limits = LIMITS) -> AsyncIterator[Told]:
    lane, replies = Lane(redis), Replies(redis, names)
    yield Told(lane, names, replies, Streams(lane), "r1", limits)
    await lane.aclose()
    await replies.aclose()


async def numbers(redis: Redis, stream: str) -> list[int]:
    return [int(fields[b"n"]) for _, fields in await redis.xrange(stream)]


async def test_what_redis_takes_is_there_in_order(redis: Redis, names: Names) -> None:
    async with writing(redis) as streams:
        for n in range(1000):
            streams.write("XADD", names.events, "*", "n", n)
        await until_asked(lambda: numbers_are(redis, names, 1000))

    assert await numbers(redis, names.events) == list(range(1000))


async def numbers_are(redis: Redis, names: Names, count: int) -> bool:
    return await redis.xlen(names.events) >= count


async def test_what_redis_cannot_take_waits_in_order(own_server: Server, names: Names) -> None:
    redis = open_async(own_server.url, names)
    async with writing(redis) as streams:
        own_server.stop()
        with capture_logs() as logs:
            for n in range(600):
                streams.write("XADD", names.events, "*", "n", n)
                if n == 300:
                    await until(lambda: streams._owed)
            await asyncio.to_thread(own_server.start)
            await until_asked(lambda: numbers_are(redis, names, 600), 10)
            await until(lambda: not streams._is_behind.is_set())
        streams.write("XADD", names.events, "*", "n", 600)
        await until_asked(lambda: numbers_are(redis, names, 601))
    found = await numbers(redis, names.events)
    await redis.aclose()

    assert found == list(range(601))
    assert [entry["event"] for entry in logs] == ["streams cannot be written, and wait", "streams are written again"]


async def test_too_much_of_it_puts_out_the_oldest_and_is_counted(
    monkeypatch: pytest.MonkeyPatch, own_server: Server, names: Names
) -> None:
    monkeypatch.setattr(module, "OWED", 50)
    redis = open_async(own_server.url, names)
    async with writing(redis) as streams:
        own_server.stop()
        with capture_logs() as logs:
            streams.write("XADD", names.events, "*", "n", 0)
            await until(lambda: streams._owed)
            for n in range(1, 80):
                streams.write("XADD", names.events, "*", "n", n)
            await asyncio.to_thread(own_server.start)
            await until_asked(lambda: numbers_are(redis, names, 50), 10)
    found = await numbers(redis, names.events)
    await redis.aclose()

    assert found == list(range(30, 80))
    assert streams.dropped == 30
    assert "entries of streams are lost: Redis is away for too long" in [entry["event"] for entry in logs]


async def test_facts_that_json_does_not_know_are_told_all_the_same(redis: Redis, names: Names) -> None:
    facts = {"error": ValueError("a secret"), 7: object, "content": "private", "when": None}
    async with telling(redis, names) as told:
        told.event("error", facts)  # type: ignore[arg-type]
        told.event("x", {})
        await until_asked(lambda: numbers_are(redis, names, 2))
    (_, first), (_, second) = await redis.xrange(names.events)

    written = json.loads(first[b"facts"])
    assert (first[b"event"], first[b"replica"], first[b"id"], second[b"id"]) == (b"error", b"r1", b"r1-1", b"r1-2")
    assert (written["error"], written["when"]) == ("ValueError", None)
    assert "content" not in written and "7" in written


async def test_the_history_of_connections_is_bounded_by_number_and_by_age(
    monkeypatch: pytest.MonkeyPatch, redis: Redis, names: Names
) -> None:
    monkeypatch.setattr(of_told, "TRIM_EVERY", 2)
    stream = names.connection_history
    async with telling(redis, names, LIMITS._replace(connections=100, connection_days=1e-9)) as told:
        for _ in range(500):
            told.ended(uuid7(), "42", 1000, "")
        await until_asked(lambda: has(redis, stream))
        await told._lane.call("PING")
    async with telling(redis, names, LIMITS._replace(connections=0)) as none:
        before = await redis.xlen(stream)
        none.ended(uuid7(), "42", 1000, "")
        await none._lane.call("PING")

    assert 0 < before <= 250, "streams are trimmed a node of about a hundred entries at a time"
    assert await redis.xlen(stream) == before


async def has(redis: Redis, stream: str) -> bool:
    return bool(await redis.exists(stream))


# -- asking backends ------------------------------------------------------------------------------------


def asked(ask_id: str = "a-1") -> Asked:
    return Asked(ask_id, "42", "c1", "q1", "")


async def ask(told: Told, about: Asked, seconds: float = 5.0) -> Any:
    return await told.ask("quote", about, {"action": "quote", "id": "q1"}, seconds, user_id="42", connection_id="c1")


async def test_an_answer_that_was_written_without_a_hint_is_found(redis: Redis, names: Names) -> None:
    async with telling(redis, names) as told:
        asking = asyncio.create_task(ask(told, asked()))
        await until_asked(lambda: has(redis, names.inbound))
        ((_, entry),) = await redis.xrange(names.inbound)
        await run(redis, *answers.answer(names, asked(), answers.success({"n": 1}), ""))
        collected = await asking

    assert answers.result_of(collected.answer) == {"n": 1}
    assert (entry[b"id"], entry[b"ref"], entry[b"action"], entry[b"user_id"]) == (b"a-1", b"q1", b"quote", b"42")
    assert entry[b"reply"].decode().startswith(f"{names.prefix}:{{")


async def test_who_waits_no_longer_says_so(redis: Redis, names: Names) -> None:
    async with telling(redis, names) as told:
        with pytest.raises(HandlerTimeout):
            await ask(told, asked(), 0.1)
        given = answers.given(await run(redis, *answers.answer(names, asked(), answers.success({}), "")))

    assert (given.state, given.is_first) == ("late", True)


async def test_an_answer_in_the_last_moment_counts(redis: Redis, names: Names) -> None:
    async with telling(redis, names) as told:
        asking = asyncio.create_task(ask(told, asked(), 0.5))
        await until_asked(lambda: has(redis, names.inbound))
        await asyncio.sleep(0.4)
        await run(redis, *answers.answer(names, asked(), answers.success({"n": 2}), ""))
        collected = await asking

    assert answers.result_of(collected.answer) == {"n": 2}


async def test_where_clients_say_long_things_fewer_of_them_are_kept(redis: Redis, names: Names) -> None:
    async with telling(redis, names) as told:
        for n in range(400):
            told.message(f"m-{n}", "session:s", {"content": "x" * 20_000}, user_id="42")
        await until_asked(lambda: was_written(redis, names, "m-399"))

    kept = await redis.xlen(names.inbound)
    assert 50 < kept < 70, "a megabyte of them, as far as their mean size is known by now"


async def was_written(redis: Redis, names: Names, message_id: str) -> bool:
    last = await redis.xrevrange(names.inbound, count=1)
    return bool(last) and last[0][1][b"id"] == message_id.encode()
