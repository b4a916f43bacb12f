"""A client from its making to its end: whatever it is doing when it is closed, nothing is left of it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import pytest

from fairlead import Client, ClientError, Forbidden, Question, StateChange
from fairlead.client.delivery import MAX_WAITING
from fairlead.errors import InvalidMessage, Unauthorized
from tests.clients.scripted import OWN, Line, Scripted, at, note, time_of
from tests.shared.client.test_tokens import jwt

pytestmark = pytest.mark.usefixtures("nothing_left")

SECONDS = 15.0

QUESTION = {"type": "task_step_result", "callback_id": "q1", "channel": OWN, "confirm": {"expires_at": time_of(60)}}


def client(gateway: Scripted, **options: Any) -> Client:
    quick = {"token": "a-token", "backoff_min": 0.02, "backoff_max": 0.2}
    return Client(gateway.url, **{**quick, **options})


async def opened(client: Client, gateway: Scripted, **options: Any) -> Line:
    connecting = asyncio.create_task(client.connect())
    line = await gateway.greeted(**options)
    async with asyncio.timeout(SECONDS):
        await connecting
    return line


async def until(check: Callable[[], object]) -> None:
    async with asyncio.timeout(SECONDS):
        while not check():
            await asyncio.sleep(0.005)


# -- the end, whatever it is doing -------------------------------------------------------------------


async def test_one_that_was_never_connected() -> None:
    one = Client("ws://127.0.0.1:1/ws")
    asking = asyncio.create_task(one.request("ping"))
    await asyncio.sleep(0)
    await one.close()

    with pytest.raises(ClientError) as caught:
        await asking
    assert (caught.value.code, one.state) == ("closed", "stopped")
    await one.close()


async def test_one_that_waits_for_its_greeting(gateway: Scripted) -> None:
    one = client(gateway)
    connecting = asyncio.create_task(one.connect())
    line = await gateway.next()
    await until(lambda: one._talk.link._socket)
    await one.close()

    with pytest.raises(ClientError) as caught:
        await connecting
    assert caught.value.code == "closed"
    assert (await line.ended())[0] == 1000


async def test_one_that_waits_for_its_next_try(gateway: Scripted) -> None:
    one = client(gateway, backoff_min=60.0, backoff_max=60.0)
    gateway.is_shut = True
    connecting = asyncio.create_task(one.connect())
    await until(lambda: one.state == "waiting")
    await one.close()

    with pytest.raises(ClientError):
        await connecting


async def test_one_that_nobody_answers_the_handshake_of() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        one = Client(f"ws://127.0.0.1:{silent.getsockname()[1]}/ws", token="t")
        connecting = asyncio.create_task(one.connect())
        await asyncio.sleep(0.05)
        await one.close()

        with pytest.raises(ClientError):
            await connecting


async def test_one_that_waits_for_its_token(gateway: Scripted) -> None:
    async def never(reason: str) -> str:
        await asyncio.sleep(3600)
        return ""

    one = client(gateway, token=never)
    connecting = asyncio.create_task(one.connect())
    await asyncio.sleep(0.01)
    await one.close()

    with pytest.raises(ClientError):
        await connecting


async def test_one_that_renews_its_token(gateway: Scripted) -> None:
    async def slowly(reason: str) -> str:
        if reason == "expires":
            await asyncio.sleep(3600)
        return jwt(iat=0, exp=4e9) if reason == "connect" else ""

    one = client(gateway, token=slowly)
    line = await opened(one, gateway, ahead=1.97e9)
    await asyncio.sleep(0.05)
    await one.close()

    assert (await line.ended())[0] == 1000


async def test_one_with_handlers_questions_and_requests_under_way(gateway: Scripted) -> None:
    one = client(gateway)
    cancelled: list[str] = []

    async def for_ever(what: Any) -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            cancelled.append("question" if isinstance(what, Question) else "message")

    one.on("note", for_ever)
    one.on_question(for_ever)
    line = await opened(one, gateway)
    asking = [asyncio.create_task(one.request("quote")) for _ in range(3)]
    one.session("s1").typing()
    await line.say(note(1), note(2), QUESTION)
    await line.hears("quote")
    await one.close()

    assert sorted(cancelled) == ["message", "question"]
    for one_of_them in asking:
        with pytest.raises(ClientError):
            await one_of_them


async def test_one_whose_gateway_neither_reads_nor_answers(gateway: Scripted) -> None:
    one = client(gateway)
    line = await opened(one, gateway)
    line.freeze()
    async with asyncio.timeout(5):
        await one.close()

    assert one.state == "stopped"


async def test_one_that_is_closed_twice_at_once(gateway: Scripted) -> None:
    one = client(gateway)
    await opened(one, gateway)
    await asyncio.gather(one.close(), one.close())

    assert one.state == "stopped"


async def test_a_close_that_is_cancelled_has_closed(gateway: Scripted) -> None:
    one = client(gateway)
    line = await opened(one, gateway)
    line.freeze()
    closing = asyncio.create_task(one.close())
    await asyncio.sleep(0.05)
    closing.cancel()
    await asyncio.wait([closing])
    await one.close()

    assert one.state == "stopped"


# -- closed from within ------------------------------------------------------------------------------


async def test_it_may_be_closed_by_a_message_handler(gateway: Scripted) -> None:
    one = client(gateway)
    told: list[Any] = []

    async def closes(message: Any) -> None:
        told.append(message["content"])
        await one.close()

    one.on("note", closes)
    line = await opened(one, gateway)
    await line.say(note(1), note(2))
    await until(lambda: one.state == "stopped" and not one._talk.delivery.is_busy)

    assert told == [1]
    assert one.positions[OWN].offset == 0, "what no handler has finished with comes again"


async def test_it_may_be_closed_by_a_state_handler(gateway: Scripted) -> None:
    one = client(gateway)
    closed = asyncio.Event()

    async def closes(change: StateChange) -> None:
        if change.state == "open":
            await one.close()
            closed.set()

    one.on_state(closes)
    await opened(one, gateway)
    async with asyncio.timeout(SECONDS):
        await closed.wait()


async def test_it_may_be_closed_by_a_question_handler(gateway: Scripted) -> None:
    one = client(gateway)
    closed = asyncio.Event()

    async def closes(question: Question) -> None:
        await one.close()
        closed.set()

    one.on_question(closes)
    line = await opened(one, gateway)
    await line.say(QUESTION)
    async with asyncio.timeout(SECONDS):
        await closed.wait()


async def test_it_may_be_closed_by_the_token_function(gateway: Scripted) -> None:
    one: Client

    async def closes(reason: str) -> str:
        await one.close()
        return "too late"

    one = client(gateway, token=closes)
    with pytest.raises(ClientError) as caught:
        await one.connect()
    await asyncio.sleep(0.01)

    assert (caught.value.code, gateway.lines) == ("closed", [])


# -- the beginning -----------------------------------------------------------------------------------


async def test_connecting_twice_is_connecting_once(gateway: Scripted) -> None:
    one = client(gateway)
    both = asyncio.gather(one.connect(), one.connect())
    await gateway.greeted()
    await both
    await one.connect()

    assert len(gateway.lines) == 1
    await one.close()


async def test_who_gives_up_connecting_leaves_it_to_the_client(gateway: Scripted) -> None:
    one = client(gateway)
    connecting = asyncio.create_task(one.connect())
    line = await gateway.next()
    connecting.cancel()
    await asyncio.wait([connecting])
    await line.greet()
    await until(lambda: one.state == "open")
    await one.close()


async def test_a_block_that_is_never_entered_leaves_nothing(gateway: Scripted) -> None:
    one = client(gateway)
    entering = asyncio.create_task(one.__aenter__())
    await gateway.next()
    entering.cancel()
    await asyncio.wait([entering])

    assert one.state == "stopped"


@pytest.mark.parametrize(
    ("code", "reason", "error"),
    [
        (4403, "forbidden: not you", Forbidden),
        (4003, "kicked: spam", ClientError),
        (4401, "unauthorized", Unauthorized),
    ],
)
async def test_connecting_fails_with_what_the_client_was_stopped_by(
    gateway: Scripted, code: int, reason: str, error: type[Exception]
) -> None:
    one = client(gateway)
    connecting = asyncio.create_task(one.connect())
    await (await gateway.next()).close(code, reason)

    with pytest.raises(error) as caught:
        await connecting
    assert isinstance(caught.value, ClientError | Forbidden | Unauthorized)
    assert caught.value.detail == {"close": code}
    with pytest.raises(ClientError):
        await one.request("ping")


async def test_it_connects_again_and_goes_on_where_the_application_was(gateway: Scripted) -> None:
    one = client(gateway)
    free = asyncio.Event()
    told: list[int] = []

    async def waits(message: Any) -> None:
        if message["offset"] == 2:
            await free.wait()
        told.append(message["offset"])

    one.on("note", waits)
    line = await opened(one, gateway)
    await line.say(note(1), note(2), note(3))
    await until(lambda: told == [1] and one._talk.positions.known()[OWN].offset == 3)
    await one.close()
    free.set()
    connecting = asyncio.create_task(one.connect())
    back = await gateway.next()
    first = await back.hears("connect")
    await back.greet(note(2), note(3), channels={OWN: at(3, recovered=True)})
    await connecting
    await until(lambda: told == [1, 2, 3])

    assert first["recover"][OWN]["offset"] == 1
    await one.close()


async def test_handlers_that_come_right_after_connecting_miss_nothing(gateway: Scripted) -> None:
    told: list[int] = []
    one = client(gateway, positions={OWN: {"offset": 1, "epoch": "e.1"}})

    async def come() -> None:
        await one.connect()
        one.on("note", lambda message: told.append(message["offset"]))

    coming = asyncio.create_task(come())
    line = await gateway.next()
    await line.greet(note(2), note(3), channels={OWN: at(3, recovered=True)})
    await coming
    await until(lambda: len(told) == 2)

    assert told == [2, 3]
    await one.close()


# -- at work -----------------------------------------------------------------------------------------


async def test_a_handler_may_ask(gateway: Scripted) -> None:
    gateway.manners["quote"] = lambda said: {"price": said["content"] * 10}
    one = client(gateway)
    prices: list[int] = []

    async def asks(message: Any) -> None:
        prices.append((await one.request("quote", {"content": message["content"]}))["price"])

    one.on("note", asks)
    line = await opened(one, gateway)
    await line.say(note(1), note(2))
    await until(lambda: len(prices) == 2)

    assert prices == [10, 20]
    await one.close()


async def test_a_request_that_is_given_up_is_not_said_later(gateway: Scripted) -> None:
    one = client(gateway)
    line = await opened(one, gateway)
    line.reset()
    await until(lambda: one.state != "open")
    asking = asyncio.create_task(one.request("quote", repeatable=True))
    await asyncio.sleep(0)
    asking.cancel()
    await asyncio.wait([asking])
    back = await gateway.greeted()
    await one.request("ping")

    assert back.actions("quote") == []
    await one.close()


async def test_two_clients_in_one_loop(gateway: Scripted) -> None:
    gateway.manners["quote"] = lambda said: {"price": said["n"]}
    first, second = client(gateway), client(gateway)
    await opened(first, gateway)
    await opened(second, gateway)
    prices = await asyncio.gather(*(one.request("quote", {"n": n}) for n in range(20) for one in (first, second)))

    assert [reply["price"] for reply in prices] == [n for n in range(20) for _ in range(2)]
    await asyncio.gather(first.close(), second.close())


async def test_iterating_ends_with_the_client(gateway: Scripted) -> None:
    one = client(gateway)
    line = await opened(one, gateway)
    messages = one.messages("note")
    await line.say(note(1), {"type": "other", "content": 0}, note(2))
    found: list[int] = []

    async def collect() -> None:
        found.extend([message["offset"] async for message in messages])

    collecting = asyncio.create_task(collect())
    await until(lambda: one.positions[OWN].offset == 2)
    await one.close()
    async with asyncio.timeout(SECONDS):
        await collecting

    assert found == [1, 2]


async def test_iterating_tells_that_the_gateway_has_ended_it(gateway: Scripted) -> None:
    one = client(gateway)
    line = await opened(one, gateway)
    messages = one.messages()
    await line.say(note(1))
    await line.close(4003, "kicked: by an operator")

    assert (await anext(messages))["offset"] == 1
    with pytest.raises(ClientError, match="by an operator"):
        await anext(messages)
    await one.close()


async def test_what_is_not_as_it_should_be_costs_itself_alone(gateway: Scripted) -> None:
    one = client(gateway)
    errors: list[Exception] = []
    one.on_error(errors.append)
    line = await opened(one, gateway)
    await line.say(
        {"type": "epoch_changed"}, {"type": "error", "ref": None, "code": "rate_limited", "message": "slower"}
    )
    await line._websocket.send("no json")
    await line._websocket.send("[1]")
    await line.say(note(1))
    await until(lambda: one.positions[OWN].offset == 1 and len(errors) == 4)

    assert one.state == "open"
    await one.close()


def test_what_cannot_be_is_refused_at_once() -> None:
    for options in ({"url": "http://h/ws"}, {"token": "a b"}, {"device_id": "a b"}, {"positions": {"user:42": 7}}):
        with pytest.raises(InvalidMessage):
            Client(**{"url": "ws://h/ws", **options})  # type: ignore[arg-type]


async def test_handlers_that_ask_are_answered_however_far_behind_they_are(gateway: Scripted) -> None:
    gateway.manners["quote"] = lambda said: {"price": said["n"]}
    one = client(gateway)
    free = asyncio.Event()
    prices: list[int] = []
    count = MAX_WAITING + 500

    async def asks(message: Any) -> None:
        await free.wait()
        if not message["offset"] % 500:
            prices.append((await one.request("quote", {"n": message["offset"]}, repeatable=True))["price"])

    one.on("note", asks)
    line = await opened(one, gateway)
    for offset in range(1, count + 1):
        await line.say_late(note(offset))
    await until(lambda: line.is_over)
    free.set()
    async with asyncio.timeout(4 * SECONDS):
        while len(prices) < count // 500:
            back = await gateway.next()
            position = (await back.hears("connect"))["recover"][OWN]["offset"]
            await back.greet(channels={OWN: at(count, recovered=True)})
            for offset in range(position + 1, count + 1):
                await back.say_late(note(offset))
            await until(lambda line=back: line.is_over or len(prices) == count // 500)  # type: ignore[misc]

    assert prices == list(range(500, count + 1, 500))
    await one.close()


async def test_who_connects_while_it_closes_is_connected(gateway: Scripted) -> None:
    one = client(gateway)
    line = await opened(one, gateway)
    line.freeze()

    closing = asyncio.create_task(one.close())
    await until(lambda: one.state == "stopped")
    connecting = asyncio.create_task(one.connect())
    await gateway.greeted()
    async with asyncio.timeout(SECONDS):
        await asyncio.gather(closing, connecting)

    assert one.state == "open"
    assert (await asyncio.wait_for(_asked(one, gateway), SECONDS))["ok"]
    await one.close()


async def _asked(one: Client, gateway: Scripted) -> Any:
    gateway.manners["quote"] = lambda said: {}
    return await one.request("quote")
