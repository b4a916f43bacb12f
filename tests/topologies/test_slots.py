"""A slot moves: nothing is done twice or out of order, and the term is that of the master who has it now."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from redis import Redis

import fairlead
from fairlead.backend.backend import Backend
from fairlead.names import PARTITIONS, Names
from fairlead.redis.places import slot_of
from fairlead.redis.shards import open_shards
from fairlead_gateway.facts.lane import Lane
from tests.support.redis import Server
from tests.support.topologies import Cluster

CHANNEL = "user:42"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster() as cluster:
        yield cluster


def other_than(cluster: Cluster, server: Server) -> Server:
    return next(master for master in cluster.masters if master is not server)


def term_of(server: Server) -> str:
    with Redis(port=server.port) as redis:
        return str(redis.info("replication")["master_replid"])[:12]


def test_slots_are_counted_as_the_servers_count_them(cluster: Cluster) -> None:
    names = Names("fl")
    keys = [names.replicas, names.ingress, names.layout, "{}x", "a{b", *map(names.term, range(PARTITIONS))]
    with Redis(port=cluster.masters[0].port) as redis:
        assert [slot_of(key) for key in keys] == [redis.execute_command("CLUSTER", "KEYSLOT", key) for key in keys]


async def test_terms_are_written_on_each_master_before_anything_else(cluster: Cluster, names: Names) -> None:
    async with fairlead.connect(cluster.url, prefix=names.prefix) as backend:
        await asyncio.gather(*(backend.send_to_user(f"u{n}", {"type": "x"}) for n in range(100)))
        terms = await backend._shards.ask(*(("GET", names.term(partition)) for partition in range(PARTITIONS)))

    assert {term.decode() for term in terms} == {term_of(master) for master in cluster.masters}


async def test_the_term_of_a_slot_that_moved_in_is_written_before_the_next_message(
    cluster: Cluster, names: Names
) -> None:
    before = cluster.owner_of(names.pubsub(CHANNEL))
    after = other_than(cluster, before)
    async with fairlead.connect(cluster.url, prefix=names.prefix) as backend:
        await asyncio.gather(*(backend.send_to_user(f"u{n}", {"type": "x"}) for n in range(100)))  # all are greeted
        first = await backend.send_to_user("42", {"type": "x"})

        await asyncio.to_thread(cluster.move_slot, names.pubsub(CHANNEL), after)
        second = await backend.send_to_user("42", {"type": "x"})
        with fairlead.connect_sync(cluster.url, prefix=names.prefix) as sync:
            third = await asyncio.to_thread(sync.send_to_user, "42", {"type": "x"})

    assert [sent.offset for sent in (first, second, third)] == [1, 2, 3]
    run, _, term = first.epoch.partition(".")
    assert term == term_of(before)
    assert second.epoch == third.epoch == f"{run}.{term_of(after)}"


async def test_a_blocking_backend_follows_a_slot(cluster: Cluster, names: Names) -> None:
    def send_across_a_move() -> list[int]:
        with fairlead.connect_sync(cluster.url, prefix=names.prefix) as sync:
            offsets = [sync.send_to_user("42", {"type": "x"}).offset]
            cluster.move_slot(key, other_than(cluster, cluster.owner_of(key)))
            offsets.append(sync.send_to_user("42", {"type": "x"}).offset)
            assert not sync.is_online("42")
            return offsets

    key = names.pubsub(CHANNEL)
    assert await asyncio.to_thread(send_across_a_move) == [1, 2]


async def test_messages_that_are_posted_while_their_slot_moves_keep_their_order(cluster: Cluster, names: Names) -> None:
    key = names.pubsub(CHANNEL)
    async with fairlead.connect(cluster.url, prefix=names.prefix, history_size=10_000) as backend:
        posting = asyncio.create_task(_post(backend, 600))
        for _ in range(4):
            await asyncio.to_thread(cluster.move_slot, key, other_than(cluster, cluster.owner_of(key)))
            await asyncio.sleep(0.1)
        sent = await posting
        (entries,) = await backend._shards.ask(("XRANGE", names.log(CHANNEL), "-", "+"))

    assert [one.offset for one in sent] == list(range(1, 601))
    assert not any(one.duplicate for one in sent)
    assert [fields[b"m"].decode() for _, fields in entries] == [one.id for one in sent]


async def _post(backend: Backend, count: int) -> list[fairlead.Sent]:
    sends = []
    for number in range(count):
        sends.append(asyncio.create_task(backend.send_to_user("42", {"type": "x", "content": number})))
        await asyncio.sleep(0.001)
    return await asyncio.gather(*sends)


async def test_commands_of_a_lane_are_done_once_and_in_order_while_their_slot_moves(
    cluster: Cluster, names: Names
) -> None:
    key = names.here(CHANNEL)
    shards = open_shards(cluster.url, names)
    lane = Lane(shards)
    moving = asyncio.create_task(_move_often(cluster, key))
    answers = []
    while not moving.done():
        answers.append(lane.call("HINCRBY", key, "n", 1))
        await asyncio.sleep(0.001)

    counted = await asyncio.gather(*answers)
    await lane.aclose()
    await shards.aclose()

    assert len(counted) > 20
    assert counted == list(range(1, len(counted) + 1))


async def _move_often(cluster: Cluster, key: str) -> None:
    for _ in range(4):
        await asyncio.to_thread(cluster.move_slot, key, other_than(cluster, cluster.owner_of(key)))
        await asyncio.sleep(0.1)


async def test_a_slot_that_has_moved_half_way_is_waited_for(cluster: Cluster, names: Names) -> None:
    """Scripts with some of their keys here and some there are told to try again."""
    key = names.meta(CHANNEL)
    async with fairlead.connect(cluster.url, prefix=names.prefix) as backend:
        await backend.send_to_user("42", {"type": "x"})
        moving = cluster.moving(key, other_than(cluster, cluster.owner_of(key)))
        moving.__enter__()
        sending = asyncio.create_task(backend.send_to_user("42", {"type": "x"}))
        done, _ = await asyncio.wait([sending], timeout=0.3)
        moving.__exit__(None, None, None)

        assert not done
        assert (await sending).offset == 2
