"""The same promises, whatever shape Redis has: two replicas, three ways to send, everything that asks (DEP-3)."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from uuid import uuid4

import pytest

import fairlead
from fairlead.backend.backend import Backend
from fairlead.names import Names
from fairlead.redis.shards import open_shards
from fairlead.state.instances import FOLD_PATCHES
from fairlead_gateway.facts.lane import Lane
from fairlead_gateway.facts.seats import Seats
from tests.support.client import Client, connected
from tests.support.redis import Server
from tests.support.replica import Replica, replicas
from tests.support.rest import rest
from tests.support.topologies import SHAPES

USERS = [f"user-{number}" for number in range(12)]
"""Enough for several in every shard."""


@pytest.mark.parametrize("shape", SHAPES)
async def test_everything_reaches_everybody_through_two_replicas(shape: str, prefix: str) -> None:
    options = {"lease_seconds": 3, "forwarded_actions": "work", "alerts": "backends_behind=0/0"}
    with SHAPES[shape]() as url, replicas(2, url, prefix, **options) as fleet:
        async with AsyncExitStack() as stack:
            backend = await stack.enter_async_context(fairlead.connect(url, prefix=prefix, name="tests"))
            clients = {
                user: await stack.enter_async_context(connected(fleet[number % 2].url, user))
                for number, user in enumerate(USERS)
            }

            await _backends_send(backend, url, prefix, clients)
            await _clients_talk(backend, clients)
            await _channels_are_read(backend, url, prefix, clients)
            await _other_languages_send(backend, clients)
            await _presence_is_true(backend, clients)
            await _backends_hear(backend, url, prefix, clients)
            await _tasks_are_shown(backend, fleet)
            await _instances_are_patched(backend, url, prefix, clients)
            await _people_answer(backend, url, prefix, clients)
            await _the_fleet_is_counted(backend, fleet, clients)
            await _operators_are_told(fleet)


async def _backends_send(backend: Backend, url: str, prefix: str, clients: dict[str, Client]) -> None:
    sent = await asyncio.gather(
        *(backend.send_to_user(user, {"type": "a", "content": n}) for n in range(10) for user in USERS)
    )
    again = await backend.send_to_user(USERS[0], {"type": "a"}, message_id=sent[0].id)
    with fairlead.connect_sync(url, prefix=prefix) as sync, sync.batch() as batch:
        for user in USERS:
            sync.send_to_user(user, {"type": "b"})

    assert [one.offset for one in sent] == [n for n in range(1, 11) for _ in USERS]
    assert {one.receivers for one in sent} == {1}
    assert (again.offset, again.duplicate) == (1, True)
    assert [one.offset for one in batch.sent] == [11] * len(USERS)
    for client in clients.values():
        heard = [await client.until("a") for _ in range(10)]
        assert [frame["content"] for frame in heard] == list(range(10))
        assert [frame["offset"] for frame in heard] == list(range(1, 11))
        assert (await client.until("b"))["offset"] == 11


async def _clients_talk(backend: Backend, clients: dict[str, Client]) -> None:
    session = f"s-{uuid4().hex[:6]}"
    first, second = clients[USERS[0]], clients[USERS[1]]
    for client in (first, second):
        answer = await client.ask("join_session", session_id=session)
        assert answer["type"] == "reply", answer
    assert (await first.ask("message", session_id=session, content="hello"))["type"] == "reply"
    assert (await second.until("new_message"))["content"] == "hello"
    assert {member.user_id for member in await backend.presence(f"session:{session}")} == {USERS[0], USERS[1]}
    await backend.broadcast({"type": "all"})
    for client in clients.values():
        await client.until("all")


async def _other_languages_send(backend: Backend, clients: dict[str, Client]) -> None:
    stream = backend._names.ingress
    for user in USERS:
        await backend._shards.ask(("XADD", stream, "*", "to", f"user:{user}", "message", '{"type":"c"}'))
    for client in clients.values():
        await client.until("c")


async def _presence_is_true(backend: Backend, clients: dict[str, Client]) -> None:
    assert await backend.online_users() == set(clients)
    assert await backend.is_online(USERS[3])
    await backend.grant_session("closed", [USERS[3]])
    assert len(await backend.presence(f"user:{USERS[3]}")) == 1


async def _the_fleet_is_counted(backend: Backend, fleet: list[Replica], clients: dict[str, Client]) -> None:
    async with rest(fleet[1]) as api, asyncio.timeout(15):
        while (stats := await api.get("/stats"))["total_connections"] != len(clients):
            await asyncio.sleep(0.2)
        sessions = (await api.get("/sessions"))["items"]
        assert (stats["active_users"], stats["active_sessions"]) == (len(clients), len(sessions))
        assert stats["total_session_connections"] == sum(one["connections"] for one in sessions) >= 2
        assert stats["messages_sent"] >= 12 * len(clients)
        assert sum(one["messages_sent"] for one in stats["replicas"]) == stats["messages_sent"]
        assert len((await api.get("/online-users"))["items"]) == len(clients)
        while (await backend.stats())["messages_sent"] < stats["messages_sent"]:
            await asyncio.sleep(0.2)


async def _operators_are_told(fleet: list[Replica]) -> None:
    async with rest(fleet[0]) as api, asyncio.timeout(30):
        health = await api.get("/health")
        assert (health["status"], len(health["replicas"])) == ("healthy", 2)
        assert all(server["reachable"] and server["version"] for server in health["redis"]["servers"])
        while not any(one["rule"] == "backends_behind" for one in (await api.get("/alerts"))["items"]):
            await asyncio.sleep(0.2)


async def _tasks_are_shown(backend: Backend, fleet: list[Replica]) -> None:
    tasks = [f"task-{number}" for number in range(8)]
    await asyncio.gather(*(backend.update_task(task, owner="owner", progress=1) for task in tasks[:4]))
    async with (
        connected(f"{fleet[0].url}/monitor/tasks", "owner", topics=["none"]) as monitor,
        connected(fleet[1].url, "owner", topics=["none"]) as phone,
    ):
        async with backend.batch():
            for task in tasks[4:]:
                await backend.update_task(task, owner="owner", progress=1, stalled_after=1)
        shown: set[str] = set()
        while shown != set(tasks):
            shown.add((await monitor.until("task_update"))["task_id"])
        assert {(await monitor.until("task_stalled", 15))["task_id"] for _ in tasks[4:]} == set(tasks[4:])
        for task in tasks:
            assert (await phone.ask("cancel", task_id=task))["version"] == 2
        assert {(await phone.until("task_cancelled"))["task_id"] for _ in tasks} == set(tasks)
        assert all(await asyncio.gather(*(backend.is_cancelled(task) for task in tasks)))


async def _backends_hear(backend: Backend, url: str, prefix: str, clients: dict[str, Client]) -> None:
    async def work() -> None:
        async for said in feed:
            await said.reply({"n": said.frame["n"]})

    async with backend.inbound("bot", types=["work"]) as feed, backend.events("crm") as events:
        worker = asyncio.create_task(work())
        answers = await asyncio.gather(*(client.ask("work", n=n) for n, client in enumerate(clients.values())))
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)
        await clients[USERS[0]].ask("join_session", session_id="heard")
        async with asyncio.timeout(10):
            event = await anext(events)
    with fairlead.connect_sync(url, prefix=prefix) as sync, sync.inbound("sync") as blocking:
        asking = asyncio.create_task(clients[USERS[1]].ask("work", n=0))
        said = await asyncio.to_thread(next, blocking)
        outcome = await asyncio.to_thread(said.reply, {"n": "sync"})

    assert [(answer["type"], answer["n"]) for answer in answers] == [("reply", n) for n in range(len(USERS))]
    assert (event.name, event.facts["user_id"]) == ("session_joined", USERS[0])
    assert ((await asking)["n"], outcome) == ("sync", "delivered")
    assert await backend.connection_history() == []


async def _channels_are_read(backend: Backend, url: str, prefix: str, clients: dict[str, Client]) -> None:
    for user, client in clients.items():
        await backend.send_to_user(user, {"type": "hello", "content": user})
        told = await client.ask("history", channel=f"user:{user}", limit=1)
        with fairlead.connect_sync(url, prefix=prefix) as sync:
            read = await asyncio.to_thread(sync.history, f"user:{user}", 1)
        assert told["messages"] == read.messages == (await backend.history(f"user:{user}", 1)).messages
        assert read.messages[0]["content"] == user


async def _instances_are_patched(backend: Backend, url: str, prefix: str, clients: dict[str, Client]) -> None:
    names = [f"i-{number}" for number in range(6)]
    for client, name in zip(clients.values(), names, strict=False):
        assert (await client.ask("subscribe", channels=[f"instance:{name}"]))["type"] == "reply"
        assert (await client.until("snapshot"))["version"] == 0
    await asyncio.gather(*(backend.send_patch(name, {f"n.{n}": n}) for n in range(FOLD_PATCHES) for name in names))
    with fairlead.connect_sync(url, prefix=prefix) as sync:
        for name in names:
            assert sync.send_patch(name, {"last": name}, base_version=FOLD_PATCHES).version == FOLD_PATCHES + 1
            with pytest.raises(fairlead.Conflict):
                sync.send_patch(name, {"last": ""}, base_version=FOLD_PATCHES)

    for client, name in zip(clients.values(), names, strict=False):
        heard = [(await client.until("patch"))["version"] for _ in range(FOLD_PATCHES + 1)]
        assert heard == list(range(1, FOLD_PATCHES + 2))
        asked = await client.ask("get_state", channel=f"instance:{name}")
        kept = await backend.get_instance(name)
        assert (asked["version"], asked["document"]) == (kept.version, kept.document)
        assert len(kept.document["n"]) == FOLD_PATCHES
    async with asyncio.timeout(10):
        while await backend.instance_counts() != dict.fromkeys(names, 1):
            await asyncio.sleep(0.1)


async def _people_answer(backend: Backend, url: str, prefix: str, clients: dict[str, Client]) -> None:
    """Records, lists, logs, replies and the audit trail live on different servers; the outcome is one all the same."""

    async def answer(user: str) -> str:
        asked = await clients[user].until("task_step_result")
        ack = await clients[user].ask("confirm", callback_id=asked["callback_id"], proceed=True, feedback=user)
        return str(ack["status"])

    asking = asyncio.gather(*(backend.ask(user, "Go on?", task_id="t-1") for user in USERS))
    statuses = await asyncio.gather(*map(answer, USERS))
    outcomes = await asyncio.wait_for(asking, 10)
    with fairlead.connect_sync(url, prefix=prefix) as sync:
        blocked = asyncio.create_task(asyncio.to_thread(sync.ask, USERS[:2], "Go on?"))
        await answer(USERS[1])
        first = await asyncio.wait_for(blocked, 10)
    ran_out = await asyncio.gather(*(backend.ask(user, "Go on?", timeout=1) for user in USERS))
    cancelled = [await backend.begin_ask(user, "Go on?", task_id="t-2") for user in USERS]
    assert await backend._asks.cancel_of_task("t-2") == len(USERS)

    assert set(statuses) == {"accepted"}
    assert [outcome.feedback for outcome in outcomes] == USERS
    assert first.responded_by == USERS[1]
    assert {outcome.status for outcome in ran_out} == {"timed_out"}
    last = {outcome.callback_id: "timed_out" for outcome in ran_out}
    last |= {begun.callback_id: "cancelled" for begun in cancelled}
    for user in USERS:
        endings = []
        while sorted(endings) != ["cancelled", "timed_out"]:
            closed = await clients[user].until("confirm_closed")
            if closed["callback_id"] in last:
                assert closed["status"] == last[closed["callback_id"]]
                endings.append(closed["status"])
        assert (await clients[user].ask("list_confirms"))["confirms"] == []


async def test_one_of_two_servers_down_leaves_the_channels_of_the_other(prefix: str) -> None:
    with Server() as one, Server() as other:
        url = f"{one.url},{other.url}"
        with replicas(1, url, prefix, lease_seconds=3) as (replica,):
            async with fairlead.connect(url, prefix=prefix, timeout_seconds=1) as backend, AsyncExitStack() as stack:
                clients = {u: await stack.enter_async_context(connected(replica.url, u)) for u in USERS}
                lost = {u for u in USERS if _lives_on(backend, u, other)}
                assert 0 < len(lost) < len(USERS)

                other.stop()
                answers = await asyncio.gather(
                    *(backend.send_to_user(user, {"type": "x"}) for user in USERS), return_exceptions=True
                )
                for user in set(USERS) - lost:
                    await clients[user].until("x", 3)
                await _not_ready(replica)

                other.start()
                await asyncio.to_thread(replica.wait_ready)
                await asyncio.gather(*(backend.send_to_user(user, {"type": "y"}) for user in USERS))
                for user in USERS:
                    await clients[user].until("y")

    refused = {user for user, answer in zip(USERS, answers, strict=True) if isinstance(answer, fairlead.Unavailable)}
    assert refused == lost


def _lives_on(backend: Backend, user: str, server: Server) -> bool:
    shard = backend._shards.find(backend._names.pubsub(f"user:{user}"))
    return shard is not None and shard.name.endswith(f":{server.port}/0")


async def _not_ready(replica: Replica) -> None:
    async with asyncio.timeout(6):
        while replica.is_ready():
            await asyncio.sleep(0.05)


async def test_a_seat_that_cannot_be_freed_stays_written_down_for_whoever_sweeps(names: Names) -> None:
    with Server() as one, Server() as other:
        shards = open_shards(f"{one.url},{other.url}", names)
        lane = Lane(shards, answer_seconds=1)
        seats = Seats(lane, names, "r1")
        fleet = shards.find(names.replicas)
        user = next(user for user in USERS if shards.find(names.conns(user)) is not fleet)
        away = other if fleet is not None and fleet.name.endswith(f":{one.port}/0") else one
        await seats.admit("c1", user, "", [], limit=5, policy="refuse")

        away.stop()
        with pytest.raises(fairlead.Unavailable):
            await seats.release("c1", user, [])
        (held,) = await shards.ask(("HKEYS", names.replica_conns("r1")))
        away.start()
        await seats.settle_debts()
        (left,) = await shards.ask(("HKEYS", names.replica_conns("r1")))
        await lane.aclose()
        await shards.aclose()

    assert (held, left) == ([b"c1"], [])
