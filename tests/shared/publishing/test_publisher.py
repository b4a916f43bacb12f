"""The publisher: order, coalescing, and Redis going away under it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from fairlead.errors import Conflict, Unavailable
from fairlead.format.envelope import Envelope, unseal
from fairlead.format.messages import push
from fairlead.names import Names
from fairlead.publishing.publisher import Publisher
from fairlead.publishing.road import WAITING_BYTES
from fairlead.redis.connect import open_async
from tests.support.proxy import Proxy
from tests.support.redis import Server

USER = "user:42"
TOPIC = "topic:t"


def hello(channel: str, content: object = None, message_id: str | None = None) -> Envelope:
    return push({"type": "x", "content": content}, channel, message_id=message_id)


@pytest.fixture
async def proxy(own_server: Server) -> AsyncIterator[Proxy]:
    async with Proxy(own_server.port) as proxy:
        yield proxy


@pytest.fixture
async def behind_proxy(proxy: Proxy, names: Names) -> AsyncIterator[Publisher]:
    redis = open_async(proxy.url, names)
    publisher = Publisher(redis, names, timeout_seconds=4)
    yield publisher
    await publisher.aclose()
    await redis.aclose()


@pytest.fixture
async def direct(own_server: Server, names: Names) -> AsyncIterator[Redis]:
    redis = open_async(own_server.url, names)
    yield redis
    await redis.aclose()


async def contents(redis: Redis, names: Names, channel: str) -> list[object]:
    entries = await redis.xrange(names.log(channel))
    return [json.loads(unseal(fields[b"d"]).envelope.frame)["content"] for _, fields in entries]


async def test_messages_posted_without_awaiting_keep_their_order_on_every_channel(redis: Redis, names: Names) -> None:
    publisher = Publisher(redis, names, history_size=1000)
    channels = ["user:a", "session:b", "user:c"]

    receipts = [publisher.post(channels[i % 3], hello(channels[i % 3], i)) for i in range(3000)]
    await asyncio.wait(receipts)

    for which, channel in enumerate(channels):
        assert await contents(redis, names, channel) == list(range(which, 3000, 3))
        assert [sent.result().offset for sent in receipts[which::3]] == list(range(1, 1001))
    await publisher.aclose()


async def test_what_is_published_within_one_turn_of_the_loop_is_one_round_trip(
    proxy: Proxy, behind_proxy: Publisher
) -> None:
    await behind_proxy.publish(USER, hello(USER))
    before = proxy.round_trips

    await asyncio.gather(*(behind_proxy.publish(f"user:{i}", hello(f"user:{i}")) for i in range(50)))

    assert proxy.round_trips == before + 1
    assert proxy.connections == 1


async def test_scripts_that_were_flushed_are_loaded_again_and_order_is_kept(redis: Redis, names: Names) -> None:
    publisher = Publisher(redis, names)
    await publisher.publish(USER, hello(USER, 0))
    await redis.script_flush()

    receipts = await asyncio.gather(*(publisher.publish(USER, hello(USER, i)) for i in range(1, 50)))

    assert [sent.offset for sent in receipts] == list(range(2, 51))
    assert not any(sent.duplicate for sent in receipts)
    assert await contents(redis, names, USER) == list(range(50))
    await publisher.aclose()


async def test_without_redis_publishing_ends_as_unavailable_and_works_again_by_itself(
    own_server: Server, names: Names
) -> None:
    redis = open_async(own_server.url, names)
    publisher = Publisher(redis, names, timeout_seconds=0.5)
    await publisher.publish(USER, hello(USER))
    own_server.stop()

    started = time.monotonic()
    results = await asyncio.gather(
        *(publisher.publish(channel, hello(channel)) for channel in (USER, TOPIC)), return_exceptions=True
    )
    took = time.monotonic() - started
    own_server.start()
    sent = await publisher.publish(USER, hello(USER))

    assert [type(result) for result in results] == [Unavailable, Unavailable]
    assert took < 2
    assert sent.offset == 1, "nothing was persisted"
    await publisher.aclose()
    await redis.aclose()


async def test_a_short_outage_is_waited_out(own_server: Server, names: Names) -> None:
    redis = open_async(own_server.url, names)
    publisher = Publisher(redis, names, timeout_seconds=10)
    own_server.stop()

    receipts = [publisher.post(channel, hello(channel)) for channel in (USER, TOPIC, USER)]
    await asyncio.to_thread(own_server.start)
    user, topic, again = await asyncio.gather(*receipts)

    assert (user.offset, topic.offset, again.offset) == (1, 0, 2)
    await publisher.aclose()
    await redis.aclose()


async def test_a_lost_answer_does_not_publish_twice(
    proxy: Proxy, behind_proxy: Publisher, direct: Redis, names: Names
) -> None:
    await behind_proxy.publish(USER, hello(USER, "first"))
    proxy.cut_answers = 1

    sent = await behind_proxy.publish(USER, hello(USER, "second"))

    assert (sent.offset, sent.duplicate) == (2, False)
    assert await contents(direct, names, USER) == ["first", "second"]


async def test_an_ephemeral_message_whose_fate_is_unknown_is_not_repeated(
    proxy: Proxy, behind_proxy: Publisher, direct: Redis, names: Names
) -> None:
    async with direct.pubsub() as pubsub:
        await pubsub.subscribe(names.pubsub(TOPIC))
        await behind_proxy.publish(USER, hello(USER))
        proxy.cut_answers = 1

        with pytest.raises(Unavailable) as caught:
            await behind_proxy.publish(TOPIC, hello(TOPIC, "once"))
        await behind_proxy.publish(TOPIC, hello(TOPIC, "end"))

        heard = [json.loads(unseal(message["data"]).envelope.frame)["content"] async for message in until_end(pubsub)]

    assert caught.value.detail["unknown"] is True
    assert heard == ["once", "end"]


async def until_end(pubsub: object) -> AsyncIterator[dict[str, bytes]]:
    async with asyncio.timeout(5):
        async for message in pubsub.listen():  # type: ignore[attr-defined]
            if message["type"] == "message":
                yield message
                if b'"end"' in message["data"]:
                    return


async def test_a_connection_that_ended_while_idle_costs_nothing(
    own_server: Server, direct: Redis, names: Names
) -> None:
    redis = open_async(own_server.url, names)
    publisher = Publisher(redis, names, timeout_seconds=4)
    await publisher.publish(TOPIC, hello(TOPIC))
    await direct.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    await asyncio.wait_for(direct.ping(), 5)

    for _ in range(3):
        assert (await publisher.publish(TOPIC, hello(TOPIC))).offset == 0

    await publisher.aclose()
    await redis.aclose()


async def test_a_server_that_answers_nothing_ends_as_unavailable_in_time(own_server: Server, names: Names) -> None:
    redis = open_async(own_server.url, names)
    publisher = Publisher(redis, names, timeout_seconds=1)
    await publisher.publish(USER, hello(USER))
    own_server.freeze()

    started = time.monotonic()
    with pytest.raises(Unavailable) as caught:
        await publisher.publish(USER, hello(USER, "frozen", "m-1"))
    took = time.monotonic() - started
    own_server.thaw()
    again = await publisher.publish(USER, hello(USER, "frozen", "m-1"))

    assert took < 3
    assert caught.value.detail == {"message_id": "m-1", "unknown": True}
    assert again.offset == 2
    await publisher.aclose()
    await redis.aclose()


async def test_attempts_can_be_limited(names: Names) -> None:
    redis = open_async("redis://127.0.0.1:1/0", names)
    publisher = Publisher(redis, names, timeout_seconds=60, attempts=2)

    with pytest.raises(Unavailable):
        await asyncio.wait_for(publisher.publish(USER, hello(USER)), 10)

    await publisher.aclose()
    await redis.aclose()


async def test_a_wrong_password_is_told_at_once(names: Names) -> None:
    with Server("--requirepass", "right") as server:
        redis = open_async(f"redis://:wrong@127.0.0.1:{server.port}", names)
        publisher = Publisher(redis, names, timeout_seconds=60)

        with pytest.raises(Unavailable, match="credentials"):
            await asyncio.wait_for(publisher.publish(USER, hello(USER)), 10)

        await publisher.aclose()
        await redis.aclose()


async def test_another_layout_is_told_at_once(redis: Redis, redis_url: str, names: Names) -> None:
    await redis.set(names.layout, 64)
    fresh = open_async(redis_url, names)
    publisher = Publisher(fresh, names, timeout_seconds=60)

    with pytest.raises(Conflict, match="64 partitions"):
        await asyncio.wait_for(publisher.publish(USER, hello(USER)), 10)

    await publisher.aclose()
    await fresh.aclose()


async def test_a_master_that_became_a_replica_is_left(own_server: Server, direct: Redis, names: Names) -> None:
    redis = open_async(own_server.url, names)
    publisher = Publisher(redis, names, timeout_seconds=10)
    await publisher.publish(USER, hello(USER))
    await direct.execute_command("REPLICAOF", "127.0.0.1", "1")

    waiting = publisher.post(USER, hello(USER))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(waiting), 0.3)
    await direct.execute_command("REPLICAOF", "NO", "ONE")

    assert (await asyncio.wait_for(waiting, 10)).offset == 2
    await publisher.aclose()
    await redis.aclose()


async def test_what_waits_for_redis_is_bounded(names: Names) -> None:
    redis = open_async("redis://127.0.0.1:1/0", names)
    publisher = Publisher(redis, names, timeout_seconds=0.3)
    large = push({"type": "x", "content": "x" * 900_000}, USER)

    receipts = [publisher.post(USER, large) for _ in range(WAITING_BYTES // 900_000 + 2)]

    assert receipts[-1].done()
    with pytest.raises(Unavailable, match="too much"):
        await receipts[-1]
    results = await asyncio.gather(*receipts, return_exceptions=True)
    assert all(isinstance(result, Unavailable) for result in results)
    await publisher.aclose()
    await redis.aclose()


async def test_closing_waits_for_what_was_posted(redis: Redis, names: Names) -> None:
    publisher = Publisher(redis, names)
    receipts = [publisher.post(USER, hello(USER, i)) for i in range(2000)]

    await publisher.aclose()

    assert [receipt.result().offset for receipt in receipts] == list(range(1, 2001))


async def test_a_caller_that_gives_up_does_not_disturb_the_others(redis: Redis, names: Names) -> None:
    publisher = Publisher(redis, names)
    receipts = [publisher.post(USER, hello(USER, i)) for i in range(100)]
    for receipt in receipts[::2]:
        receipt.cancel()

    await asyncio.wait(receipts)

    assert [receipt.result().offset for receipt in receipts[1::2]] == list(range(2, 101, 2))
    await publisher.aclose()
