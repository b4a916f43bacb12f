"""Messages that must be acknowledged, by a client whom the test plays: one outcome, which the sender learns (RT-5)."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from redis.asyncio import Redis

import fairlead
from fairlead.backend.backend import Backend
from fairlead.errors import InvalidMessage, Unavailable
from fairlead.format.envelope import unseal
from fairlead.format.messages import push
from fairlead.names import Names
from fairlead.publishing import acks
from fairlead.publishing.acks import Record, Standing
from fairlead.publishing.acks import record as record_of
from fairlead.publishing.publisher import Publisher
from fairlead.publishing.receipts import Receipts
from fairlead.publishing.replies import Replies, told
from fairlead.publishing.sent import Acknowledger, Outcome
from fairlead.redis.calls import run
from tests.support.proxy import Proxy
from tests.support.redis import Server

NOWHERE = "redis://127.0.0.1:1/0"
ANNA = Acknowledger("anna", "phone", "c1")
BOB = Acknowledger("bob", "", "c2")
HELLO = {"type": "hello", "content": {"n": 1}}


@pytest.fixture
async def fl(redis_url: str, prefix: str) -> AsyncIterator[fairlead.Backend]:
    async with fairlead.connect(redis_url, prefix=prefix) as fl:
        yield fl


@pytest.fixture
def blocking(redis_url: str, prefix: str) -> Iterator[fairlead.SyncBackend]:
    with fairlead.connect_sync(redis_url, prefix=prefix) as fl:
        yield fl


async def acknowledged(redis: Redis, record: Record, by: Acknowledger = ANNA, *, tells: bool = True) -> str:
    """Acknowledge as a replica does; it dies before it *tells* the sender, if it must."""
    result, reply = await run(redis, *acks.acknowledge(record, by))
    if tells and reply:
        for command in told(reply.decode(), record.key):
            await redis.execute_command(*command)
    return str(result.decode())


async def standing(redis: Redis, call: Any) -> Standing:
    return acks.standing(await run(redis, *call))


async def is_expected(redis: Redis, record: Record) -> None:
    """Return when a sender waits for *record*."""
    async with asyncio.timeout(5):
        while not await redis.exists(record.key):
            await asyncio.sleep(0.002)


def redis_of(fl: Backend) -> Redis:
    """The one Redis that *fl* sends through."""
    (shard,) = fl._shards
    return shard.redis


async def blocked_readers(redis: Redis) -> int:
    """Connections that wait for an entry of a stream."""
    return sum(1 for one in await redis.client_list() if one["cmd"] == "xread")


# -- the record ---------------------------------------------------------------------------------------


async def test_the_first_acknowledgement_decides_and_later_ones_are_duplicates(redis: Redis, names: Names) -> None:
    record = record_of(names, "user:anna", "m-1")
    began = await standing(redis, acks.expect(record, "r", 5))

    results = [await acknowledged(redis, record, by) for by in (ANNA, BOB, ANNA)]

    assert began.outcome is None and 4.9 < began.left_seconds <= 5
    assert results == ["delivered", "duplicate", "duplicate"]
    assert await standing(redis, acks.look(record)) == (Outcome("delivered", ANNA), 0.0)


async def test_of_those_who_race_one_delivers(redis: Redis, names: Names) -> None:
    for n in range(50):
        record = record_of(names, "user:anna", f"m-{n}")
        await standing(redis, acks.expect(record, "r", 5))

        results = await asyncio.gather(*(acknowledged(redis, record, by) for by in (ANNA, BOB)))
        seen = [await standing(redis, acks.look(record)) for _ in range(2)]

        assert sorted(results) == ["delivered", "duplicate"]
        assert seen[0] == seen[1] == (Outcome("delivered", (ANNA, BOB)[results.index("delivered")]), 0.0)


async def test_an_acknowledgement_after_the_deadline_is_told_so_and_changes_nothing(redis: Redis, names: Names) -> None:
    record = record_of(names, "user:anna", "m-1")
    await standing(redis, acks.expect(record, "r", 0.02))
    await asyncio.sleep(0.03)

    assert await acknowledged(redis, record) == "expired"
    assert await acknowledged(redis, record) == "expired"
    assert await standing(redis, acks.look(record)) == (Outcome("expired"), 0.0)


async def test_how_far_a_message_has_come_is_known_without_waiting(redis: Redis, names: Names) -> None:
    async def way() -> acks.Way | None:
        query = acks.way(names, "user:anna", "m-1")
        return query.read([await redis.execute_command(*command) for command in query.commands])

    record = record_of(names, "user:anna", "m-1")
    assert await way() is None
    await standing(redis, acks.expect(record, "r", 5))
    pending = await way()
    await acknowledged(redis, record)
    delivered = await way()

    assert pending is not None and delivered is not None
    assert pending == ("pending", None, 0, pending.deadline)
    assert (delivered.status, delivered.by, delivered.deadline) == ("delivered", ANNA, pending.deadline)
    assert pending.deadline - 5000 <= delivered.at <= pending.deadline

    await standing(redis, acks.expect(late := record_of(names, "user:anna", "m-2"), "r", 0.02))
    await asyncio.sleep(0.03)
    query = acks.way(names, "user:anna", "m-2")
    unseen = query.read([await redis.execute_command(*command) for command in query.commands])
    await acknowledged(redis, late)
    seen = query.read([await redis.execute_command(*command) for command in query.commands])
    assert unseen is not None and seen is not None
    assert (unseen.status, seen.status) == ("expired", "expired"), "whether somebody has looked or not"


async def test_begun_it_is_sent_once_and_acknowledged_as_any_other(redis: Redis, names: Names) -> None:
    publisher, replies = Publisher(redis, names), Replies(redis, names)
    receipts = Receipts(redis, names, publisher, replies, timeout_seconds=2)
    envelope = push(HELLO, "user:anna", message_id="m-1", requires_ack=True)
    sent = [await receipts.begin("user:anna", envelope, 60) for _ in range(2)]

    assert [one.duplicate for one in sent] == [False, True]
    assert await acknowledged(redis, record_of(names, "user:anna", "m-1")) == "delivered"
    await replies.aclose()
    await publisher.aclose()


async def test_about_the_deadline_all_agree_whatever_comes_first(redis: Redis, names: Names) -> None:
    outcomes = set()
    for n in range(60):
        record = record_of(names, "user:anna", f"m-{n}")
        await standing(redis, acks.expect(record, "r", 0.02))
        await asyncio.sleep(0.002 * (n % 12))

        result, looked = await asyncio.gather(acknowledged(redis, record), standing(redis, acks.look(record)))
        async with asyncio.timeout(5):
            while (final := await standing(redis, acks.look(record))).outcome is None:
                pass

        assert final.outcome is not None
        assert final.outcome.status == result
        assert looked.outcome in (None, final.outcome)
        outcomes.add(result)
    assert outcomes == {"delivered", "expired"}


async def test_of_what_nobody_waits_for_nothing_is_known_and_nothing_is_written(redis: Redis, names: Names) -> None:
    record = record_of(names, "user:anna", "never")

    assert await acknowledged(redis, record) == "unknown"
    assert await standing(redis, acks.look(record)) == (Outcome("failed"), 0.0)
    assert not await redis.exists(record.key)


async def test_an_outcome_is_kept_for_an_hour_after_the_deadline(redis: Redis, names: Names) -> None:
    record = record_of(names, "user:anna", "m-1")

    await standing(redis, acks.expect(record, "r", 5))
    await acknowledged(redis, record)

    assert 3_600_000 < await redis.pttl(record.key) <= 3_605_000


async def test_who_expects_again_keeps_the_deadline_and_gets_the_outcome(redis: Redis, names: Names) -> None:
    record = record_of(names, "user:anna", "m-1")
    await standing(redis, acks.expect(record, "first", 1))

    again = await standing(redis, acks.expect(record, "second", 60))
    await acknowledged(redis, record)

    assert again.outcome is None and again.left_seconds <= 1
    assert await redis.hget(record.key, "reply") == b"second"
    assert await standing(redis, acks.expect(record, "third", 60)) == (Outcome("delivered", ANNA), 0.0)


async def test_a_sender_that_died_before_the_deadline_begins_anew_after_it(redis: Redis, names: Names) -> None:
    record = record_of(names, "user:anna", "m-1")
    await standing(redis, acks.expect(record, "dead", 0.01))
    await asyncio.sleep(0.02)

    anew = await standing(redis, acks.expect(record, "risen", 5))

    assert anew.outcome is None and anew.left_seconds > 4
    assert await acknowledged(redis, record) == "delivered"


# -- the sender ---------------------------------------------------------------------------------------


async def test_the_sender_learns_who_acknowledged_first(fl: fairlead.Backend, redis: Redis, names: Names) -> None:
    record = record_of(names, "user:anna", "m-1")
    sending = asyncio.create_task(fl.send_to_user("anna", HELLO, message_id="m-1", requires_ack=True))
    await is_expected(redis, record)
    await acknowledged(redis, record)

    sent = await sending

    assert (sent.id, sent.offset, sent.duplicate, sent.status) == ("m-1", 1, False, "delivered")
    assert sent.acknowledged_by == ("anna", "phone", "c1")
    ((_, fields),) = await redis.xrange(names.log("user:anna"))
    assert json.loads(unseal(fields[b"d"]).envelope.frame)["requires_ack"] is True


async def test_who_asks_for_no_acknowledgement_is_told_that_it_was_sent(fl: fairlead.Backend) -> None:
    sent = await fl.send_to_user("anna", HELLO)

    assert (sent.status, sent.acknowledged_by) == ("sent", None)


async def test_a_message_that_nobody_acknowledges_expires_within_a_second_of_its_deadline(fl: fairlead.Backend) -> None:
    began = time.monotonic()

    sent = await fl.broadcast(HELLO, requires_ack=True, ack_timeout=0.3)

    assert (sent.status, sent.acknowledged_by) == ("expired", None)
    assert 0.3 <= time.monotonic() - began < 1.8


@pytest.mark.parametrize("options", ["", "?protocol=3"])
async def test_whoever_waits_is_told_at_once(
    own_server: Server, prefix: str, monkeypatch: pytest.MonkeyPatch, options: str
) -> None:
    monkeypatch.setattr("fairlead.publishing.replies.LOOK_SECONDS", 60)
    monkeypatch.setattr("fairlead.sync.replies.LOOK_SECONDS", 60)
    names = Names(prefix)
    waits: Any = {"requires_ack": True, "ack_timeout": 30}
    async with fairlead.connect(own_server.url + options, prefix=prefix) as fl:
        with fairlead.connect_sync(own_server.url + options, prefix=prefix) as blocking:
            sendings = [
                asyncio.create_task(fl.send_to_user("anna", HELLO, message_id="a", **waits)),
                asyncio.create_task(asyncio.to_thread(blocking.send_to_user, "anna", HELLO, message_id="b", **waits)),
            ]
            async with asyncio.timeout(5):
                while await blocked_readers(redis_of(fl)) != 2:
                    await asyncio.sleep(0.002)

            for message_id in ("a", "b"):
                await acknowledged(redis_of(fl), record_of(names, "user:anna", message_id))
            async with asyncio.timeout(5):
                assert {sent.status for sent in await asyncio.gather(*sendings)} == {"delivered"}


async def test_a_lost_hint_costs_a_second_and_nothing_else(fl: fairlead.Backend, redis: Redis, names: Names) -> None:
    record = record_of(names, "user:anna", "m-1")
    sending = asyncio.create_task(fl.send_to_user("anna", HELLO, message_id="m-1", requires_ack=True, ack_timeout=10))
    await is_expected(redis, record)
    began = time.monotonic()
    await acknowledged(redis, record, tells=False)

    assert (await sending).status == "delivered"
    assert time.monotonic() - began < 2


async def test_a_message_is_sent_twice_more_under_the_same_id_and_the_copies_say_so(
    fl: fairlead.Backend, redis: Redis, names: Names
) -> None:
    async with redis.pubsub() as pubsub:
        await pubsub.subscribe(names.pubsub("user:anna"))
        message = HELLO | {"attempt": "mine", "requires_ack": "mine"}

        sent = await fl.send_to_user("anna", message, requires_ack=True, ack_timeout=0.6)
        heard = []
        while (said := await pubsub.get_message(timeout=0.1)) is not None:
            if said["type"] == "message":
                heard.append(unseal(said["data"]))

    frames = [json.loads(delivery.envelope.frame) for delivery in heard]
    assert sent.status == "expired"
    assert [delivery.offset for delivery in heard] == [1, 0, 0]
    assert [frame.pop("attempt") for frame in frames] == ["mine", 2, 3]
    assert frames[0] == frames[1] == frames[2]
    assert (frames[0]["id"], frames[0]["requires_ack"]) == (sent.id, True)


async def test_what_was_acknowledged_is_not_sent_again(fl: fairlead.Backend, redis: Redis, names: Names) -> None:
    async with redis.pubsub() as pubsub:
        await pubsub.subscribe(names.pubsub("user:anna"))
        record = record_of(names, "user:anna", "m-1")
        sending = asyncio.create_task(fl.send_to_user("anna", HELLO, message_id="m-1", requires_ack=True))
        await is_expected(redis, record)
        await acknowledged(redis, record)
        await sending
        again = await fl.send_to_user("anna", HELLO, message_id="m-1", requires_ack=True)

        heard = []
        while (said := await pubsub.get_message(timeout=0.1)) is not None:
            heard.append(said["type"])

    assert heard == ["subscribe", "message"]
    assert (again.offset, again.duplicate, again.status, again.acknowledged_by) == (1, True, "delivered", ANNA)


async def test_another_process_that_sends_the_same_id_waits_for_the_same_outcome(
    fl: fairlead.Backend, redis_url: str, redis: Redis, names: Names
) -> None:
    record = record_of(names, "user:anna", "m-1")
    first = asyncio.create_task(fl.send_to_user("anna", HELLO, message_id="m-1", requires_ack=True))
    await is_expected(redis, record)
    async with fairlead.connect(redis_url, prefix=names.prefix) as other:
        second = asyncio.create_task(other.send_to_user("anna", HELLO, message_id="m-1", requires_ack=True))
        async with asyncio.timeout(5):
            while await redis.hget(record.key, "reply") != other._replies.address.encode():
                await asyncio.sleep(0.002)
        await acknowledged(redis, record, BOB)
        both = await asyncio.gather(first, second)

    assert [(sent.status, sent.acknowledged_by) for sent in both] == [("delivered", BOB)] * 2
    assert sorted(sent.duplicate for sent in both) == [False, True]


async def test_an_ephemeral_message_whose_outcome_is_known_is_not_published_again(
    fl: fairlead.Backend, redis: Redis, names: Names
) -> None:
    first = await fl.send_to_topic("news", HELLO, message_id="m-1", requires_ack=True, ack_timeout=0.05)

    async with redis.pubsub() as pubsub:
        await pubsub.subscribe(names.pubsub("topic:news"))
        again = await fl.send_to_topic("news", HELLO, message_id="m-1", requires_ack=True, ack_timeout=0.05)
        heard = []
        while (said := await pubsub.get_message(timeout=0.1)) is not None:
            heard.append(said["type"])

    assert (first.status, again.status, again.duplicate) == ("expired", "expired", True)
    assert heard == ["subscribe"]


async def test_many_wait_over_one_connection(own_server: Server, prefix: str) -> None:
    async with fairlead.connect(own_server.url, prefix=prefix) as fl:
        names = Names(prefix)
        sendings = [
            asyncio.create_task(fl.send_to_user(f"u{n}", HELLO, message_id=f"m-{n}", requires_ack=True, ack_timeout=20))
            for n in range(500)
        ]
        for n in range(500):
            await is_expected(redis_of(fl), record_of(names, f"user:u{n}", f"m-{n}"))

        async with asyncio.timeout(5):
            while await blocked_readers(redis_of(fl)) != 1:
                await asyncio.sleep(0.01)
        for n in range(500):
            await acknowledged(redis_of(fl), record_of(names, f"user:u{n}", f"m-{n}"))

        assert {sent.status for sent in await asyncio.gather(*sendings)} == {"delivered"}
        assert await redis_of(fl).xlen(fl._replies.address) <= 1200
        assert await blocked_readers(redis_of(fl)) == 1


async def test_who_waits_when_the_face_is_closed_is_told(fl: fairlead.Backend, redis: Redis, names: Names) -> None:
    sending = asyncio.create_task(fl.send_to_user("anna", HELLO, message_id="m-1", requires_ack=True))
    await is_expected(redis, record_of(names, "user:anna", "m-1"))
    async with asyncio.timeout(5):
        while not fl._replies._waiting:
            await asyncio.sleep(0.002)

    await fl.close()

    with pytest.raises(Unavailable, match="closed"):
        await sending


async def test_a_cut_connection_to_redis_loses_no_outcome(own_server: Server, prefix: str) -> None:
    async with Proxy(own_server.port) as proxy, fairlead.connect(proxy.url, prefix=prefix) as fl:
        names = Names(prefix)
        sending = asyncio.create_task(fl.send_to_user("anna", HELLO, message_id="m-1", requires_ack=True))
        async with asyncio.timeout(5):
            while not fl._replies._waiting:
                await asyncio.sleep(0.002)
        proxy.cut_answers = 2
        async with fairlead.connect(own_server.url, prefix=prefix) as direct:
            await acknowledged(redis_of(direct), record_of(names, "user:anna", "m-1"))

            assert (await sending).status == "delivered"


async def test_redis_that_forgot_everything_means_failed(own_server: Server, prefix: str) -> None:
    async with fairlead.connect(own_server.url, prefix=prefix) as fl:
        sending = asyncio.create_task(fl.send_to_user("anna", HELLO, requires_ack=True, ack_timeout=3))
        async with asyncio.timeout(5):
            while not fl._replies._waiting:
                await asyncio.sleep(0.002)
        own_server.restart()

        assert (await sending).status == "failed"


async def test_redis_that_cannot_tell_after_the_deadline_means_failed(own_server: Server, prefix: str) -> None:
    async with fairlead.connect(own_server.url, prefix=prefix, timeout_seconds=0.6) as fl:
        sending = asyncio.create_task(fl.send_to_user("anna", HELLO, requires_ack=True, ack_timeout=0.3))
        async with asyncio.timeout(5):
            while not fl._replies._waiting:
                await asyncio.sleep(0.002)
        own_server.freeze()
        try:
            async with asyncio.timeout(3):
                assert (await sending).status == "failed"
        finally:
            own_server.thaw()


async def test_without_redis_it_raises_as_every_send() -> None:
    async with fairlead.connect(NOWHERE, timeout_seconds=0.2) as fl:
        with pytest.raises(Unavailable):
            await fl.send_to_user("anna", HELLO, requires_ack=True)
    with fairlead.connect_sync(NOWHERE, timeout_seconds=0.2) as blocking, pytest.raises(Unavailable):
        blocking.send_to_user("anna", HELLO, requires_ack=True)


@pytest.mark.parametrize("seconds", [0, -1, 3601, float("nan"), float("inf"), "5", None, True])
async def test_a_time_that_is_none_is_refused_before_redis_is_touched(seconds: Any) -> None:
    async with fairlead.connect(NOWHERE) as fl:
        with pytest.raises(InvalidMessage, match="ack_timeout"):
            await fl.send_to_user("anna", HELLO, requires_ack=True, ack_timeout=seconds)


async def test_an_option_that_does_not_exist_is_refused(fl: fairlead.Backend) -> None:
    with pytest.raises(TypeError, match="mesage_id"):
        await fl.send_to_user("anna", HELLO, mesage_id="m-1")  # type: ignore[call-arg]


async def test_a_batch_does_not_wait(fl: fairlead.Backend, blocking: fairlead.SyncBackend) -> None:
    async with fl.batch() as batch:
        for sends in (fl, batch):
            with pytest.raises(InvalidMessage, match="outside"):
                await sends.send_to_user("anna", HELLO, requires_ack=True)
    with blocking.batch() as together:
        for both in (blocking, together):
            with pytest.raises(InvalidMessage, match="outside"):
                both.send_to_user("anna", HELLO, requires_ack=True)
    assert batch.sent == together.sent == []


# -- blocking -----------------------------------------------------------------------------------------


async def test_the_blocking_face_learns_it_too(blocking: fairlead.SyncBackend, redis: Redis, names: Names) -> None:
    record = record_of(names, "user:anna", "m-1")
    began = time.monotonic()
    sending = asyncio.create_task(
        asyncio.to_thread(blocking.send_to_user, "anna", HELLO, message_id="m-1", requires_ack=True)
    )
    await is_expected(redis, record)
    await acknowledged(redis, record)
    sent = await sending
    again = await asyncio.to_thread(blocking.send_to_user, "anna", HELLO, message_id="m-1", requires_ack=True)

    assert (sent.offset, sent.status, sent.acknowledged_by) == (1, "delivered", ANNA)
    assert (again.offset, again.duplicate, again.status) == (1, True, "delivered")
    assert time.monotonic() - began < 2


def test_the_blocking_face_lets_expire_what_nobody_acknowledges(blocking: fairlead.SyncBackend) -> None:
    began = time.monotonic()

    assert blocking.broadcast(HELLO, requires_ack=True, ack_timeout=0.3).status == "expired"
    assert 0.3 <= time.monotonic() - began < 1.8


def test_threads_that_wait_take_no_connection_from_those_that_send(blocking: fairlead.SyncBackend) -> None:
    all_wait = threading.Barrier(31)

    def wait(n: int) -> str:
        all_wait.wait(10)
        return blocking.send_to_user(f"u{n}", HELLO, requires_ack=True, ack_timeout=3).status

    with ThreadPoolExecutor(31) as pool:
        waiting = [pool.submit(wait, n) for n in range(30)]
        all_wait.wait(10)
        began = time.monotonic()
        for _ in range(20):
            blocking.send_to_user("other", HELLO)
        took = time.monotonic() - began

        assert {one.result(10) for one in waiting} == {"expired"}
    assert took < 2


async def test_the_blocking_face_lasts_through_a_cut_connection(own_server: Server, prefix: str) -> None:
    names = Names(prefix)
    async with Proxy(own_server.port) as proxy, fairlead.connect(own_server.url, prefix=prefix) as direct:
        with fairlead.connect_sync(proxy.url, prefix=prefix) as blocking:
            sending = asyncio.create_task(
                asyncio.to_thread(blocking.send_to_user, "anna", HELLO, message_id="m-1", requires_ack=True)
            )
            record = record_of(names, "user:anna", "m-1")
            await is_expected(redis_of(direct), record)
            async with asyncio.timeout(5):
                while not await redis_of(direct).exists(names.log("user:anna")):
                    await asyncio.sleep(0.002)
                while await blocked_readers(redis_of(direct)) != 1:
                    await asyncio.sleep(0.002)
            proxy.cut_answers = 1
            await acknowledged(redis_of(direct), record)

            assert (await sending).status == "delivered"
