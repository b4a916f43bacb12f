"""The bus and the tasks of a replica: nobody's failure is another's, and nothing is forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from structlog.testing import capture_logs

from fairlead_gateway.sessions.events import EventBus, Facts
from fairlead_gateway.sessions.tasks import Tasks


async def test_everybody_who_asked_is_told_in_the_order_of_asking() -> None:
    bus, heard = EventBus(Tasks()), []
    bus.on("news", lambda facts: heard.append(("first", facts)))
    bus.on("news", lambda facts: heard.append(("second", facts)))

    bus.emit("news", number=7)
    bus.emit("other", number=8)

    facts = {"event": "news", "number": 7}
    assert heard == [("first", facts), ("second", facts)]


async def test_who_asked_for_any_event_is_told_of_each() -> None:
    bus, heard = EventBus(Tasks()), []
    bus.on("*", lambda facts: heard.append(facts["event"]))

    bus.emit("news")
    bus.emit("other")

    assert heard == ["news", "other"]


async def test_backends_are_told_of_those_events_that_are_named() -> None:
    told: list[tuple[str, Mapping[str, object]]] = []
    bus = EventBus(Tasks(), lambda name, facts: told.append((name, facts)), ("user_*", "news"))

    for name in ("user_connected", "news", "newspaper", "auser_x", "user_gone"):
        bus.emit(name, number=1)

    assert [name for name, _ in told] == ["user_connected", "news", "user_gone"]
    assert told[0][1] == {"number": 1}


async def test_facts_that_cannot_be_told_to_backends_harm_nobody_here() -> None:
    def tell(name: str, facts: Mapping[str, object]) -> None:
        raise TypeError("too large a number")

    heard: list[Facts] = []
    bus = EventBus(Tasks(), tell, ("*",))
    bus.on("news", heard.append)
    with capture_logs() as logs:
        bus.emit("news", number=2**99)

    assert heard == [{"event": "news", "number": 2**99}]
    assert [(entry["event"], entry["about"]) for entry in logs] == [("event not told to backends", "news")]


async def test_who_no_longer_asks_is_no_longer_told() -> None:
    bus, heard = EventBus(Tasks()), []
    bus.on("news", heard.append)

    bus.off("news", heard.append)
    bus.off("news", heard.append)
    bus.emit("news")

    assert heard == []


async def test_an_ear_may_stop_listening_while_it_is_told() -> None:
    bus, heard = EventBus(Tasks()), []

    def once(facts: Facts) -> None:
        heard.append(facts)
        bus.off("news", once)

    bus.on("news", once)
    bus.on("news", heard.append)
    bus.emit("news")
    bus.emit("news")

    assert len(heard) == 3


async def test_async_ears_run_as_tasks_of_the_replica_and_their_failures_are_logged() -> None:
    tasks, heard = Tasks(), []
    bus = EventBus(tasks)

    async def broken(facts: Facts) -> None:
        raise RuntimeError("broken")

    async def good(facts: Facts) -> None:
        heard.append(facts["event"])

    bus.on("news", broken)
    bus.on("news", good)
    with capture_logs() as logs:
        bus.emit("news")
        await tasks.finish()

    assert heard == ["news"]
    assert [(entry["event"], entry["task"]) for entry in logs] == [("task failed", "event news")]


async def test_a_plain_ear_that_fails_is_logged_and_the_next_is_told() -> None:
    bus, heard = EventBus(Tasks()), []
    bus.on("news", lambda facts: 1 / 0)
    bus.on("news", heard.append)

    with capture_logs() as logs:
        bus.emit("news")

    assert len(heard) == 1
    assert [(entry["event"], entry["about"]) for entry in logs] == [("event handler failed", "news")]


async def test_finishing_waits_for_what_starts_meanwhile_too() -> None:
    tasks, done = Tasks(), []

    async def later() -> None:
        done.append("later")

    async def first() -> None:
        await asyncio.sleep(0)
        tasks.start(later(), name="later")
        done.append("first")

    tasks.start(first(), name="first")
    await tasks.finish()

    assert done == ["first", "later"]


async def test_ending_cancels_what_still_runs_and_waits_for_it() -> None:
    tasks, ended = Tasks(), asyncio.Event()

    async def forever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    tasks.start(forever(), name="forever")
    await asyncio.sleep(0)
    await tasks.end()

    assert ended.is_set()
