"""What a broken gateway, somebody else's message or a bad moment cannot do to a client."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

import fairlead
from tests.clients.drivers import Driver, Fault, NodeDriver, PythonDriver
from tests.clients.scripted import OWN, SECONDS, Line, Scripted, at, note
from tests.clients.test_fleet import backend, codec, contents, fleet, fleet_prefix, say, user
from tests.support.npm import NODE
from tests.support.replica import Replica, token

__all__ = ["backend", "codec", "fleet", "fleet_prefix", "user"]


async def opened(client: Driver, gateway: Scripted, **options: Any) -> Line:
    await client.make(gateway.url, **options)
    await client.hear()
    connecting = client.begin("connect")
    line = await gateway.greeted()
    await connecting
    return line


def offsets(client: Driver) -> list[int]:
    return [one["offset"] for one in client.messages()]


# -- messages that are lost --------------------------------------------------------------------------


@pytest.mark.rules("O3", "P6")
async def test_what_a_device_has_missed_is_shown_to_who_knows_no_position(client: Driver, gateway: Scripted) -> None:
    await client.make(gateway.url, device_id="phone")
    await client.hear()
    connecting = client.begin("connect")
    line = await gateway.next()
    await line.hears("connect")
    await line.greet(note(3), note(4), channels={OWN: at(4, recovered=True)})
    await connecting
    await client.until("message", message=note(4))

    assert offsets(client) == [3, 4]
    assert await client.get("positions") == {OWN: at(4, id=f"{OWN}/4")}


@pytest.mark.rules("O3", "P6")
async def test_a_device_goes_on_where_it_was(
    client: Driver, client_kind: str, fleet: list[Replica], backend: fairlead.Backend, user: str
) -> None:
    await client.make(fleet[0].url, token=token(user), device_id=f"{user}-phone")
    await client.do("connect")
    await client.do("close")
    await say(backend, user, 1, 2)

    later: Driver = PythonDriver() if client_kind == "python" else NodeDriver(NODE)
    await later.make(fleet[1].url, token=token(user), device_id=f"{user}-phone")
    await later.hear("note")
    await later.do("connect")
    await say(backend, user, 3)
    async with asyncio.timeout(SECONDS):
        while 3 not in contents(later):
            await asyncio.sleep(0.02)
    await later.leave()

    assert contents(later) == [1, 2, 3]


# -- holes that cannot be filled ---------------------------------------------------------------------


@pytest.mark.rules("P3", "P5")
async def test_a_hole_that_stays_is_told_and_passed(client: Driver, gateway: Scripted) -> None:
    line = await opened(client, gateway)
    await line.say(note(1), note(3))
    asked = await line.hears("subscribe")
    await line.reply(asked, channels={OWN: at(3, recovered=True)})

    await line.say(note(3), note(4))
    await client.until("message", message=note(4))

    assert offsets(client) == [1, 3, 4]
    told = [one["recovered"] for one in client.all("recovered") if one["channel"] == OWN]
    assert told == [True, False]
    assert len(line.actions("subscribe")) == 1


@pytest.mark.rules("P3", "P5")
async def test_a_message_that_msgpack_cannot_read_stops_nobody(
    client: Driver,
    client_kind: str,
    fleet: list[Replica],
    backend: fairlead.Backend,
    user: str,
    codec: Path,
) -> None:
    speech: dict[str, Any] = {"msgpack": True} if client_kind == "python" else {"codec": codec}
    await client.make(fleet[0].url, token=token(user), **speech)
    await client.hear("note")
    await client.do("connect")
    await say(backend, user, 1)
    await backend.send_to_user(user, {"type": "note", "content": {"__proto__": {"is_admin": True}}})
    await say(backend, user, 2, 3)
    async with asyncio.timeout(SECONDS):
        while 3 not in contents(client):
            await asyncio.sleep(0.02)

    assert [one for one in contents(client) if isinstance(one, int)] == [1, 2, 3]


@pytest.mark.rules("C1", "M4")
@pytest.mark.parametrize("type", ["error", "reply", "pong", "confirm_ack", "epoch_changed"])
async def test_a_message_may_be_called_like_an_answer(client: Driver, gateway: Scripted, type: str) -> None:
    line = await opened(client, gateway)

    await line.say(note(1), {**note(2), "type": type}, note(3))
    await client.until("message", message=note(3))

    assert offsets(client) == [1, 2, 3]
    assert client.all("error") == []


# -- running round in circles ------------------------------------------------------------------------


@pytest.mark.rules("R1")
async def test_who_is_sent_on_and_on_backs_off(client: Driver, gateway: Scripted) -> None:
    await client.make(gateway.url, backoff_min=0.1, backoff_max=20.0)
    client.begin("connect")
    for _ in range(6):
        line = await gateway.greeted()
        await line.close(4200, "drain: 0")
    await gateway.knocked(7, seconds=60)

    waits = [one["retry_in"] for one in client.all("state") if one["state"] == "waiting"][:6]
    assert waits[0] == 0
    assert sum(waits) > 0.1


@pytest.mark.rules("A2")
async def test_what_is_too_large_is_not_said_again(client: Driver, gateway: Scripted) -> None:
    line = await opened(client, gateway)
    large = client.begin("message", "user:43", "x" * 1000)
    small = client.begin("message", "user:43", "x")
    for _ in range(2):
        await line.hears("message")
    await line.close(1009, "too_large")
    line = await gateway.greeted()

    with pytest.raises(Fault) as fault:
        await large
    await line.reply(await line.hears("message"))
    await small

    assert fault.value.code == "too_large"
    assert [one["content"] for one in line.actions("message")] == ["x"]


@pytest.mark.rules("H1")
async def test_no_heartbeat_is_none(client: Driver, gateway: Scripted) -> None:
    line = await opened(client, gateway, heartbeat=0)
    for number in range(1, 6):
        await line.say(note(number))
        await client.until("message", message=note(number))

    assert line.actions("ping") == []


# -- frames that nobody says -------------------------------------------------------------------------


@pytest.mark.rules("M1")
async def test_a_broken_frame_costs_itself_alone(client: Driver, gateway: Scripted) -> None:
    line = await opened(client, gateway)
    opening = client.begin("open", on="instance:i")
    await line.reply(await line.hears("subscribe"), channels={"instance:i": None})
    await line.say(
        {"type": "snapshot", "channel": "instance:i", "document": None, "version": "x"},
        {"type": "task_step_result", "callback_id": "c1", "confirm": None},
        {"type": "task_step_result", "callback_id": {"a": 1}, "confirm": [1]},
        {"type": "patch", "channel": "instance:i", "version": None, "patch": 3, "unset": 5},
        {"type": "epoch_changed", "channel": None, "offset": 1e308, "epoch": 1},
        {"type": "error", "code": None, "detail": None},
        {"type": "confirm_closed", "callback_id": None},
    )
    for text in ("[" * 100_000, "[]", "null", '{"type":"note","content":' + "9" * 6000 + "}"):
        await line.say_raw(text)
    await line.say(note(1))
    await client.until("message", message=note(1))

    asking = client.begin("subscribe", "topic:x")
    await line.reply(await line.hears("subscribe"), channels={"topic:x": None})
    await asking
    opening.cancel()

    assert await client.get("state") == "open"


@pytest.mark.rules("S2")
async def test_a_broken_greeting_is_one(client: Driver, gateway: Scripted) -> None:
    await client.make(gateway.url)
    connecting = client.begin("connect")
    line = await gateway.next()
    await line.greet(channels={"topic:b": None})  # type: ignore[dict-item]

    async with asyncio.timeout(SECONDS):
        await connecting


# -- leaving -----------------------------------------------------------------------------------------


@pytest.mark.rules("C1", "A2")
async def test_what_is_left_while_it_waits_to_be_asked_for_is_left(client: Driver, gateway: Scripted) -> None:
    gateway.is_shut = True
    await client.make(gateway.url, backoff_min=2.0, backoff_max=4.0)
    connecting = client.begin("connect")
    await client.until("state", state="waiting")
    asking = client.begin("subscribe", "topic:x")
    await asyncio.sleep(0)
    await client.do("unsubscribe", "topic:x")
    gateway.is_shut = False
    await client.do("check")

    line = await gateway.greeted()
    await connecting
    await line.reply(await line.hears("subscribe"), channels={"topic:x": at(3)})
    await asking
    await line.reply(await line.hears("unsubscribe"))

    async with asyncio.timeout(SECONDS):
        while "topic:x" in await client.get("positions"):
            await asyncio.sleep(0.01)


# -- secrets -----------------------------------------------------------------------------------------


@pytest.mark.rules("O1")
async def test_a_token_that_cannot_be_said_is_not_told(client: Driver, gateway: Scripted) -> None:
    async def source(reason: str) -> str:
        return "secret secret\n"

    await client.make(gateway.url, token=source)
    client.begin("connect")
    await client.until("state", code=0, attempt=1)

    assert "secret" not in str(client.all("state")) + str(client.all("error"))


@pytest.mark.rules("O1")
async def test_who_redirects_a_client_is_not_given_its_token(client: Driver, gateway: Scripted) -> None:
    async def redirect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 302 Found\r\nLocation: {gateway.url}\r\nContent-Length: 0\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(redirect, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        await client.make(f"ws://127.0.0.1:{port}/ws", token="secret")
        client.begin("connect")
        await client.until("state", state="waiting", word="lost")

        assert gateway.knocks == []


@pytest.mark.only("python")
@pytest.mark.rules("O1")
async def test_no_log_holds_a_token(client: Driver, gateway: Scripted, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    await opened(client, gateway, token="very-secret")

    assert "very-secret" not in "".join(one.getMessage() for one in caplog.records if one.name != "websockets.server")


@pytest.mark.only("python")
@pytest.mark.rules("O2")
async def test_a_token_function_that_awaited_what_was_cancelled_has_failed(client: Driver, gateway: Scripted) -> None:
    tries = iter((True, False))

    async def source(reason: str) -> str:
        if next(tries):
            raise asyncio.CancelledError
        return "a-token"

    await client.make(gateway.url, token=source)
    connecting = client.begin("connect")
    await client.until("state", state="waiting", word="token_failed")
    await gateway.greeted()
    await connecting


# -- open, close, open -------------------------------------------------------------------------------


@pytest.mark.rules("I1")
async def test_a_mirror_that_is_closed_while_it_opens_may_be_opened_again(client: Driver, gateway: Scripted) -> None:
    line = await opened(client, gateway)
    first = client.begin("open", on="instance:i")
    asked = await line.hears("subscribe")
    closing = client.begin("close", on="instance:i")
    left = await line.hears("unsubscribe")
    second = client.begin("open", on="instance:i")
    again = await line.hears("subscribe")
    await line.reply(asked, channels={"instance:i": at(0)})
    await line.reply(left)
    await closing
    await line.reply(again, channels={"instance:i": at(0)})
    await line.say({"type": "snapshot", "channel": "instance:i", "version": 7, "document": {"a": 1}})

    async with asyncio.timeout(SECONDS):
        await second
        await asyncio.wait([first])

    assert await client.get("document", on="instance:i") == {"a": 1}
