from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis as redis_py

import fairlead
from fairlead.errors import Conflict, InvalidMessage, Unavailable
from fairlead.format.envelope import unseal
from fairlead.names import Names, partition_of
from fairlead.redis.connect import open_sync
from tests.support.redis import Server

NOWHERE = "redis://127.0.0.1:1/0"


@pytest.fixture
def fl(redis_url: str, prefix: str) -> Iterator[fairlead.SyncBackend]:
    with fairlead.connect_sync(redis_url, prefix=prefix) as fl:
        yield fl


@pytest.fixture
def raw(redis_url: str, names: Names) -> Iterator[redis_py.Redis]:
    client = open_sync(redis_url, names)
    yield client
    client.close()


def test_both_faces_have_the_same_methods() -> None:
    def methods(face: type) -> set[str]:
        return {name for name in dir(face) if not name.startswith("_")}

    assert methods(fairlead.Backend) == methods(fairlead.SyncBackend)


def test_sending_gives_a_receipt(fl: fairlead.SyncBackend) -> None:
    first = fl.send_to_user("42", {"type": "x"}, message_id="m-1")
    again = fl.send_to_user("42", {"type": "x"}, message_id="m-1")
    fleeting = fl.broadcast({"type": "x"})

    assert (first.offset, first.duplicate) == (1, False)
    assert (again.offset, again.duplicate) == (1, True)
    assert (fleeting.offset, fleeting.epoch) == (0, "")


def test_threads_share_one_face(fl: fairlead.SyncBackend) -> None:
    with ThreadPoolExecutor(20) as pool:
        receipts = list(pool.map(lambda i: fl.send_to_user("42", {"type": "x", "content": i}), range(400)))

    assert sorted(sent.offset for sent in receipts) == list(range(1, 401))


def test_a_batch_is_sent_at_its_end_in_order(fl: fairlead.SyncBackend, raw: redis_py.Redis, names: Names) -> None:
    with fl.batch() as batch:
        receipts = [fl.send_to_user("42", {"type": "x", "content": i}) for i in range(100)]
        assert not raw.exists(names.log("user:42"))
        with pytest.raises(Conflict):
            _ = receipts[0].offset

    entries = raw.xrange(names.log("user:42"))
    assert [json.loads(unseal(fields[b"d"]).envelope.frame)["content"] for _, fields in entries] == list(range(100))
    assert [sent.offset for sent in receipts] == list(range(1, 101))
    assert batch.sent == receipts


def test_a_batch_is_one_exchange(own_server: Server, prefix: str) -> None:
    with fairlead.connect_sync(own_server.url, prefix=prefix) as fl:
        fl.send_to_user("42", {"type": "x"})
        watcher = redis_py.Redis.from_url(own_server.url)
        reads = watcher.info("stats")["total_reads_processed"]
        watcher_alone = watcher.info("stats")["total_reads_processed"] - reads

        before = watcher.info("stats")["total_reads_processed"]
        with fl.batch():
            for i in range(10):
                fl.send_to_user(str(i), {"type": "x"})
        used = watcher.info("stats")["total_reads_processed"] - before - watcher_alone
        watcher.close()

    assert used == 1


def test_batches_of_different_threads_do_not_mix(fl: fairlead.SyncBackend) -> None:
    both_inside = threading.Barrier(2, timeout=10)

    def collect(user: str) -> list[str]:
        with fl.batch() as batch:
            both_inside.wait()
            fl.send_to_user(user, {"type": "x"}, message_id=f"for-{user}")
            both_inside.wait()
        return [sent.id for sent in batch.sent]

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(collect, ["1", "2"])) == [["for-1"], ["for-2"]]


def test_scripts_that_were_flushed_are_loaded_again(fl: fairlead.SyncBackend, raw: redis_py.Redis) -> None:
    fl.send_to_user("42", {"type": "x"})
    raw.script_flush()

    with fl.batch() as batch:
        for _ in range(10):
            fl.send_to_user("42", {"type": "x"})

    assert [sent.offset for sent in batch.sent] == list(range(2, 12))


def test_what_cannot_be_sent_is_refused_before_redis_is_touched() -> None:
    with fairlead.connect_sync(NOWHERE) as fl, pytest.raises(InvalidMessage):
        fl.send_to_user("a b", {"type": "x"})


def test_without_redis_publishing_ends_as_unavailable_and_works_again_by_itself(
    own_server: Server, prefix: str
) -> None:
    with fairlead.connect_sync(own_server.url, prefix=prefix, timeout_seconds=0.5) as fl:
        fl.send_to_user("42", {"type": "x"})
        own_server.stop()

        started = time.monotonic()
        with pytest.raises(Unavailable):
            fl.send_to_user("42", {"type": "x"})
        with pytest.raises(Unavailable):
            fl.online_users()
        took = time.monotonic() - started
        own_server.start()

        assert fl.send_to_user("42", {"type": "x"}).offset == 1
    assert took < 5


def test_a_short_outage_is_waited_out(own_server: Server, prefix: str) -> None:
    with fairlead.connect_sync(own_server.url, prefix=prefix, timeout_seconds=10) as fl, ThreadPoolExecutor(1) as pool:
        fl.send_to_user("42", {"type": "x"})
        own_server.stop()
        waiting = pool.submit(fl.send_to_user, "42", {"type": "x"})

        own_server.start()

        assert waiting.result(timeout=10).offset == 1


def test_a_lost_answer_does_not_publish_twice(own_server: Server, prefix: str) -> None:
    with fairlead.connect_sync(own_server.url, prefix=prefix, timeout_seconds=4) as fl:
        fl.send_to_user("42", {"type": "x"}, message_id="m-1")
        own_server.freeze()
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(fl.send_to_user, "42", {"type": "x"}, message_id="m-2")
            thaw = threading.Timer(2.5, own_server.thaw)
            thaw.start()
            sent = waiting.result(timeout=20)
            thaw.join()

        assert (sent.offset, sent.duplicate) == (2, False)
        assert fl.send_to_user("42", {"type": "x"}).offset == 3


def test_sessions_and_presence_are_asked_as_in_the_other_face(
    fl: fairlead.SyncBackend, raw: redis_py.Redis, names: Names
) -> None:
    seconds, _ = raw.time()
    raw.zadd(names.replicas, {"alive": (seconds + 60) * 1000})
    raw.hset(names.here("session:s1"), "c1", '{"user_id":"42","replica":"alive"}')
    raw.sadd(names.online(partition_of("user:42")), "42")

    fl.grant_session("s1", ["42", "43"])
    fl.revoke_session("s1", ["43"])

    assert raw.smembers(names.members("s1")) == {b"42"}
    assert fl.online_users() == {"42"}
    assert (fl.is_online("42"), fl.is_online("43")) == (True, False)
    assert fl.presence("session:s1") == [("c1", "42", "alive")]
