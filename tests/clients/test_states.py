"""States, and how a connection is opened: rules S1 to S3 and O1 to O5."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.clients.drivers import Driver, Fault
from tests.clients.scripted import OWN, SECONDS, Scripted, at, note


def told(client: Driver) -> list[tuple[Any, ...]]:
    return [(one["state"], one["code"], one["word"], one["text"], one["attempt"]) for one in client.all("state")]


@pytest.mark.rules("S1", "S3")
async def test_every_change_of_state_is_told_once_and_why(client: Driver, gateway: Scripted) -> None:
    await client.make(gateway.url)
    assert await client.get("state") == "idle"

    connecting = client.begin("connect")
    line = await gateway.greeted()
    await connecting
    await line.close(4100, "slow_consumer: read faster")
    await gateway.greeted()
    await client.until("state", state="open", attempt=2)
    await client.do("close")

    last = await client.until("state", state="stopped")
    assert last["word"] == "closed"
    assert [one[0] for one in told(client)] == ["connecting", "open", "waiting", "connecting", "open", "stopped"]
    assert told(client)[2] == ("waiting", 4100, "slow_consumer", "read faster", 1)
    assert [one[4] for one in told(client)[:5]] == [1, 1, 1, 2, 2]
    assert [one["retry_in"] for one in client.all("state") if one["state"] != "waiting"] == [0] * 5
    assert await client.get("state") == "stopped"


@pytest.mark.rules("S1")
async def test_who_it_is_and_where_is_known_from_the_greeting(client: Driver, gateway: Scripted) -> None:
    await client.make(gateway.url)
    assert [await client.get(name) for name in ("connection_id", "user_id", "replica")] == ["", "", ""]

    connecting = client.begin("connect")
    await gateway.greeted()
    await connecting

    assert [await client.get(name) for name in ("connection_id", "user_id", "replica")] == ["c1", "42", "scripted"]


@pytest.mark.rules("S2")
async def test_a_try_that_fails_is_no_failure_of_connect(client: Driver, gateway: Scripted) -> None:
    await gateway.stop()
    await client.make(gateway.url)
    connecting = client.begin("connect")
    lost = await client.until("state", state="waiting")
    await gateway.start()
    gateway.is_shut = True
    await gateway.knocked(2)
    gateway.is_shut = False
    line = await gateway.next()
    assert not connecting.done()
    await line.greet()

    await connecting

    assert (lost["code"], lost["word"]) == (1006, "lost")
    await client.do("connect")
    assert len(gateway.lines) == 1


@pytest.mark.rules("S2")
async def test_connect_fails_with_what_it_was_stopped_by(client: Driver, gateway: Scripted) -> None:
    await client.make(gateway.url)
    connecting = client.begin("connect")
    line = await gateway.next()
    await line.close(4403, "forbidden: no session of yours")

    with pytest.raises(Fault) as fault:
        await connecting

    assert fault.value.code == "forbidden"
    again = client.begin("connect")
    await gateway.greeted()
    await again
    assert await client.get("state") == "open"


@pytest.mark.rules("S3")
async def test_close_says_1000_and_is_the_end(client: Driver, gateway: Scripted) -> None:
    await client.make(gateway.url)
    connecting = client.begin("connect")
    line = await gateway.greeted()
    await connecting
    asking = client.begin("request", "quote", {"symbol": "FL"})
    await line.hears("quote")

    await client.do("close")

    assert (await line.ended())[0] == 1000
    with pytest.raises(Fault) as fault:
        await asking
    assert fault.value.code == "closed"
    with pytest.raises(Fault) as fault:
        await client.do("request", "quote", {})
    assert fault.value.code == "closed"
    assert await client.do("send", "quote", {}) is False
    with pytest.raises(TimeoutError):
        await gateway.knocked(2, seconds=0.3)


@pytest.mark.rules("S3")
async def test_close_forgets_what_was_waiting_to_be_sent(client: Driver, gateway: Scripted) -> None:
    gateway.is_shut = True
    await client.make(gateway.url)
    connecting = client.begin("connect")
    asking = client.begin("request", "quote", {})
    await client.until("state", state="waiting")

    await client.do("close")

    for waiting in (asking, connecting):
        with pytest.raises(Fault) as fault:
            await waiting
        assert fault.value.code == "closed"
    gateway.is_shut = False
    with pytest.raises(TimeoutError):
        await gateway.next(seconds=0.3)


# -- opening -----------------------------------------------------------------------------------------


@pytest.mark.rules("O1", "O3")
async def test_the_token_is_never_part_of_an_address(client: Driver, client_kind: str, gateway: Scripted) -> None:
    await client.make(f"{gateway.url}?of=mine", token="abc.def-_")
    connecting = client.begin("connect")
    line = await gateway.greeted()
    await connecting

    assert line.token == "abc.def-_"
    assert line.path == "/ws?of=mine"
    assert line.offered[0] == "fairlead.v1.json"
    if client_kind == "javascript":
        assert line.offered == ["fairlead.v1.json", "bearer.abc.def-_"]
    else:
        assert line.headers["Authorization"] == "Bearer abc.def-_"
    assert line.actions("connect") == []


@pytest.mark.rules("O2")
async def test_a_token_function_may_take_its_time_and_is_asked_once(client: Driver, gateway: Scripted) -> None:
    asked = asyncio.Event()
    given: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def tokens(reason: str) -> str:
        asked.set()
        return await given

    await client.make(gateway.url, token=tokens)
    client.begin("connect")
    async with asyncio.timeout(SECONDS):
        await asked.wait()
    assert await client.get("state") == "connecting"
    assert gateway.knocks == []
    given.set_result("t1")
    line = await gateway.greeted()
    await client.until("state", state="open")
    line.reset()
    again = await gateway.greeted()

    assert (line.token, again.token) == ("t1", "t1")
    assert client.all("token") == [{"reason": "connect"}]


@pytest.mark.rules("O2")
async def test_a_token_function_that_fails_is_told_and_asked_again(client: Driver, gateway: Scripted) -> None:
    async def tokens(reason: str) -> str:
        if len(client.all("token")) == 1:
            raise ValueError("the server of tokens is away")
        return "t2"

    await client.make(gateway.url, token=tokens)
    connecting = client.begin("connect")
    line = await gateway.greeted()
    await connecting

    assert "the server of tokens is away" in (await client.until("error"))["message"]
    assert (await client.until("state", state="waiting"))["word"] == "token_failed"
    assert line.token == "t2"
    assert len(gateway.knocks) == 1


@pytest.mark.rules("O2")
@pytest.mark.parametrize("nothing", ["", None])
async def test_without_a_token_it_stops(client: Driver, gateway: Scripted, nothing: str | None) -> None:
    async def tokens(reason: str) -> str | None:
        return nothing

    await client.make(gateway.url, token=tokens)
    with pytest.raises(Fault) as fault:
        await client.do("connect")

    assert fault.value.code == "no_token"
    assert (await client.until("state", state="stopped"))["word"] == "no_token"
    assert gateway.knocks == []


@pytest.mark.rules("O3")
async def test_who_comes_back_says_where_it_stands_in_its_first_frame(client: Driver, gateway: Scripted) -> None:
    await client.make(gateway.url)
    connecting = client.begin("connect")
    line = await gateway.greeted(channels={OWN: at(7)})
    await connecting
    subscribing = client.begin("subscribe", "topic:prices", "device:9")
    asked = await line.hears("subscribe")
    await line.reply(asked, channels={"topic:prices": {}, "device:9": at(3, "d.1")})
    await subscribing
    await client.hear()
    await line.say(note(8))
    await client.message(offset=8)
    line.reset()

    back = await gateway.next()
    await back.hears("connect")

    assert back.waits
    assert back.said[0]["action"] == "connect"
    assert back.said[0]["recover"] == {
        OWN: at(8, id=f"{OWN}/8"),
        "topic:prices": at(0, ""),
        "device:9": at(3, "d.1"),
    }


@pytest.mark.rules("O3")
async def test_a_device_says_who_it_is(client: Driver, gateway: Scripted) -> None:
    await client.make(gateway.url, device_id="tablet-1")
    client.begin("connect")

    line = await gateway.next()

    assert line.waits
    assert (await line.hears("connect"))["device_id"] == "tablet-1"


@pytest.mark.rules("O1", "O3")
async def test_who_has_no_token_says_so(client: Driver, gateway: Scripted) -> None:
    await client.make(gateway.url, token=None)
    client.begin("connect")
    line = await gateway.next()
    await line.hears("connect")
    await line.greet()
    await client.until("state", state="open")

    assert (line.token, line.offered, line.waits) == ("", ["fairlead.v1.json"], True)


@pytest.mark.rules("O4")
async def test_a_gateway_that_does_not_greet_has_failed(client: Driver, gateway: Scripted) -> None:
    await client.make(gateway.url, open_timeout=0.3)
    connecting = client.begin("connect")
    await gateway.next()

    assert (await client.until("state", state="waiting"))["word"] == "no_greeting"
    while not connecting.done():
        await gateway.greeted()
        await asyncio.wait([connecting], timeout=1)
    await connecting


@pytest.mark.rules("O5")
@pytest.mark.parametrize("ahead", [3600.0, -3600.0])
async def test_it_knows_the_time_of_the_gateway(client: Driver, gateway: Scripted, ahead: float) -> None:
    await client.make(gateway.url)
    connecting = client.begin("connect")
    await gateway.greeted(ahead=ahead)
    await connecting

    now = datetime.fromisoformat(await client.do("now"))

    assert abs(now - datetime.now(UTC) - timedelta(seconds=ahead)) < timedelta(seconds=SECONDS)


@pytest.mark.rules("O4", "S2")
async def test_an_address_where_nobody_answers_has_failed(client: Driver) -> None:
    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(swallow, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        await client.make(f"ws://127.0.0.1:{port}/ws", open_timeout=0.3)
        client.begin("connect")
        for attempt in (1, 2):
            told = await client.until("state", state="waiting", attempt=attempt)
            assert told["word"] in ("no_greeting", "lost")
        await client.do("close")


@pytest.mark.rules("S3")
@pytest.mark.parametrize("during", ["a token", "a greeting"])
async def test_close_ends_a_try_that_is_under_way(client: Driver, gateway: Scripted, during: str) -> None:
    async def tokens(reason: str) -> str:
        if during == "a token":
            await asyncio.sleep(0.3)
        return "late"

    await client.make(gateway.url, token=tokens)
    connecting = client.begin("connect")
    await (client.until("token") if during == "a token" else gateway.next())
    await client.do("close")

    with pytest.raises(Fault) as fault:
        await connecting
    assert fault.value.code == "closed"
    assert await client.get("state") == "stopped"
    with pytest.raises(TimeoutError):
        await gateway.knocked(1 if during == "a token" else 2, seconds=0.5)
    if during == "a greeting":
        await gateway.lines[0].ended()


@pytest.mark.rules("S2", "S3")
async def test_who_was_closed_may_connect_again_and_goes_on_where_it_stood(client: Driver, gateway: Scripted) -> None:
    await client.make(gateway.url)
    await client.hear()
    connecting = client.begin("connect")
    line = await gateway.greeted()
    await connecting
    await line.say(note(1))
    await client.message(offset=1)
    await client.do("close")
    again = client.begin("connect")
    back = await gateway.next()
    first = await back.welcome_back(note(2))
    await again
    await client.message(offset=2)

    assert first["recover"] == {OWN: at(1, id=f"{OWN}/1")}
    assert [one["state"] for one in client.all("state")] == ["connecting", "open", "stopped", "connecting", "open"]
