"""What a client has of its durable channels, and what it does about the rest: rules P1 to P7."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.clients.drivers import Driver
from tests.clients.scripted import EPOCH, OWN, SECONDS, Frame, Line, Scripted, at, note

ROOM = "session:s1"


async def opened(client: Driver, gateway: Scripted, offset: int = 0, **options: Any) -> Line:
    await client.make(gateway.url, **options)
    await client.hear()
    connecting = client.begin("connect")
    line = await gateway.greeted(channels={OWN: at(offset)})
    await connecting
    return line


def skipped(offset: int, channel: str = OWN) -> Frame:
    return {"type": "skipped", "channel": channel, "offset": offset}


def epoch_changed(offset: int, epoch: str, recovered: bool) -> Frame:
    return {"type": "epoch_changed", "channel": OWN, "epoch": epoch, "offset": offset, "recovered": recovered}


def offsets(client: Driver, channel: str = OWN) -> list[int]:
    return [one["offset"] for one in client.messages(type="note") if one["channel"] == channel]


@pytest.mark.rules("P1")
async def test_what_was_seen_is_dropped(client: Driver, gateway: Scripted) -> None:
    line = await opened(client, gateway, offset=2)
    await line.say(note(1), note(2), note(3), note(3), note(2), note(4))
    await client.message(offset=4)

    assert offsets(client) == [3, 4]
    assert await client.get("positions") == {OWN: at(4, id=f"{OWN}/4")}


@pytest.mark.rules("P2")
async def test_what_is_skipped_moves_the_position_and_is_shown_to_nobody(client: Driver, gateway: Scripted) -> None:
    line = await opened(client, gateway)
    await line.say(note(1), skipped(2), skipped(3), note(4), skipped(4), note(5))
    await client.message(offset=5)

    assert [one["type"] for one in client.messages()] == ["note"] * 3
    assert offsets(client) == [1, 4, 5]
    assert line.actions("subscribe") == []


@pytest.mark.rules("P3", "P5", "P6")
async def test_a_hole_in_ones_own_channel_is_filled_in_order(client: Driver, gateway: Scripted) -> None:
    line = await opened(client, gateway)
    await line.say(note(1), note(4), note(5))
    asked = await line.hears("subscribe")
    await line.say(note(6))
    await client.until("frame", way="in", frame=note(6))
    assert offsets(client) == [1]
    await line.reply(asked, channels={OWN: at(6, recovered=True)})
    await line.say(*(note(offset) for offset in (2, 3, 4, 5, 6)))
    await line.say(note(7))
    await client.message(offset=7)

    assert asked["channels"] == [OWN]
    assert asked["recover"] == {OWN: at(1, id=f"{OWN}/1")}
    assert offsets(client) == [1, 2, 3, 4, 5, 6, 7]
    assert len(line.actions("subscribe")) == 1
    told = [
        one for one in client.told if one[0] == "recovered" or (one[0] == "message" and one[1]["message"]["offset"] > 1)
    ]
    assert told[0][1].items() >= {"channel": OWN, "recovered": True, "missed": 5}.items()
    assert len(client.all("recovered")) == 1


@pytest.mark.rules("P3")
async def test_a_hole_in_a_session_is_filled_by_joining_it_again(client: Driver, gateway: Scripted) -> None:
    line = await opened(client, gateway)
    joining = client.begin("join", on=ROOM)
    await line.reply(await line.hears("join_session"), session_id="s1", channels={ROOM: at(4)})
    await joining
    await line.say(note(6, channel=ROOM))
    asked = await line.hears("join_session")
    await line.reply(asked, session_id="s1", channels={ROOM: at(6, recovered=True)})
    await line.say(note(5, channel=ROOM), note(6, channel=ROOM), note(7, channel=ROOM))
    await client.message(offset=7)

    assert asked["session_id"] == "s1"
    assert asked["recover"] == {ROOM: at(4)}
    assert offsets(client, ROOM) == [5, 6, 7]


@pytest.mark.rules("P3", "P5")
async def test_a_hole_that_cannot_be_filled_is_told(client: Driver, gateway: Scripted) -> None:
    line = await opened(client, gateway)
    await line.say(note(9))
    await line.reply(await line.hears("subscribe"), channels={OWN: at(9, recovered=False)})
    await line.say(note(10))
    await client.message(offset=10)

    assert (await client.until("recovered")).items() >= {"channel": OWN, "recovered": False}.items()
    assert offsets(client) == [10]


@pytest.mark.rules("P4", "P5")
@pytest.mark.parametrize("recovered", [True, False])
async def test_an_epoch_that_changes_is_taken_over(client: Driver, gateway: Scripted, recovered: bool) -> None:
    line = await opened(client, gateway, offset=3)
    await line.say(note(4), epoch_changed(4 if recovered else 1, "e.2", recovered))
    told = await client.until("recovered")
    held = await client.get("positions")
    await line.say(note(5 if recovered else 2))
    await client.message(offset=5 if recovered else 2)

    assert told.items() >= {"channel": OWN, "recovered": recovered}.items()
    assert (held[OWN]["offset"], held[OWN]["epoch"]) == ((4, "e.2") if recovered else (1, "e.2"))
    assert held[OWN].get("id") == (f"{OWN}/4" if recovered else None)
    assert line.actions("subscribe") == []


@pytest.mark.rules("P5", "P6")
async def test_after_coming_back_every_channel_is_told_of_and_then_what_was_missed(
    client: Driver, gateway: Scripted
) -> None:
    line = await opened(client, gateway, offset=3)
    subscribing = client.begin("subscribe", "device:9", "topic:prices", "role:ops")
    channels = {"device:9": at(5), "topic:prices": {}, "role:ops": at(0)}
    await line.reply(await line.hears("subscribe"), channels=channels)
    await subscribing
    line.reset()
    back = await gateway.next()
    told = {
        OWN: at(5, recovered=True),
        "device:9": at(2, "e.2", recovered=False),
        "topic:prices": {"recovered": False},
        "role:ops": {"recovered": False, "code": "forbidden"},
    }
    await back.hears("connect")
    await back.greet(note(4), note(5), note(6), channels=told)
    await client.message(offset=6)

    heard = {one["channel"]: one for one in client.all("recovered")}
    assert {name: one["recovered"] for name, one in heard.items()} == {
        name: one["recovered"] for name, one in told.items()
    }
    assert (heard[OWN]["missed"], heard["device:9"]["missed"]) == (2, 0)
    assert heard["role:ops"]["code"] == "forbidden"
    assert offsets(client) == [4, 5, 6]
    kinds = [kind for kind, _ in client.told if kind in ("recovered", "message")]
    assert kinds == ["recovered"] * 4 + ["message"] * 3
    positions = await client.get("positions")
    assert positions["device:9"] == at(2, "e.2")
    assert "role:ops" not in positions


@pytest.mark.rules("P5", "C1")
async def test_a_channel_that_one_may_hear_no_more_is_not_asked_for_again(client: Driver, gateway: Scripted) -> None:
    line = await opened(client, gateway)
    subscribing = client.begin("subscribe", "device:9")
    await line.reply(await line.hears("subscribe"), channels={"device:9": at(5)})
    await subscribing
    line.reset()
    back = await gateway.next()
    await back.hears("connect")
    await back.greet(channels={OWN: at(0, recovered=True), "device:9": {"recovered": False, "code": "forbidden"}})
    await client.until("recovered", channel="device:9")
    back.reset()

    again = await gateway.next()

    assert (await again.hears("connect"))["recover"].keys() == {OWN}


@pytest.mark.rules("P7", "O3")
async def test_positions_can_be_given_to_another_client(client: Driver, gateway: Scripted) -> None:
    held = {OWN: {"offset": 7, "epoch": EPOCH, "id": "m-7"}, "device:9": at(2, "d.1")}
    await client.make(gateway.url, positions=held)
    await client.hear()
    client.begin("connect")
    line = await gateway.next()
    first = await line.hears("connect")
    await line.greet(note(8), note(9), channels={OWN: at(9, recovered=True), "device:9": at(2, "d.1", recovered=True)})
    await client.message(offset=9)

    assert first["recover"] == held
    assert offsets(client) == [8, 9]
    assert (await client.until("recovered", channel=OWN))["missed"] == 2
    assert await client.get("positions") == {OWN: at(9, id=f"{OWN}/9"), "device:9": at(2, "d.1")}


@pytest.mark.rules("P7")
@pytest.mark.parametrize(
    "kept", [{"offset": "3", "epoch": EPOCH}, {"offset": -1, "epoch": EPOCH}, {"offset": 3}, {}], ids=str
)
async def test_positions_that_are_none_are_refused(client: Driver, gateway: Scripted, kept: dict[str, Any]) -> None:
    with pytest.raises(Exception, match="offset"):
        await client.make(gateway.url, positions={OWN: kept})


@pytest.mark.rules("P3", "P5")
async def test_a_hole_that_breaks_with_the_connection_is_filled_by_coming_back(
    client: Driver, gateway: Scripted
) -> None:
    line = await opened(client, gateway)
    await line.say(note(1), note(4))
    await line.hears("subscribe")
    line.reset()
    back = await gateway.next()
    first = await back.welcome_back(*(note(offset) for offset in (2, 3, 4)))
    await back.say(note(5))
    await client.message(offset=5)

    assert first["recover"][OWN] == at(1, id=f"{OWN}/1")
    assert offsets(client) == [1, 2, 3, 4, 5]


@pytest.mark.rules("P2", "P6")
async def test_what_was_skipped_while_it_was_away_leaves_no_hole(client: Driver, gateway: Scripted) -> None:
    line = await opened(client, gateway, offset=1)
    line.reset()
    back = await gateway.next()
    await back.hears("connect")
    await back.greet(skipped(2), note(3), skipped(4), channels={OWN: at(4, recovered=True)})
    await back.say(note(5))
    await client.message(offset=5)

    assert offsets(client) == [3, 5]
    assert back.actions("subscribe") == []


@pytest.mark.rules("P1", "M4")
async def test_what_has_no_offset_is_always_heard(client: Driver, gateway: Scripted) -> None:
    line = await opened(client, gateway, offset=3)
    tick = {"type": "tick", "id": "t-1", "channel": "topic:t"}
    hint = {"type": "hint", "id": "h-1", "channel": OWN}
    await line.say(tick, hint, tick, note(4))
    await client.message(offset=4)

    assert [one["type"] for one in client.messages()] == ["tick", "hint", "tick", "note"]


@pytest.mark.rules("P3")
async def test_the_first_message_of_a_channel_whose_position_nobody_told_is_no_hole(
    client: Driver, gateway: Scripted
) -> None:
    line = await opened(client, gateway)
    await line.say(note(17, channel="role:ops"), note(18, channel="role:ops"))
    await client.message(offset=18)

    assert offsets(client, "role:ops") == [17, 18]
    assert line.actions("subscribe") == []


@pytest.mark.rules("P3")
async def test_a_hole_in_a_channel_that_nobody_can_ask_for_is_filled_by_coming_back(
    client: Driver, gateway: Scripted
) -> None:
    await client.make(gateway.url)
    await client.hear()
    connecting = client.begin("connect")
    line = await gateway.greeted(channels={"role:ops": at(1)})
    await connecting
    await line.say(note(3, channel="role:ops"))
    told = await client.until("state", state="waiting")
    back = await gateway.next()
    first = await back.welcome_back(note(2, channel="role:ops"), note(3, channel="role:ops"))
    await client.message(offset=3)

    assert told["word"] == "hole"
    assert first["recover"]["role:ops"] == at(1)
    assert offsets(client, "role:ops") == [2, 3]
    assert {one["recovered"] for one in client.all("recovered")} == {True}


@pytest.mark.rules("P1", "C1")
async def test_asking_again_for_what_is_heard_skips_nothing(client: Driver, gateway: Scripted) -> None:
    line = await opened(client, gateway)
    for told in (at(3), at(6)):
        subscribing = client.begin("subscribe", "device:9")
        await line.reply(await line.hears("subscribe"), channels={"device:9": told})
        await subscribing
        await line.say(*(note(offset, channel="device:9") for offset in (4, 5, 6)))
    await line.say(note(7, channel="device:9"))
    await client.message(offset=7)

    assert offsets(client, "device:9") == [4, 5, 6, 7]
    assert len(line.actions("subscribe")) == 2


@pytest.mark.rules("P3")
async def test_a_hole_is_not_forgotten_when_the_gateway_cannot_fill_it_now(client: Driver, gateway: Scripted) -> None:
    line = await opened(client, gateway)
    await line.say(note(1), note(3))
    await line.fail(await line.hears("subscribe"), "unavailable")
    async with asyncio.timeout(SECONDS):
        while len(line.actions("subscribe")) == len(gateway.lines) == 1:
            await asyncio.sleep(0.01)
    if len(gateway.lines) > 1:
        back = await gateway.next()
        assert (await back.welcome_back(note(2), note(3)))["recover"][OWN] == at(1, id=f"{OWN}/1")
    else:
        await line.reply(await line.hears("subscribe"), channels={OWN: at(3, recovered=True)})
        await line.say(note(2), note(3))
    await client.message(offset=3)

    assert offsets(client) == [1, 2, 3]
