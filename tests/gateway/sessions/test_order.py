"""Each action is answered once, one client's are done in order, and a fault of ours ends nobody's connection."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fairlead.errors import Conflict
from fairlead_gateway.sessions.context import Context
from fairlead_gateway.sessions.receiver import MAX_INBOX
from tests.gateway.running import Gateway, Message, new_session, serving, settings_for

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_every_action_with_an_id_is_answered_exactly_once(gateway: Gateway) -> None:
    client, session = await gateway.connect(), new_session()
    frames = [
        {"action": "ping"},
        {"action": "subscribe", "channels": [f"topic:{session}"]},
        {"action": "join_session", "session_id": session},
        {"action": "message", "content": 1},
        {"action": "typing"},
        {"action": "presence", "channel": f"session:{session}"},
        {"action": "leave_session", "session_id": session},
        {"action": "unsubscribe", "channels": [f"topic:{session}"]},
        {"action": "refresh", "token": "nonsense"},
        {"action": "connect", "token": "late"},
        {"action": "no_such_action"},
        {"action": ""},
        {"type": 7},
        {},
        {"action": "message"},
    ]

    for number, frame in enumerate(frames):
        await client.send(frame | {"id": f"f{number}"})
    await client.answer(f"f{len(frames) - 1}")
    await asyncio.sleep(0)

    heard = await client.heard()
    refs = [message["ref"] for message in heard if "ref" in message]
    assert sorted(refs) == sorted(f"f{number}" for number in range(len(frames) - 1))
    assert {message["ref"]: message.get("code") for message in heard if message["type"] == "error"} == {
        "f8": "unauthorized",
        "f9": "invalid_message",
        "f10": "unknown_action",
        "f11": "invalid_message",
        "f12": "invalid_message",
        "f13": "invalid_message",
    }


async def test_without_an_id_only_errors_are_said(gateway: Gateway) -> None:
    client, session = await gateway.connect(), new_session()

    await client.say("subscribe", channels=[f"topic:{session}"])
    await client.say("subscribe", channels=["nonsense"])
    await client.ask("presence", channel=f"topic:{session}")

    (error,) = await client.heard()
    assert (error["type"], error["ref"], error["code"]) == ("error", None, "invalid_message")


async def test_the_pong_is_the_reply_to_a_ping_and_echoes_its_timestamp(gateway: Gateway) -> None:
    client = await gateway.connect()

    pong = await client.ask("ping", timestamp={"sent": 17.5})
    await client.say("ping")
    anonymous = await client.hear("pong")

    assert (pong["type"], pong["timestamp"]) == ("pong", {"sent": 17.5})
    assert pong["server_time"].endswith("Z")
    assert "ref" not in anonymous


@pytest.mark.parametrize("text", ["not json", "[1,2]", '"ping"', '{"a":NaN}', "", "{" * 40])
async def test_what_is_no_action_is_answered_by_an_error_and_the_connection_lives(gateway: Gateway, text: str) -> None:
    client = await gateway.connect()

    await client.socket.send(text)

    error = await client.hear("error")
    assert error["code"] in ("invalid_json", "invalid_message")
    assert error["ref"] is None
    assert (await client.ask("ping"))["type"] == "pong"


async def test_a_binary_frame_on_a_json_connection_is_an_error(gateway: Gateway) -> None:
    client = await gateway.connect()

    await client.socket.send(b'{"action":"ping"}')

    assert (await client.hear("error"))["code"] == "invalid_message"


async def test_an_unknown_action_is_named_but_not_in_full(gateway: Gateway) -> None:
    client = await gateway.connect()

    error = await client.ask("x" * 500)

    assert error["code"] == "unknown_action"
    assert len(error["message"]) < 120


async def test_one_clients_actions_are_done_in_order_while_an_earlier_one_waits(gateway: Gateway) -> None:
    gate, order = asyncio.Event(), []

    async def slow(message: Message, context: Context) -> str:
        order.append(f"begin {message['id']}")
        await gate.wait()
        order.append(f"end {message['id']}")
        return "done"

    gateway.manager.register_handler("gated", slow)
    client, other = await gateway.connect(), await gateway.connect()

    await client.say("gated", id="first")
    await client.say("gated", id="second")
    await client.say("subscribe", id="third", channels=["topic:order"])
    pong = await client.ask("ping")
    others = await other.ask("subscribe", channels=["topic:order"])
    before = list(order)
    gate.set()
    answers = [await client.next() for _ in range(3)]

    assert (pong["type"], others["ok"]) == ("pong", True)
    assert before == ["begin first"]
    assert [answer["ref"] for answer in answers] == ["first", "second", "third"]
    assert order == ["begin first", "end first", "begin second", "end second"]


async def test_a_client_with_too_many_waiting_actions_is_not_read_until_they_are_done(gateway: Gateway) -> None:
    gate = asyncio.Event()

    async def slow(message: Message, context: Context) -> int:
        await gate.wait()
        return int(message["n"])

    gateway.manager.register_handler("heaped", slow)
    client = await gateway.connect()
    count = MAX_INBOX * 3

    for number in range(count):
        await client.say("heaped", id=f"h{number}", n=number)
    await client.say("ping", id="behind them all")
    connection = gateway.manager.pool.get(client.id)
    assert connection is not None
    async with asyncio.timeout(5):
        while connection.inbox is None or len(connection.inbox) < MAX_INBOX - 1:
            await asyncio.sleep(0.005)
    await client.socket.ping()
    await (await gateway.connect()).ask("ping")
    waiting = len(connection.inbox)
    gate.set()
    answers = [await client.next() for _ in range(count + 1)]

    assert waiting in (MAX_INBOX - 1, MAX_INBOX), "the first of them may have begun before the others came"
    assert [answer["result"] for answer in answers if answer["type"] == "reply"] == list(range(count))
    assert sum(answer["type"] == "pong" for answer in answers) == 1


async def test_a_handler_that_takes_too_long_is_given_up_and_the_connection_lives(redis_url: str) -> None:
    ended = asyncio.Event()

    async def forever(message: Message, context: Context) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with serving(settings_for(redis_url, message_timeout_seconds=0.1)) as gateway:
        gateway.manager.register_handler("forever", forever)
        client = await gateway.connect()

        error = await client.ask("forever")

        assert error["code"] == "handler_timeout"
        assert ended.is_set()
        assert (await client.ask("subscribe", channels=["topic:t"]))["ok"] is True


async def test_a_timeout_inside_a_handler_is_a_fault_and_no_handler_timeout(gateway: Gateway) -> None:
    async def impatient(message: Message, context: Context) -> None:
        raise TimeoutError("the database")

    gateway.manager.register_handler("impatient", impatient)
    client = await gateway.connect()

    assert (await client.ask("impatient"))["code"] == "internal"


class NotJson:
    """Nothing that can be written."""


def circular() -> dict[str, Any]:
    loop: dict[str, Any] = {}
    loop["itself"] = loop
    return loop


@pytest.mark.parametrize(
    "fails",
    [
        pytest.param(lambda message, context: 1 / 0, id="raises"),
        pytest.param(lambda message, context: message["no such key"], id="KeyError"),
        pytest.param(lambda message, context: NotJson(), id="no JSON"),
        pytest.param(lambda message, context: circular(), id="circular"),
        pytest.param(lambda message, context: {"deep": b"\xff"}, id="bytes that are no text"),
    ],
)
async def test_a_handler_that_fails_is_internal_without_a_trace_and_the_connection_lives(
    gateway: Gateway, fails: Any
) -> None:
    gateway.manager.register_handler("failing", fails)
    client = await gateway.connect()

    error = await client.ask("failing", secret="in the frame")
    after = await client.ask("subscribe", channels=["topic:t"])

    assert (error["type"], error["code"], error["detail"]) == ("error", "internal", {})
    assert "Traceback" not in str(error)
    assert "ZeroDivision" not in str(error)
    assert after["ok"] is True
    assert gateway.told("error", connection_id=client.id, action="failing")


async def test_a_handler_whose_own_subtask_was_cancelled_is_internal_and_the_connection_lives(gateway: Gateway) -> None:
    async def cancelled(message: Message, context: Context) -> None:
        task = asyncio.ensure_future(asyncio.Event().wait())
        task.cancel()
        await task

    gateway.manager.register_handler("cancelled", cancelled)
    client = await gateway.connect()

    assert (await client.ask("cancelled"))["code"] == "internal"
    assert (await client.ask("subscribe", channels=["topic:t"]))["ok"] is True


async def test_an_error_that_a_handler_raises_on_purpose_reaches_the_client(gateway: Gateway) -> None:
    async def conflicted(message: Message, context: Context) -> None:
        raise Conflict("somebody was faster", version=7)

    gateway.manager.register_handler("conflicted", conflicted)
    client = await gateway.connect()

    error = await client.ask("conflicted")

    assert (error["code"], error["message"], error["detail"]) == ("conflict", "somebody was faster", {"version": 7})
