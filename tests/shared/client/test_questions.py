"""Questions in Python: what handlers may be, and what becomes of them; the rest is the suite's business."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from fairlead import Answer, Client, Question
from tests.clients.scripted import OWN, Frame, Line, Scripted, time_of

pytestmark = pytest.mark.usefixtures("nothing_left")

SECONDS = 15.0


def asked(id: str = "q1", **confirm: Any) -> Frame:
    choices = [{"value": "all", "label": "All", "proceed": True, "colour": "red"}]
    body = {"expires_at": time_of(60), "message": "Go on?", "choices": choices, **confirm}
    return {"type": "task_step_result", "callback_id": id, "channel": OWN, "step": 3, "confirm": body}


async def until(check: Callable[[], object]) -> None:
    async with asyncio.timeout(SECONDS):
        while not check():
            await asyncio.sleep(0.005)


async def opened(gateway: Scripted, *handlers: Callable[[Question], Any]) -> tuple[Client, Line, list[Exception]]:
    one = Client(gateway.url, token="t", backoff_min=0.02, backoff_max=0.2)
    errors: list[Exception] = []
    one.on_error(errors.append)
    for handler in handlers:
        one.on_question(handler)
    connecting = asyncio.create_task(one.connect())
    line = await gateway.greeted()
    await connecting
    return one, line, errors


@pytest.mark.parametrize(
    ("said", "fields"),
    [
        (True, {"proceed": True}),
        (Answer(proceed=False, feedback="no"), {"proceed": False, "feedback": "no"}),
        ({"choice": "all"}, {"choice": "all"}),
    ],
    ids=["bool", "Answer", "mapping"],
)
async def test_a_plain_function_may_answer(gateway: Scripted, said: Any, fields: Frame) -> None:
    one, line, _ = await opened(gateway, lambda question: said)
    await line.say(asked())
    confirm = await line.hears("confirm")
    await line.reply(confirm, type="confirm_ack", status="accepted")

    assert {name: confirm[name] for name in confirm if name not in ("action", "id", "callback_id")} == fields
    await one.close()


async def test_what_is_asked_can_be_read(gateway: Scripted) -> None:
    shown: list[Question] = []
    one, line, _ = await opened(gateway, shown.append)
    await line.say(asked(severity="danger"), asked("q2", expires_at="soon"))
    await until(lambda: shown)

    assert (shown[0].message, shown[0].severity, shown[0].step) == ("Go on?", "danger", 3)
    assert [(choice.value, choice.label, choice.proceed) for choice in shown[0].choices] == [("all", "All", True)]
    assert 50 < shown[0].remaining() <= 60
    assert len(shown) == 1, "one without a deadline that can be read is no question"
    await one.close()


async def test_who_comes_later_is_shown_what_is_open(gateway: Scripted) -> None:
    shown: list[str] = []
    one, line, _ = await opened(gateway)
    await line.say(asked())
    await one.request("ping")
    off = one.on_question(lambda question: shown.append(question.callback_id))
    await until(lambda: shown)
    off()
    await line.say(asked("q2"))
    await one.request("ping")

    assert shown == ["q1"]
    await one.close()


async def test_the_first_answer_counts_and_takes_it_back_from_the_others(gateway: Scripted) -> None:
    ended: list[str] = []

    async def waits(question: Question) -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            assert question.closed is not None
            ended.append(question.closed.status)

    one, line, errors = await opened(gateway, waits, lambda question: True)
    await line.say(asked())
    await line.reply(await line.hears("confirm"), type="confirm_ack", status="accepted")
    await until(lambda: ended)

    assert (ended, errors) == (["accepted"], [])
    await one.close()


async def test_a_handler_that_fails_is_told_and_leaves_the_question_open(gateway: Scripted) -> None:
    async def awaits_what_is_cancelled(question: Question) -> None:
        future = asyncio.get_running_loop().create_future()
        future.cancel()
        await future

    def fails(question: Question) -> None:
        raise ValueError("no")

    one, line, errors = await opened(gateway, awaits_what_is_cancelled, fails, lambda question: "yes")
    await line.say(asked())
    await until(lambda: len(errors) == 3)

    assert {type(error) for error in errors} == {RuntimeError, ValueError, TypeError}
    assert line.actions("confirm") == []
    await one.close()


async def test_an_answer_that_is_not_what_was_asked_for_leaves_it_open(gateway: Scripted) -> None:
    one, line, errors = await opened(gateway, lambda question: {"choice": "none"})
    await line.say(asked())
    faults = [{"field": "choice", "message": "not offered"}]
    await line.reply(await line.hears("confirm"), type="confirm_ack", status="invalid", ok=False, errors=faults)
    await until(lambda: errors)
    again: list[Question] = []
    one.on_question(again.append)
    await until(lambda: again)

    assert getattr(errors[0], "code", "") == "invalid"
    assert getattr(errors[0], "detail", {})["errors"] == faults
    await one.close()
