from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from redis.asyncio import Redis

import fairlead
from fairlead.errors import Conflict, InvalidJson, InvalidMessage, TooLarge, Unavailable
from fairlead.format.envelope import unseal
from fairlead.names import Names, partition_of
from tests.support.proxy import Proxy
from tests.support.redis import Server

NOWHERE = "redis://127.0.0.1:1/0"


@pytest.fixture
async def fl(redis_url: str, prefix: str) -> AsyncIterator[fairlead.Backend]:
    async with fairlead.connect(redis_url, prefix=prefix) as fl:
        yield fl


async def frames(redis: Redis, names: Names, channel: str) -> list[dict[str, Any]]:
    entries = await redis.xrange(names.log(channel))
    return [json.loads(unseal(fields[b"d"]).envelope.frame) for _, fields in entries]


async def test_every_kind_of_receiver_has_a_method(fl: fairlead.Backend, redis: Redis, names: Names) -> None:
    async with redis.pubsub() as pubsub:
        await pubsub.psubscribe(f"{names.prefix}:*")
        async with asyncio.timeout(5):
            assert (await anext(pubsub.listen()))["type"] == "psubscribe"

        message = {"type": "x"}
        await fl.send_to_user("42", message)
        await fl.send_to_session("s1", message)
        await fl.send_to_instance("counter", message)
        await fl.send_to_topic("prices", message)
        await fl.send_to_connection("c1", message)
        await fl.send("device:d1", message)
        await fl.broadcast(message)

        async with asyncio.timeout(5):
            heard = [(await anext(pubsub.listen()))["channel"].decode() for _ in range(7)]

    channels = ["user:42", "session:s1", "instance:counter", "topic:prices", "connection:c1", "device:d1", "broadcast"]
    assert heard == [names.pubsub(channel) for channel in channels]


async def test_a_message_comes_from_the_system_from_the_service_or_from_who_it_says(
    redis_url: str, redis: Redis, names: Names
) -> None:
    async with (
        fairlead.connect(redis_url, prefix=names.prefix) as anonymous,
        fairlead.connect(redis_url, prefix=names.prefix, name="crm") as named,
    ):
        await anonymous.send_to_user("42", {"type": "x"})
        await named.send_to_user("42", {"type": "x"})
        await named.send_to_user("42", {"type": "x", "from": "ai"})

    assert [frame["from"] for frame in await frames(redis, names, "user:42")] == ["system", "service:crm", "ai"]


async def test_sending_again_with_the_same_id_is_harmless(fl: fairlead.Backend) -> None:
    first = await fl.send_to_user("42", {"type": "x"}, message_id="m-1")
    again = await fl.send_to_user("42", {"type": "x"}, message_id="m-1")

    assert (first.id, first.offset, first.duplicate) == ("m-1", 1, False)
    assert (again.id, again.offset, again.epoch, again.duplicate) == ("m-1", 1, first.epoch, True)


async def test_who_is_excluded_travels_in_the_envelope(fl: fairlead.Backend, redis: Redis, names: Names) -> None:
    await fl.send_to_user("42", {"type": "x"}, exclude="connection:c1")

    ((_, fields),) = await redis.xrange(names.log("user:42"))
    assert unseal(fields[b"d"]).envelope.exclude == "connection:c1"


@pytest.mark.parametrize(
    ("user", "message", "error"),
    [
        ("a b", {"type": "x"}, InvalidMessage),
        ("", {"type": "x"}, InvalidMessage),
        ("42", {}, InvalidMessage),
        ("42", {"type": "x", "from": "root"}, InvalidMessage),
        ("42", {"type": "x", "content": float("nan")}, InvalidJson),
        ("42", {"type": "x", "content": object()}, InvalidJson),
        ("42", {"type": "x", "content": "x" * 1_000_001}, TooLarge),
    ],
)
async def test_what_cannot_be_sent_is_refused_before_redis_is_touched(
    user: str, message: dict[str, object], error: type[Exception]
) -> None:
    async with fairlead.connect(NOWHERE) as fl:
        with pytest.raises(error):
            await fl.send_to_user(user, message)


async def test_without_redis_everything_ends_as_unavailable() -> None:
    async with fairlead.connect(NOWHERE, timeout_seconds=0.2) as fl:
        for attempt in (
            fl.send_to_user("42", {"type": "x"}),
            fl.online_users(),
            fl.is_online("42"),
            fl.presence("session:s1"),
            fl.grant_session("s1", ["42"]),
        ):
            with pytest.raises(Unavailable) as raised:
                await asyncio.wait_for(attempt, 5)

            assert urlsplit(NOWHERE).netloc in "".join(raised.value.__notes__), "where it was looked for"
            assert urlsplit(NOWHERE).netloc not in str(raised.value), "which clients hear"


# -- batches ------------------------------------------------------------------------------------------


async def test_a_batch_is_one_round_trip(own_server: Server, prefix: str) -> None:
    async with Proxy(own_server.port) as proxy, fairlead.connect(proxy.url, prefix=prefix) as fl:
        await fl.send_to_user("0", {"type": "x"})
        before = proxy.round_trips

        async with fl.batch() as batch:
            for i in range(50):
                await fl.send_to_user(str(i % 5), {"type": "x", "content": i})
                await asyncio.sleep(0)
            assert proxy.round_trips == before

        assert proxy.round_trips == before + 1
    assert [sent.offset for sent in batch.sent] == [(i // 5) + 1 + (i % 5 == 0) for i in range(50)]


async def test_receipts_of_a_batch_are_filled_at_its_end(fl: fairlead.Backend) -> None:
    async with fl.batch() as batch:
        through_face = await fl.send_to_user("42", {"type": "x"}, message_id="m-1")
        through_batch = await batch.send_to_user("42", {"type": "x"})
        assert through_face.id == "m-1"
        assert "waiting" in repr(through_face)
        with pytest.raises(Conflict, match="batch"):
            _ = through_face.offset

    assert (through_face.offset, through_batch.offset) == (1, 2)
    assert batch.sent == [through_face, through_batch]
    with pytest.raises(Conflict, match="ended"):
        await batch.send_to_user("42", {"type": "x"})


async def test_an_exception_in_a_batch_sends_nothing(fl: fairlead.Backend, redis: Redis, names: Names) -> None:
    with pytest.raises(ZeroDivisionError):
        async with fl.batch():
            sent = await fl.send_to_user("42", {"type": "x"})
            _ = 1 / 0

    assert not await redis.exists(names.log("user:42"))
    with pytest.raises(Conflict, match="nothing was sent"):
        _ = sent.offset
    assert (await fl.send_to_user("42", {"type": "x"})).offset == 1


async def test_a_batch_that_redis_does_not_take_raises_at_its_end() -> None:
    async with fairlead.connect(NOWHERE, timeout_seconds=0.2) as fl:
        with pytest.raises(Unavailable):
            async with fl.batch():
                sent = await fl.send_to_user("42", {"type": "x"})
        with pytest.raises(Unavailable):
            _ = sent.offset


async def test_batches_of_different_tasks_do_not_mix(fl: fairlead.Backend) -> None:
    both_inside = asyncio.Barrier(2)

    async def collect(user: str) -> list[fairlead.Sent]:
        async with fl.batch() as batch:
            await both_inside.wait()
            await fl.send_to_user(user, {"type": "x"}, message_id=f"for-{user}")
            await both_inside.wait()
        return batch.sent

    one, other = await asyncio.wait_for(asyncio.gather(collect("1"), collect("2")), 10)

    assert ([sent.id for sent in one], [sent.id for sent in other]) == (["for-1"], ["for-2"])


# -- who may come in, who is there --------------------------------------------------------------------


async def test_a_session_is_granted_and_revoked(fl: fairlead.Backend, redis: Redis, names: Names) -> None:
    await fl.grant_session("s1", ["42", "43"])
    await fl.grant_session("s1", [])
    await fl.revoke_session("s1", ["43", "44"])

    assert await redis.smembers(names.members("s1")) == {b"42"}
    for bad in (["a b"], "42"):
        with pytest.raises(InvalidMessage):
            await fl.grant_session("s1", bad)


async def test_who_is_online_is_what_the_replicas_wrote(fl: fairlead.Backend, redis: Redis, names: Names) -> None:
    users = {f"u{i}" for i in range(20)}
    for user in users:
        await redis.sadd(names.online(partition_of(f"user:{user}")), user)

    assert await fl.online_users() == users
    assert await fl.is_online("u7")
    assert not await fl.is_online("u77")


async def test_presence_hides_connections_of_dead_replicas(fl: fairlead.Backend, redis: Redis, names: Names) -> None:
    seconds, _ = await redis.time()
    await redis.zadd(names.replicas, {"alive": (seconds + 60) * 1000, "dead": (seconds - 60) * 1000})
    here = {
        "c2": '{"user_id":"43","replica":"alive"}',
        "c1": '{"user_id":"42","replica":"alive"}',
        "c3": '{"user_id":"44","replica":"dead"}',
        "c4": '{"user_id":"45","replica":"never seen"}',
        "c5": "garbage",
        "c6": '{"user_id":7}',
    }
    await redis.hset(names.here("session:s1"), mapping=here)

    assert await fl.presence("session:s1") == [("c1", "42", "alive"), ("c2", "43", "alive")]
    assert await fl.presence("session:empty") == []
