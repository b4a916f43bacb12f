"""After a connection has ended: rules R1 to R4. The table of R1 is read from the page itself."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from fairlead.codes import CLOSES, word_of
from tests.clients.drivers import Driver, NodeDriver
from tests.clients.page import PAGE
from tests.clients.scripted import SECONDS, Line, Scripted

BEHAVIOURS = ("backs off", "stops", "waits", "asks")
LONG = {"backoff_min": 60, "backoff_max": 60}
"""A back-off that nobody here waits for."""

LOST = 1006
UNKNOWN = {4050: "stops", 4150: "backs off", 4250: "waits", 4450: "stops", 3000: "backs off", 4999: "backs off"}


def table() -> dict[int, str]:
    """What each code does, by the first word or two of its row."""
    rows: dict[int, str] = {}
    for cells in re.findall(r"^\| ([0-9, to]+) \| (.*) \|$", PAGE, re.MULTILINE):
        first, _, last = cells[0].partition(" to ")
        codes = range(int(first), int(last) + 1) if last else map(int, cells[0].split(", "))
        rows |= dict.fromkeys(codes, next(name for name in BEHAVIOURS if cells[1].startswith(name)))
    return rows


def codes_that(behaviour: str) -> list[int]:
    """Of those that the gateway uses, those of the protocol itself, and some that nobody knows."""
    known = table()
    used = {close.code: known[close.code] for close in CLOSES} | {
        1000: known[1000],
        1011: known[1011],
        LOST: known[LOST],
    }
    return sorted(code for code, what in (used | UNKNOWN).items() if what == behaviour)


async def opened(client: Driver, gateway: Scripted, **options: Any) -> Line:
    await client.make(gateway.url, **options)
    connecting = client.begin("connect")
    line = await gateway.greeted()
    await connecting
    return line


async def end(line: Line, code: int, text: str = "as it is") -> None:
    if code == LOST:
        line.reset()
    else:
        await line.close(code, f"{word_of(code)}: {text}")


@pytest.mark.rules("R1")
def test_the_page_says_what_every_code_of_the_gateway_does() -> None:
    assert {close.code for close in CLOSES} <= table().keys()


@pytest.mark.rules("R1")
@pytest.mark.parametrize("code", codes_that("stops"))
async def test_it_stops(client: Driver, gateway: Scripted, code: int) -> None:
    line = await opened(client, gateway)
    await end(line, code)

    told = await client.until("state", state="stopped")

    assert (told["code"], told["word"], told["text"]) == (code, word_of(code), "as it is")
    with pytest.raises(TimeoutError):
        await gateway.knocked(2, seconds=0.3)


@pytest.mark.rules("R1")
@pytest.mark.parametrize("code", codes_that("backs off"))
async def test_it_backs_off_and_comes_back(client: Driver, gateway: Scripted, code: int) -> None:
    line = await opened(client, gateway)
    await end(line, code)

    told = await client.until("state", state="waiting")
    await gateway.greeted()
    await client.until("state", state="open")

    assert (told["code"], told["word"]) == (code, "lost" if code == LOST else word_of(code))
    assert told["text"] == "as it is" or code == LOST


@pytest.mark.rules("R1")
@pytest.mark.parametrize("code", codes_that("waits"))
async def test_it_waits_as_long_as_it_is_told(client: Driver, gateway: Scripted, code: int) -> None:
    line = await opened(client, gateway)
    ended_at = asyncio.get_running_loop().time()
    await line.close(code, "drain: 350")

    told = await client.until("state", state="waiting")
    back = await gateway.greeted()

    assert told["retry_in"] == pytest.approx(0.35)
    assert back.at - ended_at >= 0.345


@pytest.mark.rules("R1")
async def test_a_drain_without_a_delay_backs_off(client: Driver, gateway: Scripted) -> None:
    line = await opened(client, gateway)
    await line.close(4200, "drain: soon")

    told = await client.until("state", state="waiting")
    await gateway.greeted()

    assert told["retry_in"] <= 0.04


@pytest.mark.rules("R1", "O2")
async def test_a_refused_token_is_replaced_at_once_and_the_second_time_after_a_back_off(
    client: Driver, gateway: Scripted
) -> None:
    tokens = iter(["t1", "t2", "t3"])

    async def source(reason: str) -> str:
        return next(tokens)

    await client.make(gateway.url, token=source)
    client.begin("connect")
    for _ in range(2):
        line = await gateway.next()
        await line.close(4401, "token_expired: get another")
    last = await gateway.greeted()
    await client.until("state", state="open")

    assert [line.token for line in (*gateway.lines[:2], last)] == ["t1", "t2", "t3"]
    assert [one["reason"] for one in client.all("token")] == ["connect", "refused", "refused"]
    second = next(one for one in client.all("state") if one["state"] == "waiting" and one["attempt"] == 2)
    assert (second["code"], second["word"]) == (4401, "token_expired")


@pytest.mark.rules("R1")
async def test_it_comes_back_at_once_with_a_new_token(client: Driver, gateway: Scripted) -> None:
    async def source(reason: str) -> str:
        return reason

    line = await opened(client, gateway, token=source, **LONG)
    await line.close(4401, "token_expired: get another")

    assert (await gateway.greeted()).token == "refused"
    assert not [one for one in client.all("state") if one["retry_in"]]


@pytest.mark.rules("R1")
async def test_a_token_that_is_a_string_and_refused_is_the_end(client: Driver, gateway: Scripted) -> None:
    line = await opened(client, gateway)
    await line.close(4401, "token_expired: get another")

    assert (await client.until("state", state="stopped"))["word"] == "token_expired"
    with pytest.raises(TimeoutError):
        await gateway.knocked(2, seconds=0.3)


# -- back-off ----------------------------------------------------------------------------------------


@pytest.mark.rules("R2")
async def test_the_back_off_has_full_jitter_below_a_ceiling_that_doubles(client: Driver, gateway: Scripted) -> None:
    gateway.is_shut = True
    await client.make(gateway.url, backoff_min=0.01, backoff_max=0.06)
    client.begin("connect")
    await gateway.knocked(40)

    waits = [one for one in client.all("state") if one["state"] == "waiting"]
    assert [one["attempt"] for one in waits] == list(range(1, len(waits) + 1))
    assert all(one["retry_in"] <= min(0.06, 0.01 * 2 ** one["attempt"]) + 0.001 for one in waits)
    late = [one["retry_in"] for one in waits[3:]]
    assert min(late) < 0.03 < max(late), "any time from nothing to the ceiling"
    assert len({round(one, 3) for one in late}) > 10


@pytest.mark.rules("R2")
async def test_who_is_greeted_and_loses_it_again_goes_on_counting(client: Driver, gateway: Scripted) -> None:
    await client.make(gateway.url)
    client.begin("connect")
    for _ in range(4):
        (await gateway.greeted()).reset()
    await gateway.greeted()
    await client.until("state", state="open", attempt=5)

    assert [one["attempt"] for one in client.all("state") if one["state"] == "waiting"] == [1, 2, 3, 4]


@pytest.mark.rules("R2")
async def test_who_was_open_for_five_seconds_begins_anew(client: Driver, gateway: Scripted) -> None:
    line = await opened(client, gateway)
    line.reset()
    line = await gateway.greeted()
    await client.until("state", state="open", attempt=2)
    await asyncio.sleep(5.2)
    line.reset()

    await client.until("state", state="waiting", attempt=0)
    await client.until("state", state="connecting", attempt=1)


# -- sooner or later than that -----------------------------------------------------------------------


@pytest.mark.rules("R3")
async def test_check_tries_at_once(client: Driver, gateway: Scripted) -> None:
    line = await opened(client, gateway, **LONG)
    await line.close(1012, "restart")
    told = await client.until("state", state="waiting")
    await client.do("check")

    await gateway.greeted()
    await client.until("state", state="open")
    assert told["retry_in"] > 0


@pytest.mark.rules("R3")
async def test_check_asks_whether_the_gateway_is_still_there(client: Driver, gateway: Scripted) -> None:
    line = await opened(client, gateway)
    del gateway.manners["ping"]
    await client.do("check")

    asked = await line.hears("ping")
    await line.reply(asked, type="pong")
    assert len(gateway.knocks) == 1
    assert await client.get("state") == "open"


@pytest.mark.rules("R3")
@pytest.mark.only("javascript")
@pytest.mark.parametrize("event", ["online", "visibilitychange"])
async def test_a_network_or_a_page_that_comes_back_tries_at_once(
    client: NodeDriver, gateway: Scripted, event: str
) -> None:
    await client.page()
    line = await opened(client, gateway, **LONG)
    await line.close(1012, "restart")
    await client.until("state", state="waiting")
    await client.system(event, online=True)

    line = await gateway.greeted()
    await client.until("state", state="open")
    del gateway.manners["ping"]
    await client.system(event, online=True)
    await line.hears("ping")


@pytest.mark.rules("R4")
@pytest.mark.only("javascript")
async def test_while_the_system_is_offline_no_try_is_made(client: NodeDriver, gateway: Scripted) -> None:
    await client.page()
    line = await opened(client, gateway)
    await client.system("offline", online=False)
    line.reset()
    await client.until("state", state="waiting")
    with pytest.raises(TimeoutError):
        await gateway.knocked(2, seconds=0.5)

    await client.system("online", online=True)

    await gateway.greeted()
    await client.until("state", state="open", seconds=SECONDS)
