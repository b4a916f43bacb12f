from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from redis.asyncio import Redis

from fairlead.errors import FairleadError
from fairlead.format.envelope import unseal
from fairlead.names import Names
from fairlead.publishing.publisher import Publisher
from fairlead.redis.connect import open_async
from fairlead.streams import ingress
from fairlead.streams.groups import Pace
from fairlead.streams.ingress import GROUP, Ingress, parcel
from tests.support.redis import Server

CONSUMER_THAT_DIES = """
import asyncio, os, sys
from fairlead.streams.ingress import Ingress
from fairlead.names import Names
from fairlead.publishing.publisher import Publisher
from fairlead.redis.connect import open_async

class Dying(Ingress):
    async def _acknowledge(self, done, rejected):
        os.kill(os.getpid(), 9)  # published, not acknowledged

async def main(url, prefix):
    names = Names(prefix)
    redis = open_async(url, names)
    await Dying(redis, names, Publisher(redis, names), "doomed").run()

asyncio.run(main(*sys.argv[1:]))
"""


def fields(to: object, message: object, **more: str) -> dict[bytes, bytes]:
    text = message if isinstance(message, str) else json.dumps(message)
    return {b"to": str(to).encode(), b"message": text.encode()} | {k.encode(): v.encode() for k, v in more.items()}


# -- one entry ----------------------------------------------------------------------------------------


def test_an_entry_says_to_whom_and_what() -> None:
    channel, envelope = parcel("17-0", fields("session:s1", {"type": "hello", "content": 1}))

    frame = json.loads(envelope.frame)
    assert (channel, envelope.type, frame["content"], frame["from"]) == ("session:s1", "hello", 1, "system")


def test_the_message_id_comes_from_the_entry_unless_one_is_given() -> None:
    assert parcel("17-0", fields("user:42", {"type": "x"})).envelope.id == "replicas-17-0"
    assert parcel("17-0", fields("user:42", {"type": "x", "id": "in"})).envelope.id == "in"
    assert parcel("17-0", fields("user:42", {"type": "x", "id": "in"}, id="out")).envelope.id == "out"


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ({b"message": b'{"type":"x"}'}, "to is missing"),
        ({b"to": b"user:42"}, "message is missing"),
        ({b"to": b"\xff", b"message": b"{}"}, "UTF-8"),
        (fields("nobody", {"type": "x"}), "channel"),
        (fields("user:a b", {"type": "x"}), "user id"),
        (fields("user:42", "not json"), "not JSON"),
        (fields("user:42", "[1]"), "object"),
        (fields("user:42", {}), "type"),
        (fields("user:42", {"type": "x", "from": "root"}), "from"),
        (fields("user:42", '{"type":"x","content":NaN}'), "not JSON"),
        (fields("user:42", {"type": "x", "content": "x" * 1_000_000}), "at most"),
    ],
)
def test_a_bad_entry_says_what_is_wrong(entry: dict[bytes, bytes], reason: str) -> None:
    with pytest.raises(FairleadError, match=reason):
        parcel("1-0", entry)


# -- the stream ---------------------------------------------------------------------------------------


@asynccontextmanager
async def consuming(
    redis: Redis, names: Names, name: str, timeout_seconds: float = 5.0, pace: Pace = ingress.PACE
) -> AsyncIterator[None]:
    publisher = Publisher(redis, names, timeout_seconds=timeout_seconds)
    task = asyncio.create_task(Ingress(redis, names, publisher, name, pace).run())
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await publisher.aclose()


async def until(holds: Callable[[], Awaitable[bool]], seconds: float = 15.0) -> None:
    async with asyncio.timeout(seconds):
        while not await holds():
            await asyncio.sleep(0.02)


async def contents(redis: Redis, names: Names, channel: str) -> list[object]:
    entries = await redis.xrange(names.log(channel))
    return [json.loads(unseal(fields[b"d"]).envelope.frame)["content"] for _, fields in entries]


def is_drained(redis: Redis, names: Names) -> Callable[[], Awaitable[bool]]:
    async def drained() -> bool:
        return await redis.exists(names.ingress) == 1 and await redis.xlen(names.ingress) == 0

    return drained


async def test_entries_are_sent_in_order_acknowledged_and_deleted(redis: Redis, names: Names) -> None:
    for i in range(250):
        await redis.xadd(names.ingress, {"to": "user:42", "message": json.dumps({"type": "x", "content": i})})

    async with consuming(redis, names, "r1"):
        await until(is_drained(redis, names))

    assert await contents(redis, names, "user:42") == list(range(250))
    assert (await redis.xpending(names.ingress, GROUP))["pending"] == 0


async def test_a_bad_entry_is_put_aside_with_the_reason_and_does_not_hold_up_the_rest(
    redis: Redis, names: Names
) -> None:
    await redis.xadd(names.ingress, {"to": "nobody", "message": "{}"})
    await redis.xadd(names.ingress, {"to": "user:42", "message": "x" * 10_000})
    await redis.xadd(names.ingress, {"to": "user:42", "message": '{"type":"x","content":1}'})

    async with consuming(redis, names, "r1"):
        await until(is_drained(redis, names))

    assert await contents(redis, names, "user:42") == [1]
    (_, first), (_, second) = await redis.xrange(names.ingress_rejected)
    assert (first[b"to"], first[b"message"]) == (b"nobody", b"{}")
    assert b"channel" in first[b"reason"]
    assert len(second[b"message"]) == ingress.REJECTED_BYTES


async def test_two_consumers_share_the_work_and_send_nothing_twice(redis_url: str, redis: Redis, names: Names) -> None:
    other = open_async(redis_url, names)
    async with consuming(redis, names, "r1"), consuming(other, names, "r2"):
        for i in range(400):
            await redis.xadd(names.ingress, {"to": f"user:{i % 7}", "message": json.dumps({"type": "x", "content": i})})
        await until(is_drained(redis, names))
    await other.aclose()

    sent = [content for user in range(7) for content in await contents(redis, names, f"user:{user}")]
    assert sorted(map(str, sent)) == sorted(map(str, range(400)))


async def test_what_a_killed_consumer_had_taken_is_sent_once_by_another(
    redis_url: str, redis: Redis, names: Names
) -> None:
    impatient = Pace(block_ms=100, look_seconds=0.2, idle_ms=500, least=128, most=128)
    for i in range(50):
        await redis.xadd(names.ingress, {"to": "user:42", "message": json.dumps({"type": "x", "content": i})})
    killed = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", CONSUMER_THAT_DIES, redis_url, names.prefix], timeout=30, check=False
    )
    assert killed.returncode == -9
    assert (await redis.xpending(names.ingress, GROUP))["pending"] == 50

    async with consuming(redis, names, "heir", pace=impatient):
        await until(is_drained(redis, names))

    assert await contents(redis, names, "user:42") == list(range(50))


async def test_consumers_that_are_gone_for_good_are_forgotten(redis: Redis, names: Names) -> None:
    impatient = Pace(block_ms=50, look_seconds=0.1, forget_ms=300)
    async with consuming(redis, names, "old", pace=impatient):
        await redis.xadd(names.ingress, {"to": "user:42", "message": '{"type":"x"}'})
        await until(is_drained(redis, names))

    async def is_forgotten() -> bool:
        return b"old" not in [consumer["name"] for consumer in await redis.xinfo_consumers(names.ingress, GROUP)]

    async with consuming(redis, names, "new", pace=impatient):
        await until(is_forgotten)
        await redis.xadd(names.ingress, {"to": "user:42", "message": '{"type":"x"}'})
        await until(is_drained(redis, names))


async def test_redis_may_come_and_go(own_server: Server, names: Names) -> None:
    redis = open_async(own_server.url, names)

    async def arrived() -> bool:
        return await redis.exists(names.log("user:42")) == 1

    async with consuming(redis, names, "r1", timeout_seconds=0.5):
        for _ in range(2):
            await redis.xadd(names.ingress, {"to": "user:42", "message": '{"type":"x"}'})
            await until(arrived)
            await asyncio.to_thread(own_server.restart)
        await redis.xadd(names.ingress, {"to": "user:42", "message": '{"type":"x"}'})
        await until(arrived)
    await redis.aclose()


async def test_entries_that_redis_had_no_memory_to_send_are_sent_later(own_server: Server, names: Names) -> None:
    redis = open_async(own_server.url, names)
    await redis.xadd(names.ingress, {"to": "user:42", "message": '{"type":"x","content":1}'})
    await redis.xgroup_create(names.ingress, GROUP, id="0")
    await redis.config_set("maxmemory", 1)

    async with consuming(redis, names, "r1", timeout_seconds=0.5):
        await until(lambda: has_pending(redis, names))
        await redis.config_set("maxmemory", 0)
        await until(is_drained(redis, names))

    assert await contents(redis, names, "user:42") == [1]
    await redis.aclose()


async def has_pending(redis: Redis, names: Names) -> bool:
    return bool((await redis.xpending(names.ingress, GROUP))["pending"])
