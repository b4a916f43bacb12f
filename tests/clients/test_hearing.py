"""How messages reach their handlers, and how they are acknowledged: rules M1 to M4."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.clients.drivers import Driver, PythonDriver
from tests.clients.scripted import OWN, Frame, Line, Scripted, at, note

FLOOD, TOO_MANY, TOGETHER = 3000, 15_000, 50


async def opened(client: Driver, gateway: Scripted, **options: Any) -> Line:
    await client.make(gateway.url, **options)
    connecting = client.begin("connect")
    line = await gateway.greeted()
    await connecting
    return line


async def history(gateway: Scripted, line: Line, last: int) -> None:
    """Tell all of a channel on *line*, and the rest to a client that comes back for it."""
    position = 0
    while True:
        for start in range(position + 1, last + 1, TOGETHER):
            await line.say_late(*map(note, range(start, min(start + TOGETHER, last + 1))))
        await line.ended(seconds=60)
        line = await gateway.next(seconds=60)
        position = (await line.hears("connect"))["recover"][OWN]["offset"]
        await line.greet(channels={OWN: at(last, recovered=True)})


async def acknowledged(line: Line, count: int) -> list[str]:
    """Ids of the next *count* acknowledgements; all are answered."""
    found: list[str] = []
    while len(found) < count:
        ack = await line.hears("ack")
        found += ack["message_ids"]
        if "id" in ack:
            await line.reply(ack, acknowledged=dict.fromkeys(ack["message_ids"], "delivered"))
    return found


@pytest.mark.rules("M1")
async def test_handlers_are_called_in_the_order_of_messages_and_disturb_no_other(
    client: Driver, gateway: Scripted
) -> None:
    line = await opened(client, gateway)
    await client.hear("note", label="first", fails=2)
    await client.hear("*", label="second")
    await line.say(note(1), note(2), note(3), {"type": "tick", "channel": "topic:t", "content": 4})
    await client.message(type="tick", label="second")

    assert [one["content"] for one in client.messages("first")] == [1, 2, 3]
    assert [one["content"] for one in client.messages("second")] == [1, 2, 3, 4]
    for _ in range(2):
        assert "first fails" in (await client.until("error"))["message"]
    assert await client.get("state") == "open"


@pytest.mark.rules("M4")
async def test_types_and_fields_that_nobody_knows_are_passed_on(client: Driver, gateway: Scripted) -> None:
    line = await opened(client, gateway)
    await client.hear("something_new")
    strange: Frame = {"type": "something_new", "channel": "topic:t", "of": {"a": [1, None]}, "größe": "Ω"}
    await line.say({"type": "another", "channel": "topic:t"}, strange)

    assert await client.message() == strange
    assert len(client.messages()) == 1


@pytest.mark.rules("M2")
async def test_what_wants_it_is_acknowledged_several_together(client: Driver, gateway: Scripted) -> None:
    line = await opened(client, gateway)
    await client.hear()
    await line.say(*(note(offset, requires_ack=offset % 2 == 0) for offset in range(1, 41)))

    found = await acknowledged(line, 20)

    assert found == [f"{OWN}/{offset}" for offset in range(2, 41, 2)]
    assert len(line.actions("ack")) < 20


@pytest.mark.rules("M2")
async def test_what_a_handler_failed_on_is_not_acknowledged_until_it_comes_again(
    client: Driver, gateway: Scripted
) -> None:
    line = await opened(client, gateway)
    await client.hear("note", fails=1)
    await line.say(note(1, requires_ack=True), note(2, requires_ack=True))
    assert await acknowledged(line, 1) == [f"{OWN}/2"]

    again = note(1, requires_ack=True, attempt=2)
    del again["offset"]
    await line.say(again)

    assert await acknowledged(line, 1) == [f"{OWN}/1"]
    assert [one["content"] for one in client.messages()] == [1, 2, 1]


@pytest.mark.rules("M2")
async def test_what_comes_again_is_acknowledged_again_and_shown_to_nobody(client: Driver, gateway: Scripted) -> None:
    line = await opened(client, gateway)
    await client.hear()
    await line.say(note(1, requires_ack=True))
    await acknowledged(line, 1)
    again = note(1, requires_ack=True, attempt=2)
    del again["offset"]
    await line.say(again)
    assert await acknowledged(line, 1) == [f"{OWN}/1"]
    await line.say(note(2))
    await client.message(offset=2)

    assert [one["content"] for one in client.messages()] == [1, 2]


@pytest.mark.rules("M2", "P1")
async def test_what_was_acknowledged_on_a_line_that_broke_is_acknowledged_again(
    client: Driver, gateway: Scripted
) -> None:
    line = await opened(client, gateway)
    await client.hear()
    await line.say(note(1, requires_ack=True))
    await line.hears("ack")
    line.reset()
    back = await gateway.greeted()
    again = note(1, requires_ack=True, attempt=2)
    del again["offset"]
    await back.say(again)

    assert set(await acknowledged(back, 1)) == {f"{OWN}/1"}
    assert len(client.messages()) == 1


@pytest.mark.rules("M2")
async def test_nobody_who_hears_it_no_acknowledgement(client: Driver, gateway: Scripted) -> None:
    line = await opened(client, gateway)
    await client.hear("other")
    await line.say(note(1, requires_ack=True), note(2, requires_ack=True) | {"type": "other"})

    assert await acknowledged(line, 1) == [f"{OWN}/2"]


@pytest.mark.rules("M2")
async def test_acknowledgements_name_a_channel_that_is_not_ones_own(client: Driver, gateway: Scripted) -> None:
    line = await opened(client, gateway)
    await client.hear()
    joining = client.begin("join", on="session:s1")
    await line.reply(await line.hears("join_session"), session_id="s1", channels={"session:s1": at(0)})
    await joining
    await line.say(note(1, channel="session:s1", requires_ack=True))

    ack = await line.hears("ack")

    assert (ack["channel"], ack["message_ids"]) == ("session:s1", ["session:s1/1"])


@pytest.mark.rules("M2")
async def test_acknowledging_can_be_left_to_the_application(client: Driver, gateway: Scripted) -> None:
    line = await opened(client, gateway, auto_ack=False)
    await client.hear()
    await line.say(note(1, requires_ack=True))
    heard = await client.message(offset=1)
    await client.do("request", "ping", {})
    assert line.actions("ack") == []
    acking = client.begin("ack", heard)
    ack = await line.hears("ack")
    await line.reply(ack, acknowledged={f"{OWN}/1": "delivered"})

    assert ack["message_ids"] == [f"{OWN}/1"]
    assert (await acking)["acknowledged"] == {f"{OWN}/1": "delivered"}


@pytest.mark.rules("M3")
async def test_a_flood_is_heard_to_the_last_message_in_order(client: Driver, gateway: Scripted) -> None:
    line = await opened(client, gateway)
    await client.hear("note")

    flooding = asyncio.create_task(history(gateway, line, FLOOD))
    await client.message(seconds=60, offset=FLOOD)
    flooding.cancel()

    assert [one["offset"] for one in client.messages()] == list(range(1, FLOOD + 1))


@pytest.mark.rules("M3")
@pytest.mark.only("python")
async def test_who_cannot_keep_up_lets_go_and_comes_back_for_the_rest(client: PythonDriver, gateway: Scripted) -> None:
    line = await opened(client, gateway)
    free = asyncio.Event()
    await client.hear_slowly("note", free)
    flooding = asyncio.create_task(history(gateway, line, TOO_MANY))
    await line.ended(seconds=60)
    free.set()
    await client.message(seconds=60, offset=TOO_MANY)
    flooding.cancel()

    assert len(gateway.lines) > 1
    assert [one["offset"] for one in client.messages()] == list(range(1, TOO_MANY + 1))
