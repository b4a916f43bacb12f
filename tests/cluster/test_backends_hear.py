"""Backends hear clients of every replica and answer them, whoever dies in between (MSG-5, MSG-6, MSG-7, CON-10)."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any

import pytest
from redis.asyncio import Redis

import fairlead
from fairlead.backend.backend import Backend
from fairlead.names import Names
from fairlead.streams.events import Event
from fairlead.streams.feeds import Feed
from tests.support.client import connected
from tests.support.redis import Server
from tests.support.replica import Replica, replicas

SETTINGS: dict[str, Any] = {
    "lease_seconds": 3,
    "rate_messages_per_second": 0,
    "max_errors_per_minute": 10_000,
    "max_connections_per_user": 100,
    "forwarded_actions": "work,slow",
    "message_timeout_seconds": 30,
}

BOT = """
import asyncio, os, sys
import fairlead

async def main(url, prefix, kind):
    async with fairlead.connect(url, prefix=prefix, name="bot") as fl:
        async with fl.inbound("bot", consumer=kind, from_start=True, idle_seconds=0.5) as feed:
            print("ready", flush=True)
            async for m in feed:
                print(m.action, flush=True)
                if kind == "mortal":
                    os.kill(os.getpid(), 9)
                if m.action == "slow":
                    sys.stdin.readline()
                print(await m.reply({"by": kind, "n": m.frame.get("n")}), flush=True)

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def fleet(redis_url: str, fleet_prefix: str) -> Iterator[list[Replica]]:
    with replicas(2, redis_url, fleet_prefix, **SETTINGS) as fleet:
        yield fleet


@pytest.fixture(scope="module")
def fleet_prefix() -> str:
    return "hear"


class Bot:
    """A backend in a process of its own."""

    def __init__(self, url: str, prefix: str, kind: str) -> None:
        command = [sys.executable, "-c", BOT, url, prefix, kind]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def says(self) -> str:
        """Its next line."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    async def said(self) -> str:
        async with asyncio.timeout(20):
            return await asyncio.to_thread(self.says)

    def go_on(self) -> None:
        """Let it answer what is slow."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()


@contextmanager
def bot(url: str, prefix: str, kind: str = "bot") -> Iterator[Bot]:
    one = Bot(url, prefix, kind)
    try:
        assert one.says() == "ready"
        yield one
    finally:
        one.process.kill()
        one.process.wait(timeout=10)


async def drained(redis: Redis, names: Names, group: str = "bot") -> None:
    """Return when the group owes nothing; tests share a fleet, and leave it as it was."""
    async with asyncio.timeout(10):
        while (await redis.xpending(names.inbound, group))["pending"]:
            await asyncio.sleep(0.02)


async def test_another_process_answers_clients_of_every_replica(
    fleet: list[Replica], redis_url: str, fleet_prefix: str
) -> None:
    with bot(redis_url, fleet_prefix):
        async with connected(fleet[0].url, "anna") as anna, connected(fleet[1].url, "bob") as bob:
            answers = [await who.ask("work", n=n) for n, who in enumerate((anna, bob))]

    assert [(a["type"], a["ok"], a["by"], a["n"]) for a in answers] == [
        ("reply", True, "bot", 0),
        ("reply", True, "bot", 1),
    ]


async def test_the_user_gets_the_answer_although_the_replica_that_asked_was_killed(redis_url: str, prefix: str) -> None:
    with replicas(2, redis_url, prefix, **SETTINGS) as fleet, bot(redis_url, prefix) as one:
        async with connected(fleet[0].url, "carl") as carl:
            position = carl.frames[0]["channels"]["user:carl"]
            connection_id = carl.frames[0]["connection_id"]
            await carl.say("slow", id="mine", n=7)
            assert await one.said() == "slow"
            fleet[0].kill()
            await carl.closed()
        one.go_on()
        async with connected(fleet[1].url, "carl") as back:
            await back.ask("subscribe", channels=["user:carl"], recover={"user:carl": position})
            late = await back.until(lambda frame: frame.get("ref") == "mine")
            outcome = await one.said()
            await back.silent(0.5)

    assert (late["type"], late["ok"], late["late"], late["n"]) == ("reply", True, True, 7)
    assert (late["connection_id"], late["offset"], late["channel"]) == (connection_id, 1, "user:carl")
    assert outcome == "late"


async def test_a_replica_that_stood_still_does_not_say_what_went_another_way(redis_url: str, prefix: str) -> None:
    settings = {**SETTINGS, "lease_seconds": 30, "message_timeout_seconds": 3, "watchdog_seconds": 0}
    with replicas(1, redis_url, prefix, **settings) as (replica,), bot(redis_url, prefix) as one:
        async with connected(replica.url, "eva") as eva:
            await eva.say("slow", id="mine", n=1)
            assert await one.said() == "slow"
            replica.freeze()
            one.go_on()
            outcome = await one.said()
            replica.thaw()
            answers = [await eva.until(lambda frame: frame.get("ref") == "mine") for _ in range(2)]
            await eva.silent(0.5)

    assert outcome == "late"
    assert sorted((answer["type"], answer.get("late", False)) for answer in answers) == [
        ("error", False),
        ("reply", True),
    ]


async def test_what_a_killed_backend_left_another_one_answers_in_time(
    fleet: list[Replica], redis_url: str, redis: Redis, fleet_prefix: str
) -> None:
    with bot(redis_url, fleet_prefix, "mortal") as mortal:
        async with connected(fleet[0].url, "dora") as dora:
            asking = asyncio.create_task(dora.ask("work", n=3))
            assert await mortal.said() == "work"
            assert await asyncio.to_thread(mortal.process.wait, 10) == -9
            with bot(redis_url, fleet_prefix, "heir"):
                answer = await asking
                await drained(redis, Names(fleet_prefix))

    assert (answer["type"], answer["by"], answer["n"]) == ("reply", "heir", 3)


async def test_about_the_deadline_a_client_hears_one_answer_and_no_more(redis_url: str, prefix: str) -> None:
    heard: list[str] = []
    outcomes: list[str] = []
    with replicas(1, redis_url, prefix, **{**SETTINGS, "message_timeout_seconds": 0.5}) as (replica,):
        async with (
            fairlead.connect(redis_url, prefix=prefix) as fl,
            answering_slowly(fl, outcomes),
            connected(replica.url, "emil") as emil,
        ):
            for n in range(12):
                answer = await emil.ask("work", after=0.41 + 0.007 * n)
                heard.append(answer["type"])
                if answer["type"] == "error":
                    assert answer["code"] == "handler_timeout"
                    assert (await emil.until(lambda frame: frame.get("late", False)))["ref"] == answer["ref"]
            await emil.silent(0.3)

    assert outcomes == [{"reply": "delivered", "error": "late"}[type_] for type_ in heard]
    assert {*heard} == {"reply", "error"}


@asynccontextmanager
async def answering_slowly(fl: Backend, outcomes: list[str]) -> AsyncIterator[None]:
    """A backend that answers as much later as it is told."""

    async def loop() -> None:
        async for said in feed:
            await asyncio.sleep(said.frame["after"])
            outcomes.append(await said.reply({}))

    async with fl.inbound("bot") as feed:
        task = asyncio.create_task(loop())
        yield
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_events_of_all_replicas_reach_every_group(fleet: list[Replica], backend: Backend) -> None:
    users = [f"ev-{n}" for n in range(10)]
    async with backend.events("one") as one, backend.events("two") as two:
        async with AsyncExitStack() as stack:
            for n, user in enumerate(users):
                await stack.enter_async_context(connected(fleet[n % 2].url, user))
        heard = [await until_all_have_left(feed, users) for feed in (one, two)]

    for events in heard:
        came = [event for event in events if event.name == "user_connected"]
        assert sorted(event.facts["user_id"] for event in came) == users
        assert len({event.replica for event in came}) == 2


async def until_all_have_left(feed: Feed[Event[Any]], users: list[str]) -> list[Event[Any]]:
    """What happened to *users*, until all of them have disconnected."""
    events: list[Event[Any]] = []
    async with asyncio.timeout(30):
        while [event.name for event in events].count("user_disconnected") < len(users):
            event = await anext(feed)
            if event.facts.get("user_id") in users:
                events.append(event)
    return events


async def test_events_wait_while_redis_is_away(prefix: str) -> None:
    with (
        Server("--appendonly", "yes", "--appendfsync", "always") as server,
        replicas(1, server.url, prefix, **SETTINGS) as (replica,),
    ):
        async with (
            fairlead.connect(server.url, prefix=prefix) as fl,
            fl.events("crm") as feed,
            connected(replica.url, "fay") as fay,
        ):
            await fay.ask("join_session", session_id="s1")
            await fay.ask("message", session_id="s1", content="before")
            await asyncio.to_thread(server.stop)
            await fay.ask("leave_session", session_id="s1")
            await asyncio.to_thread(server.start)
            await asyncio.to_thread(replica.wait_ready)
            # By id, since what may or may not have been written when Redis went is written again.
            heard: dict[str, str] = {}
            async with asyncio.timeout(20):
                while "session_left" not in heard.values():
                    event = await anext(feed)
                    heard[event.id] = event.name

    assert [*heard.values()] == ["user_connected", "session_joined", "message_received", "session_left"]


async def test_connections_of_a_dead_replica_are_in_the_history(redis_url: str, prefix: str) -> None:
    with replicas(2, redis_url, prefix, **SETTINGS) as fleet:
        async with fairlead.connect(redis_url, prefix=prefix) as fl:
            async with connected(fleet[0].url, "gus") as gus:
                replica, connection_id = gus.frames[0]["replica"], gus.frames[0]["connection_id"]
                await asyncio.sleep(0.2)
                fleet[0].kill()
                await gus.closed()
            async with connected(fleet[1].url, "hal"):
                pass
            async with asyncio.timeout(20):
                while not (lost := await fl.connection_history("gus")):
                    await asyncio.sleep(0.05)
            everybody = await fl.connection_history()

    (record,) = lost
    assert (record.connection_id, record.code, record.reason) == (connection_id, 1006, "replica lost")
    assert record.replica == replica
    assert 0.2 <= record.seconds < 20
    assert {one.user_id for one in everybody} == {"gus", "hal"}


async def test_a_thousand_actions_in_flight_get_a_thousand_answers(
    fleet: list[Replica], backend: Backend, redis: Redis, fleet_prefix: str
) -> None:
    names = Names(fleet_prefix)
    asked = asyncio.Event()
    outcomes: Counter[str] = Counter()

    async def work() -> None:
        async with backend.inbound("thousand", types=["work"]) as feed:
            async for said in feed:
                await asked.wait()
                outcomes[await said.reply({"n": said.frame["n"]})] += 1

    workers = [asyncio.create_task(work()) for _ in range(8)]
    async with AsyncExitStack() as stack:
        async with asyncio.timeout(10):
            while not await redis.exists(names.inbound):
                await asyncio.sleep(0.02)
        clients = [await stack.enter_async_context(connected(fleet[n % 2].url, f"many-{n % 20}")) for n in range(1000)]
        before = await redis.xinfo_stream(names.inbound)
        asking = [asyncio.create_task(client.ask("work", n=n)) for n, client in enumerate(clients)]
        async with asyncio.timeout(20):
            while (await redis.xinfo_stream(names.inbound))["entries-added"] < before["entries-added"] + 1000:
                await asyncio.sleep(0.01)
        asked.set()
        answers = await asyncio.gather(*asking)
    for worker in workers:
        worker.cancel()
    await asyncio.gather(*workers, return_exceptions=True)

    assert [(a["type"], a.get("n")) for a in answers] == [("reply", n) for n in range(1000)]
    assert outcomes == {"delivered": 1000}
