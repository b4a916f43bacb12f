"""A master is killed or moves: nobody restarts anything, and all is as before within seconds (DEP-3)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import fairlead
from fairlead.backend.backend import Backend
from fairlead.names import Names
from tests.support.client import Client, connected
from tests.support.replica import Replica, replicas, wait_until
from tests.support.topologies import Cluster, Sentinels

USERS = [f"user-{number}" for number in range(8)]


class Stage:
    """Two replicas, a client of each user, and a backend."""

    def __init__(self, fleet: Sequence[Replica], clients: dict[str, Client], backend: Backend) -> None:
        self.fleet = fleet
        self.clients = clients
        self.backend = backend
        self._round = 0

    async def until_all_are_reached(self, seconds: float) -> float:
        """How long it takes, *seconds* at most, until a message to each user arrives that is sent again and again."""
        self._round += 1
        kind, began = f"knock-{self._round}", time.monotonic()
        async with asyncio.timeout(seconds):
            await asyncio.gather(*(self._until_reached(user, kind) for user in USERS))
        return time.monotonic() - began

    async def until_ready(self, seconds: float = 20.0) -> None:
        async with asyncio.timeout(seconds):
            while not all([await asyncio.to_thread(replica.is_ready) for replica in self.fleet]):
                await asyncio.sleep(0.05)

    async def _until_reached(self, user: str, kind: str) -> None:
        while True:
            try:
                await self.backend.send_to_user(user, {"type": kind})
                await self.clients[user].until(kind, 0.5)
                return
            except (fairlead.Unavailable, TimeoutError):
                continue


@asynccontextmanager
async def stage(url: str, prefix: str) -> AsyncIterator[Stage]:
    with replicas(2, url, prefix, lease_seconds=3, rate_messages_per_second=0) as fleet:
        async with AsyncExitStack() as stack:
            backend = await stack.enter_async_context(fairlead.connect(url, prefix=prefix, timeout_seconds=2))
            clients = {
                user: await stack.enter_async_context(connected(fleet[number % 2].url, user))
                for number, user in enumerate(USERS)
            }
            pids = [replica.pid for replica in fleet]
            yield Stage(fleet, clients, backend)
            assert [replica.pid for replica in fleet] == pids
            assert all(replica.process and replica.process.poll() is None for replica in fleet)


async def sync_send(url: str, prefix: str, user: str) -> int:
    """A message of a thread that has just connected; its offset."""

    def send() -> int:
        with fairlead.connect_sync(url, prefix=prefix) as sync:
            return sync.send_to_user(user, {"type": "sync"}).offset

    return await asyncio.to_thread(send)


async def test_a_killed_master_behind_sentinels(prefix: str) -> None:
    with Sentinels() as sentinels:
        async with stage(sentinels.url, prefix) as on:
            with fairlead.connect_sync(sentinels.url, prefix=prefix, timeout_seconds=15) as sync:
                sync.send_to_user(USERS[0], {"type": "before"})
                sentinels.master.stop()
                await on.until_all_are_reached(20)
                await asyncio.to_thread(sync.send_to_user, USERS[0], {"type": "after"})
            await on.until_ready()
            await sync_send(sentinels.url, prefix, USERS[1])


async def test_a_master_that_hangs_behind_sentinels(prefix: str) -> None:
    """Nobody is told by a closed connection: whatever waits for the old master must be torn away from it."""
    with Sentinels() as sentinels:
        async with stage(sentinels.url, prefix) as on:
            hung = sentinels.master
            hung.freeze()
            await on.until_all_are_reached(20)
            await on.until_ready()
            hung.thaw()
            assert await on.until_all_are_reached(10) < 5


async def test_a_master_demoted_by_sentinels_though_nothing_is_wrong(prefix: str) -> None:
    with Sentinels() as sentinels:
        async with stage(sentinels.url, prefix) as on:
            await asyncio.to_thread(sentinels.failover)
            await on.until_all_are_reached(20)
            await on.until_ready()


async def test_accepted_answers_outlive_the_master_that_took_them(prefix: str) -> None:
    with Sentinels() as sentinels, replicas(2, sentinels.url, prefix, lease_seconds=3, durable_replicas=1) as fleet:
        url, before = sentinels.url, sentinels.master
        async with fairlead.connect(url, prefix=prefix, timeout_seconds=20, durable_replicas=1) as backend:
            async with AsyncExitStack() as stack:
                clients = {
                    user: await stack.enter_async_context(connected(fleet[number % 2].url, user))
                    for number, user in enumerate(USERS)
                }
                begun = {user: await backend.begin_ask(user, "Go on?", timeout=300) for user in USERS}
                last = await backend.begin_ask(USERS[0], "And this?", timeout=300)

                async def answer(user: str) -> str:
                    ack = await clients[user].ask("confirm", callback_id=begun[user].callback_id, proceed=False)
                    return str(ack["status"])

                assert {await answer(user) for user in USERS} == {"accepted"}
                before.stop()
                kept = [await backend.answer_to(one.callback_id) for one in begun.values()]
                asked = await backend.answer_to(last.callback_id)
            async with asyncio.timeout(20):
                while not all([await asyncio.to_thread(replica.is_ready) for replica in fleet]):
                    await asyncio.sleep(0.05)
            async with connected(fleet[1].url, USERS[0]) as client:
                ack = await client.ask("confirm", callback_id=last.callback_id, proceed=True)
        assert sentinels.master is not before

    assert [one and (one.status, one.proceed, one.responded_by) for one in kept] == [
        ("answered", False, user) for user in USERS
    ]
    assert (asked, ack["status"]) == (None, "accepted")


async def test_a_killed_master_of_a_cluster(prefix: str) -> None:
    with Cluster(replicas=1) as cluster:
        async with stage(cluster.url, prefix) as on:
            with fairlead.connect_sync(cluster.url, prefix=prefix, timeout_seconds=15) as sync:
                sync.send_to_user(USERS[0], {"type": "before"})
                cluster.owner_of(on.backend._names.pubsub(f"user:{USERS[0]}")).stop()
                await on.until_all_are_reached(30)
                await asyncio.to_thread(sync.send_to_user, USERS[0], {"type": "after"})
            await on.until_ready()


async def test_a_channel_that_moves_under_publishes_is_heard_again_at_once(prefix: str) -> None:
    names, user = Names(prefix), USERS[0]
    with Cluster() as cluster:
        async with stage(cluster.url, prefix) as on:
            key = names.pubsub(f"user:{user}")
            before = cluster.owner_of(key)
            after = next(master for master in cluster.masters if master is not before)
            sent: list[int] = []
            publishing = asyncio.create_task(_publish_for_ever(on.backend, user, sent))
            await on.clients[user].until("tick")

            await asyncio.to_thread(cluster.move_slot, key, after)
            moved_at = len(sent)
            await on.clients[user].until(lambda frame: frame.get("content", 0) > moved_at, 2)

            publishing.cancel()
            await asyncio.gather(publishing, return_exceptions=True)
            assert await on.until_all_are_reached(5) < 2
            await on.until_ready()
            offsets = [frame["offset"] for frame in on.clients[user].frames if frame["type"] == "tick"]
            assert sent == list(range(1, len(sent) + 1)), "offsets went on where they were"
            assert offsets == list(range(1, len(offsets) + 1)), "none missed, none twice"


async def _publish_for_ever(backend: Backend, user: str, sent: list[int]) -> None:
    while True:
        receipt = await backend.send_to_user(user, {"type": "tick", "content": len(sent) + 1})
        sent.append(receipt.offset)
        await asyncio.sleep(0.005)


async def test_a_backend_leaves_a_master_that_does_not_know_that_it_is_none(prefix: str) -> None:
    with Sentinels() as sentinels:
        async with fairlead.connect(sentinels.url, prefix=prefix) as backend:
            before = await backend.send_to_user(USERS[0], {"type": "before"})
            old = sentinels.master
            sentinels.isolate(old)
            await asyncio.to_thread(wait_until, lambda: sentinels.master is not old, 20, "a replica is promoted")

            async with asyncio.timeout(4):
                while (await backend.send_to_user(USERS[0], {"type": "after"})).epoch == before.epoch:
                    await asyncio.sleep(0.05)

            assert sentinels.is_master(old)


async def test_a_blocking_backend_leaves_it_too(prefix: str) -> None:
    with Sentinels() as sentinels, fairlead.connect_sync(sentinels.url, prefix=prefix) as backend:
        before = await asyncio.to_thread(backend.send_to_user, USERS[0], {"type": "before"})
        old = sentinels.master
        sentinels.isolate(old)
        await asyncio.to_thread(wait_until, lambda: sentinels.master is not old, 20, "a replica is promoted")

        async with asyncio.timeout(4):
            while (await asyncio.to_thread(backend.send_to_user, USERS[0], {"type": "after"})).epoch == before.epoch:
                await asyncio.sleep(0.05)

        assert sentinels.is_master(old)
