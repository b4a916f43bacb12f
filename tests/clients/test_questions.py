"""Questions to people: rules Q1 to Q4."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.clients.drivers import Driver
from tests.clients.scripted import OWN, SECONDS, Frame, Line, Scripted, time_of


def question(id: str = "q1", **confirm: Any) -> Frame:
    asked = {
        "kind": "confirmation",
        "message": "Apply to 10 ports?",
        "severity": "danger",
        "choices": [],
        "feedback": "optional",
        "created_at": time_of(),
        "expires_at": time_of(120),
        "server_time": time_of(),
        "on_timeout": "stop",
        **confirm,
    }
    body = {"type": "task_step_result", "id": f"ask:{id}", "channel": OWN, "callback_id": id}
    return {**body, "task_id": "t1", "step": 3, "step_result": {}, "confirm": asked}


def closed(id: str = "q1", status: str = "answered", by: str = "43") -> Frame:
    body = {"type": "confirm_closed", "id": f"closed:{id}", "channel": OWN, "callback_id": id}
    return {**body, "status": status, "by": by, "at": time_of()}


def ack(id: str = "q1", status: str = "accepted") -> Frame:
    return {"type": "confirm_ack", "callback_id": id, "status": status, "ok": status in ("accepted", "duplicate")}


async def opened(client: Driver, gateway: Scripted, **options: Any) -> Line:
    await client.make(gateway.url, **options)
    await client.show_questions()
    connecting = client.begin("connect")
    line = await gateway.greeted()
    await connecting
    return line


@pytest.mark.rules("Q1", "Q4")
async def test_a_question_is_shown_once_and_what_its_handler_returns_is_the_answer(
    client: Driver, gateway: Scripted
) -> None:
    line = await opened(client, gateway)
    await line.say(question(), question(), question())
    shown = await client.until("question")
    await client.answer("q1", {"proceed": False, "feedback": "not now"})
    confirm = await line.hears("confirm")
    await line.reply(confirm, **ack())
    await client.do("request", "ping", {})
    await line.say(question())
    await client.do("request", "ping", {})

    assert shown.items() >= {"callback_id": "q1", "task_id": "t1", "step": 3, "kind": "confirmation"}.items()
    assert shown.items() >= {"message": "Apply to 10 ports?", "severity": "danger", "feedback": "optional"}.items()
    assert shown["on_timeout"] == "stop"
    assert 0 < shown["remaining"] < 121
    assert {name: confirm[name] for name in ("callback_id", "proceed", "feedback")} == {
        "callback_id": "q1",
        "proceed": False,
        "feedback": "not now",
    }
    assert len(client.all("question")) == 1
    assert len(line.actions("confirm")) == 1


@pytest.mark.rules("Q1")
@pytest.mark.parametrize(
    ("answer", "said"),
    [(True, {"proceed": True}), (False, {"proceed": False}), ({"choice": "retry"}, {"choice": "retry"})],
    ids=["yes", "no", "a choice"],
)
async def test_an_answer_may_be_short(client: Driver, gateway: Scripted, answer: Any, said: Frame) -> None:
    line = await opened(client, gateway)
    await line.say(question())
    await client.until("question")
    await client.answer("q1", answer)

    confirm = await line.hears("confirm")

    assert {name: value for name, value in confirm.items() if name not in ("action", "id", "callback_id")} == said


@pytest.mark.rules("Q1")
async def test_who_answers_nothing_leaves_it_open(client: Driver, gateway: Scripted) -> None:
    line = await opened(client, gateway)
    await line.say(question("q1"), question("q2"))
    for id in ("q1", "q2"):
        await client.until("question", callback_id=id)
    await client.answer("q1", None)
    await client.answer("q2", True)

    assert (await line.hears("confirm"))["callback_id"] == "q2"
    await client.do("request", "ping", {})
    assert len(line.actions("confirm")) == 1
    await line.say(closed("q1"))
    await client.do("request", "ping", {})
    assert client.all("error") == []


@pytest.mark.rules("O5", "Q1")
async def test_deadlines_are_shown_by_the_clock_of_the_gateway(client: Driver, gateway: Scripted) -> None:
    await client.make(gateway.url)
    await client.show_questions()
    connecting = client.begin("connect")
    line = await gateway.next()
    await line.greet(ahead=3600)
    await connecting
    await line.say(question(expires_at=time_of(3660)))

    assert 30 < (await client.until("question"))["remaining"] <= 60.5


@pytest.mark.rules("Q2")
async def test_what_is_answered_elsewhere_is_taken_back(client: Driver, gateway: Scripted) -> None:
    line = await opened(client, gateway)
    await line.say(question("q1"), question("q2"))
    for id in ("q1", "q2"):
        await client.until("question", callback_id=id)
    await line.say(closed("q1", "answered", "43"), closed("q2", "timed_out"))

    first = await client.until("taken_back", callback_id="q1")
    second = await client.until("taken_back", callback_id="q2")

    assert (first["status"], first["by"], second["status"]) == ("answered", "43", "timed_out")
    assert line.actions("confirm") == []


@pytest.mark.rules("Q2")
async def test_a_client_that_stops_takes_back_what_it_shows(client: Driver, gateway: Scripted) -> None:
    line = await opened(client, gateway)
    await line.say(question())
    await client.until("question")
    await client.do("close")

    assert (await client.until("taken_back", callback_id="q1"))["status"] == "closed"

    connecting = client.begin("connect")
    again = await gateway.greeted()
    await connecting
    await again.say(question())
    async with asyncio.timeout(SECONDS):
        while len(client.all("question")) < 2:
            await asyncio.sleep(0.01)


@pytest.mark.rules("Q2")
async def test_ones_own_answer_takes_nothing_back(client: Driver, gateway: Scripted) -> None:
    line = await opened(client, gateway)
    await line.say(question())
    await client.until("question")
    await client.answer("q1", True)
    await line.reply(await line.hears("confirm"), **ack())
    await line.say(closed("q1", "answered", "42"))
    await client.do("request", "ping", {})

    assert client.all("taken_back") == []
    assert client.all("error") == []


@pytest.mark.rules("Q3", "Q1")
async def test_what_was_closed_while_it_was_away_is_taken_back(client: Driver, gateway: Scripted) -> None:
    line = await opened(client, gateway)
    await line.say(question("q1"), question("q2"))
    for id in ("q1", "q2"):
        await client.until("question", callback_id=id)
    gateway.manners["list_confirms"] = lambda said: {"confirms": [question("q2"), question("q3")]}
    line.reset()
    back = await gateway.greeted()
    taken = await client.until("taken_back")
    await back.say(question("q2"), question("q3"))
    await client.until("question", callback_id="q3")

    assert (taken["callback_id"], taken["status"]) == ("q1", "closed")
    assert [one["callback_id"] for one in client.all("question")] == ["q1", "q2", "q3"]
    assert len(client.all("taken_back")) == 1


@pytest.mark.rules("Q4", "A2")
async def test_an_answer_that_breaks_with_the_connection_is_given_again(client: Driver, gateway: Scripted) -> None:
    line = await opened(client, gateway)
    await line.say(question())
    await client.until("question")
    await client.answer("q1", True)
    await line.hears("confirm")
    gateway.manners["list_confirms"] = lambda said: {"confirms": [question()]}
    line.reset()
    back = await gateway.greeted()
    confirm = await back.hears("confirm")
    await back.reply(confirm, **ack(status="duplicate"))
    await client.do("request", "ping", {})

    assert (confirm["callback_id"], confirm["proceed"]) == ("q1", True)
    assert client.all("taken_back") == []
    assert client.all("error") == []


@pytest.mark.rules("Q4")
async def test_an_answer_that_does_not_count_is_told(client: Driver, gateway: Scripted) -> None:
    line = await opened(client, gateway)
    await line.say(question())
    await client.until("question")
    await client.answer("q1", True)
    await line.reply(await line.hears("confirm"), **ack(status="expired"))

    assert (await client.until("error"))["code"] == "expired"
