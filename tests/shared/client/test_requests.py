"""Requests: one answer each, whatever becomes of connections."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fairlead.client.requests import MAX_WAITING, REPEATABLE, Request, Requests
from fairlead.errors import ClientError, Conflict, FairleadError, InvalidJson, InvalidMessage, TooLarge
from fairlead_gateway.sessions.actions import RESERVED


def add(table: Requests, action: str = "quote", **fields: Any) -> Request:
    request = table.add(action, fields, 5.0, None)
    request.is_sent = True
    return request


def failure(request: Request) -> FairleadError:
    error = request.answer.exception()
    assert isinstance(error, FairleadError)
    return error


def test_every_built_in_action_may_be_said_twice_but_those_of_an_opening() -> None:
    assert RESERVED - {"connect", "pong", "refresh"} == REPEATABLE


async def test_an_answer_goes_to_whoever_asked() -> None:
    table = Requests()
    first, second = add(table), add(table)

    assert table.answered({"type": "reply", "ref": second.ref, "n": 2}) is second
    assert table.answered({"type": "reply", "ref": second.ref, "n": 3}) is None
    assert (second.answer.result()["n"], first.answer.done(), len(table)) == (2, False, 1)


async def test_an_error_is_the_exception_of_its_code() -> None:
    table = Requests()
    conflict, own = add(table), add(table)
    table.answered({"type": "error", "ref": conflict.ref, "code": "conflict", "message": "no", "detail": {"self": 7}})
    table.answered({"type": "error", "ref": own.ref, "code": "out_of_stock", "message": "no", "detail": None})

    assert isinstance(failure(conflict), Conflict)
    assert failure(conflict).detail == {"self": 7}
    assert (type(failure(own)), failure(own).code) == (ClientError, "out_of_stock")


async def test_what_may_be_said_again_is_said_again_under_the_same_ids() -> None:
    table = Requests()
    message, own, marked = add(table, "message", content=1), add(table), add(table)
    marked.repeatable = True
    waiting = table.add("quote", {}, 5.0, None)
    table.broke()

    assert failure(own).code == "disconnected"
    assert table.unsaid() == [message, marked, waiting]
    assert message.frame["message_id"]


async def test_who_sent_too_much_does_not_send_it_again() -> None:
    table = Requests()
    small, large = add(table, "message", content="x"), add(table, "message", content="x" * 1000)
    table.broke(too_large=True)

    assert isinstance(failure(large), TooLarge)
    assert table.unsaid() == [small]


async def test_an_id_of_ones_own_is_kept() -> None:
    table = Requests()

    assert add(table, "message", content=1, message_id="m-1").frame["message_id"] == "m-1"
    assert add(table, id="mine").ref == "mine"
    with pytest.raises(InvalidMessage):
        add(table, id="mine")
    with pytest.raises(InvalidJson):
        add(table, price=float("nan"))


async def test_a_request_that_is_not_answered_in_time_fails_and_is_forgotten() -> None:
    table = Requests()
    request = table.add("quote", {}, 0.01, None)
    with pytest.raises(ClientError) as caught:
        await request.answer

    assert (caught.value.code, len(table)) == ("timeout", 0)


async def test_there_is_a_bound() -> None:
    table = Requests()
    for _ in range(MAX_WAITING):
        add(table)
    with pytest.raises(ClientError) as caught:
        add(table)
    table.close(ClientError("closed", "over"))

    assert (caught.value.code, len(table)) == ("too_many", 0)


async def test_nobody_is_left_waiting_by_who_gives_up() -> None:
    table = Requests()
    request = add(table)
    waiter = asyncio.create_task(_wait(request))
    await asyncio.sleep(0)
    waiter.cancel()
    await asyncio.wait([waiter])

    assert table.answered({"type": "reply", "ref": request.ref}) is None
    assert len(table) == 0


async def _wait(request: Request) -> None:
    await request.answer
