"""Channels, sessions and tasks that stay asked for, and what was said in them before: rules C1 to C4."""

from __future__ import annotations

from typing import Any

import pytest

from tests.clients.drivers import Driver, Fault
from tests.clients.scripted import OWN, Frame, Line, Scripted, at, note

ROOM, JOB = "session:s1", "task:t1"
TYPING_SECONDS = 5.0


async def opened(client: Driver, gateway: Scripted, **options: Any) -> Line:
    await client.make(gateway.url, **options)
    connecting = client.begin("connect")
    line = await gateway.greeted()
    await connecting
    return line


async def subscribed(client: Driver, line: Line, *channels: str) -> Frame:
    subscribing = client.begin("subscribe", *channels)
    asked = await line.hears("subscribe")
    await line.reply(asked, channels={name: {} if name.startswith("topic") else at(0) for name in asked["channels"]})
    answer: Frame = await subscribing
    return answer


async def joined(client: Driver, line: Line) -> Frame:
    joining = client.begin("join", on=ROOM)
    await line.reply(await line.hears("join_session"), session_id="s1", channels={ROOM: at(0)})
    answer: Frame = await joining
    return answer


def update(version: int, **more: Any) -> Frame:
    return {"type": "task_update", "channel": JOB, "task_id": "t1", "version": version, "status": "running", **more}


async def watched(client: Driver, line: Line, state: Frame | None) -> Frame:
    watching = client.begin("watch", on=JOB)
    asked = await line.hears("subscribe_task")
    assert asked["task_id"] == "t1"
    await line.reply(asked, task_id="t1", task=state, channels={JOB: at(0)})
    if state is not None:
        await line.say(state)
    answer: Frame = await watching
    return answer


async def wanted(gateway: Scripted) -> set[str]:
    """What a client that came back asked for."""
    line = await gateway.next()
    first = await line.hears("connect")
    told = {
        name: {"recovered": False} if name.startswith("topic:") else at(0, recovered=True) for name in first["recover"]
    }
    await line.greet(channels=told)
    return set(told)


@pytest.mark.rules("C1", "O3")
async def test_what_was_asked_for_stays_asked_for(client: Driver, gateway: Scripted) -> None:
    line = await opened(client, gateway)
    assert (await subscribed(client, line, "topic:a", "device:9"))["channels"].keys() == {"topic:a", "device:9"}
    assert (await joined(client, line))["session_id"] == "s1"
    assert (await watched(client, line, None))["task"] is None

    for times in range(2):
        gateway.lines[times].reset()
        assert await wanted(gateway) == {OWN, "topic:a", "device:9", ROOM, JOB}
        await client.until("state", state="open", attempt=times + 2)


@pytest.mark.rules("C1")
async def test_what_was_left_is_not_asked_for_again(client: Driver, gateway: Scripted) -> None:
    line = await opened(client, gateway)
    await subscribed(client, line, "topic:a", "device:9")
    await joined(client, line)
    await watched(client, line, None)
    for leaving, action, answer in (
        (client.begin("unsubscribe", "device:9"), "unsubscribe", {"channels": ["device:9"]}),
        (client.begin("leave", on=ROOM), "leave_session", {"session_id": "s1"}),
        (client.begin("unwatch", on=JOB), "unsubscribe_task", {"task_id": "t1"}),
    ):
        await line.reply(await line.hears(action), **answer)
        await leaving
    line.reset()

    assert await wanted(gateway) == {OWN, "topic:a"}
    assert set(await client.get("positions")) == {OWN}


@pytest.mark.rules("C1")
async def test_what_is_left_while_it_waits_is_not_asked_for_again(client: Driver, gateway: Scripted) -> None:
    line = await opened(client, gateway, backoff_min=60, backoff_max=60)
    await subscribed(client, line, "device:9")
    await joined(client, line)
    await line.close(1012, "restart")
    await client.until("state", state="waiting")
    leaving = [client.begin("unsubscribe", "device:9"), client.begin("leave", on=ROOM)]
    await client.do("check")
    back = await gateway.next()
    first = await back.hears("connect")
    await back.greet(channels={name: at(0, recovered=True) for name in first["recover"]})
    gateway.manners |= {"unsubscribe": lambda said: {"channels": said["channels"]}, "leave_session": lambda said: {}}
    for left in back.actions("unsubscribe", "leave_session"):
        await back.reply(left)
    for one in leaving:
        await one
    back.reset()
    await client.until("state", state="waiting")
    await client.do("check")

    assert await wanted(gateway) == {OWN}


@pytest.mark.rules("C1")
async def test_what_one_may_not_hear_is_not_asked_for_again(client: Driver, gateway: Scripted) -> None:
    line = await opened(client, gateway)
    subscribing = client.begin("subscribe", "device:9")
    await line.fail(await line.hears("subscribe"), "forbidden", channels=["device:9"])
    with pytest.raises(Fault) as fault:
        await subscribing
    line.reset()

    assert fault.value.code == "forbidden"
    assert await wanted(gateway) == {OWN}


@pytest.mark.rules("C1", "A2")
async def test_what_is_asked_for_while_it_waits_is_heard_afterwards(client: Driver, gateway: Scripted) -> None:
    await client.make(gateway.url)
    await client.hear()
    subscribing = client.begin("subscribe", "device:9")
    connecting = client.begin("connect")
    line = await gateway.next()
    if line.waits:
        assert (await line.hears("connect"))["recover"] == {"device:9": at(0, "")}
    await line.greet(channels={"device:9": at(4, recovered=False)} if line.waits else {})
    await connecting
    gateway.manners["subscribe"] = lambda said: {"channels": {"device:9": at(4)}}
    for asked in line.actions("subscribe"):
        await line.reply(asked, channels={"device:9": at(4)})
    await subscribing
    await line.say(note(5, channel="device:9"))

    assert (await client.message(channel="device:9"))["offset"] == 5


@pytest.mark.rules("C1")
async def test_messages_of_a_session_come_to_its_own_handlers(client: Driver, gateway: Scripted) -> None:
    line = await opened(client, gateway)
    await joined(client, line)
    await client.hear("note", on=ROOM, label="s1")
    await client.hear("*", on="session:s2", label="s2")
    await client.hear("*", label="all")
    await line.say(note(1), note(1, channel=ROOM), note(2))
    await client.until("message", label="all", message=note(2))

    assert client.messages("s1") == [note(1, channel=ROOM)]
    assert client.messages("s2") == []
    assert len(client.messages("all")) == 3
    members = client.begin("members", on=ROOM)
    asked = await line.hears("presence")
    await line.reply(asked, channel=ROOM, users=[{"user_id": "42", "connections": 2}], count=1)
    assert asked["channel"] == ROOM
    assert await members == [{"user_id": "42", "connections": 2}]


@pytest.mark.rules("C1", "A2")
async def test_what_is_said_to_a_session_and_read_in_it_names_it(client: Driver, gateway: Scripted) -> None:
    line = await opened(client, gateway)
    await joined(client, line)
    sending = client.begin("send", {"text": "hi"}, on=ROOM, message_type="chat")
    said = await line.hears("message")
    await line.reply(said, message_id="42/m", channel=ROOM, offset=1, epoch="e.1", status="sent")
    reading = client.begin("read", "42/m", on=ROOM)
    read = await line.hears("read")
    await line.reply(read, session_id="s1", message_id="42/m", status="own")

    assert (await sending)["offset"] == 1
    assert (await reading)["status"] == "own"
    assert said.get("session_id") == "s1" or said.get("to") == ROOM
    assert (said["content"], said["message_type"]) == ({"text": "hi"}, "chat")
    assert (read["session_id"], read["message_id"]) == ("s1", "42/m")


@pytest.mark.rules("P1", "C1")
async def test_ones_own_message_moves_the_position_when_its_turn_comes(client: Driver, gateway: Scripted) -> None:
    line = await opened(client, gateway)
    await client.hear("note")
    await joined(client, line)
    sending = client.begin("send", "hi", on=ROOM)
    said = await line.hears("message")
    skipped = {"type": "skipped", "channel": ROOM, "offset": 2}
    await line.say(note(1, channel=ROOM), skipped)
    await line.reply(said, message_id="42/m", channel=ROOM, offset=2, epoch="e.1", status="sent")
    await sending
    await line.say(note(3, channel=ROOM))
    await client.message(offset=3)

    assert [one["offset"] for one in client.messages()] == [1, 3]
    assert line.actions("join_session")[1:] == []


@pytest.mark.rules("C1")
async def test_what_names_a_session_is_told_to_its_handlers_whatever_it_came_through(
    client: Driver, gateway: Scripted
) -> None:
    line = await opened(client, gateway)
    await joined(client, line)
    await client.hear("message_status_update", on=ROOM)
    status = {"type": "message_status_update", "channel": OWN, "status": "read", "message_id": "42/m"}
    await line.say(status | {"id": "r1", "offset": 1, "session_id": "s2"})
    await line.say(status | {"id": "r2", "offset": 2, "session_id": "s1"})

    assert (await client.message())["id"] == "r2"


# -- typing ------------------------------------------------------------------------------------------


def typed(line: Line) -> list[bool]:
    return [one["is_typing"] for one in line.actions("typing")]


@pytest.mark.rules("C2")
async def test_typing_is_said_seldom_and_its_end_by_the_client_itself(client: Driver, gateway: Scripted) -> None:
    line = await opened(client, gateway)
    await joined(client, line)
    for _ in range(20):
        await client.do("typing", on=ROOM)
    await client.do("request", "ping", {})
    assert typed(line) == [True]
    await line.hears("typing")

    assert (await line.hears("typing", seconds=TYPING_SECONDS + 10))["is_typing"] is False
    assert typed(line) == [True, False]


@pytest.mark.rules("C2")
async def test_who_has_said_it_types_no_more(client: Driver, gateway: Scripted) -> None:
    line = await opened(client, gateway)
    await joined(client, line)
    await client.do("typing", True, on=ROOM)
    sending = client.begin("send", "hi", on=ROOM)
    await line.reply(await line.hears("message"), message_id="42/m", channel=ROOM, offset=1, epoch="e.1")
    await sending
    await client.do("typing", True, on=ROOM)
    await client.do("typing", False, on=ROOM)
    await client.do("request", "ping", {})

    assert typed(line) == [True, False, True, False]


# -- tasks -------------------------------------------------------------------------------------------


@pytest.mark.rules("C3")
async def test_a_task_keeps_its_latest_state(client: Driver, gateway: Scripted) -> None:
    line = await opened(client, gateway)
    await client.hear("task_update", on=JOB)
    assert await client.get("state", on=JOB) is None
    await watched(client, line, update(2, progress=20))
    await line.say(update(3, progress=30), update(2, progress=20), update(1), update(5, progress=50), update(4))
    await client.message(version=5)
    await client.do("request", "ping", {})

    assert [one["version"] for one in client.messages()] == [2, 3, 5]
    assert (await client.get("state", on=JOB))["progress"] == 50


@pytest.mark.rules("C3")
async def test_the_end_of_a_task_is_told(client: Driver, gateway: Scripted) -> None:
    line = await opened(client, gateway)
    await client.hear("*", on=JOB)
    await watched(client, line, update(1))
    cancelling = client.begin("cancel", on=JOB)
    asked = await line.hears("cancel")
    await line.reply(asked, task_id="t1", status="cancelled", version=2, duplicate=False)
    await line.say({**update(2), "type": "task_cancelled", "status": "cancelled"})

    assert (await client.message(type="task_cancelled"))["status"] == "cancelled"
    assert (await cancelling)["status"] == "cancelled"
    assert asked["task_id"] == "t1"
    assert (await client.get("state", on=JOB))["status"] == "cancelled"


# -- what was said before ----------------------------------------------------------------------------


def page(*offsets: int, more: bool = False) -> Frame:
    """What the reply to ``history`` tells."""
    said = [{**note(offset, offset, ROOM), "requires_ack": True} for offset in offsets]
    return {"messages": said, "offset": 9, "epoch": "e.1", "more": more, "before": offsets[0] if offsets else 10}


@pytest.mark.rules("C4")
@pytest.mark.parametrize("on", [ROOM, ""])
async def test_what_was_said_before_is_read_page_by_page(client: Driver, gateway: Scripted, on: str) -> None:
    line = await opened(client, gateway)
    await joined(client, line)
    args = [] if on else [ROOM]
    first = client.begin("history", *args, on=on)
    asked = await line.hears("history")
    await line.reply(asked, channel=ROOM, **page(8, 9, more=True))
    newest = await first
    second = client.begin("history", *args, on=on, limit=2, before=newest["before"])
    asked_again = await line.hears("history")
    await line.reply(asked_again, channel=ROOM, **page(7))

    assert newest == page(8, 9, more=True)
    assert await second == page(7)
    assert {name: asked[name] for name in asked.keys() - {"id"}} == {"action": "history", "channel": ROOM, "limit": 50}
    assert (asked_again["limit"], asked_again["before"]) == (2, 8)


@pytest.mark.rules("C4", "P1")
async def test_what_was_said_before_is_not_heard(client: Driver, gateway: Scripted) -> None:
    line = await opened(client, gateway)
    await client.hear("*")
    await joined(client, line)
    reading = client.begin("history", on=ROOM)
    await line.reply(await line.hears("history"), channel=ROOM, **page(1, 2, 3))
    await reading
    before = await client.get("positions")
    await line.say(note(1, 1, ROOM))
    await client.message(offset=1)
    await client.do("request", "ping", {})

    assert before[ROOM]["offset"] == 0
    assert [message["offset"] for message in client.messages()] == [1]
    assert line.actions("ack") == []


@pytest.mark.rules("C4", "A1", "A2")
async def test_a_page_is_asked_for_again_where_the_line_broke_and_may_be_refused(
    client: Driver, gateway: Scripted
) -> None:
    line = await opened(client, gateway)
    reading = client.begin("history", ROOM, before=5)
    before = await line.hears("history")
    line.reset()
    back = await gateway.greeted()
    after = await back.hears("history")
    await back.fail(after, "forbidden", "join session s1 first", channels=[ROOM])

    assert after["before"] == before["before"] == 5
    with pytest.raises(Fault, match="join session s1 first") as fault:
        await reading
    assert fault.value.code == "forbidden"
