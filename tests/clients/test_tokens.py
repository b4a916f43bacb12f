"""Tokens that end while the connection lives: rules T1 and T2."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from typing import Any

import pytest

from tests.clients.drivers import Driver
from tests.clients.scripted import Scripted


def jwt(issued_ago: float, ends_in: float, ahead: float = 0.0) -> str:
    """A token as a client sees it: what it says counts, its signature is the gateway's business."""
    now = time.time() + ahead

    def part(value: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return ".".join(
        (part({"alg": "HS256"}), part({"sub": "42", "iat": now - issued_ago, "exp": now + ends_in}), "c2ln")
    )


@pytest.mark.rules("T1", "O5")
@pytest.mark.parametrize(
    ("life", "ahead", "due"),
    [((7.0, 2.5), 0.0, 1.55), ((1000.0, 31.6), 0.0, 1.6), ((7.0, 2.5), 3600.0, 1.55), ((7.0, 2.5), -3600.0, 1.55)],
    ids=["nine tenths", "30 s before", "by a clock ahead", "by a clock behind"],
)
async def test_a_new_token_is_said_before_the_old_one_ends(
    client: Driver, gateway: Scripted, life: tuple[float, float], ahead: float, due: float
) -> None:
    made = asyncio.get_running_loop().time()
    tokens = iter([jwt(*life, ahead=ahead), later := jwt(0, 3600, ahead)])

    async def source(reason: str) -> str:
        return next(tokens)

    await client.make(gateway.url, token=source)
    connecting = client.begin("connect")
    line = await gateway.next()
    await line.greet(ahead=ahead)
    await connecting
    refresh = await line.hears("refresh")
    after = asyncio.get_running_loop().time() - made
    await line.reply(refresh, expires_at=int(time.time() + ahead) + 3600, removed=[])
    line.reset()
    back = await gateway.greeted(ahead=ahead)

    assert refresh["token"] == later
    assert after >= due - 0.05
    assert [one["reason"] for one in client.all("token")] == ["connect", "expires"]
    assert back.token == later


@pytest.mark.rules("T1")
async def test_nothing_else_is_disturbed_by_a_new_token(client: Driver, gateway: Scripted) -> None:
    tokens = iter([jwt(7.0, 1.2), later := jwt(0, 3600)])

    async def source(reason: str) -> str:
        return next(tokens)

    await client.make(gateway.url, token=source)
    connecting = client.begin("connect")
    line = await gateway.greeted()
    await connecting
    asking = client.begin("request", "quote", {})
    quote = await line.hears("quote")
    refresh = await line.hears("refresh")
    await line.reply(refresh, expires_at=time.time() + 3600, removed=[])
    await line.reply(quote, price=1)

    assert (await asking)["price"] == 1
    assert [one["state"] for one in client.all("state")] == ["connecting", "open"]
    said = [json.dumps(one["frame"]) for one in client.all("frame") if one["way"] == "out"]
    assert any("refresh" in frame for frame in said)
    assert not [frame for frame in said if later in frame], "frames are shown without tokens"


@pytest.mark.rules("T1")
async def test_a_token_that_does_not_say_when_it_ends_is_asked_for_once(client: Driver, gateway: Scripted) -> None:
    async def source(reason: str) -> str:
        return "opaque"

    await client.make(gateway.url, token=source)
    connecting = client.begin("connect")
    line = await gateway.greeted()
    await connecting
    await client.do("request", "ping", {})

    assert client.all("token") == [{"reason": "connect"}]
    assert line.actions("refresh") == []


@pytest.mark.rules("T2")
@pytest.mark.parametrize("by", ["the function", "the gateway"])
async def test_without_a_new_token_it_goes_on_until_it_is_told(client: Driver, gateway: Scripted, by: str) -> None:
    asked = asyncio.Event()

    async def source(reason: str) -> str:
        if reason == "expires":
            asked.set()
            if by == "the function":
                raise ValueError("the server of tokens is away")
        return jwt(0, 3600) if reason == "refused" else jwt(7.0, 0.8)

    await client.make(gateway.url, token=source)
    connecting = client.begin("connect")
    line = await gateway.greeted()
    await connecting
    if by == "the gateway":
        await line.fail(await line.hears("refresh"), "unauthorized")
    async with asyncio.timeout(15):
        await asked.wait()
    await client.do("request", "ping", {})
    await line.close(4401, "token_expired: send refresh in time")
    await gateway.greeted()
    await client.until("state", state="open", attempt=2)

    reasons = [one["reason"] for one in client.all("token")]
    assert (reasons[0], reasons[-1]) == ("connect", "refused")
    assert set(reasons[1:-1]) == {"expires"}


@pytest.mark.rules("O2", "O1")
@pytest.mark.parametrize("asked", [False, True], ids=["given", "asked for"])
async def test_the_newline_at_the_end_of_a_token_is_no_part_of_it(
    client: Driver, gateway: Scripted, asked: bool
) -> None:
    async def source(reason: str) -> str:
        return " a-token\n"

    await client.make(gateway.url, token=source if asked else " a-token\n")
    connecting = client.begin("connect")
    line = await gateway.greeted()
    await connecting

    assert line.token == "a-token"


@pytest.mark.rules("O2")
async def test_what_no_header_can_hold_is_refused_and_not_repeated(client: Driver, gateway: Scripted) -> None:
    async def source(reason: str) -> str:
        return "secret one"

    with pytest.raises(Exception, match="printable ASCII") as refused:
        await client.make(gateway.url, token="secret one")
    await client.make(gateway.url, token=source)
    client.begin("connect")
    waiting = await client.until("state", state="waiting")

    assert waiting["word"] == "token_failed"
    assert "secret" not in f"{refused.value} {client.all('state')} {client.all('error')}"
