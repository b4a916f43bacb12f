"""What a client says, and what becomes of it: rules A1 to A4."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.clients.drivers import Driver, Fault
from tests.clients.scripted import OWN, Line, Scripted, at

MOST = 1000


async def opened(client: Driver, gateway: Scripted, **options: Any) -> Line:
    await client.make(gateway.url, **options)
    connecting = client.begin("connect")
    line = await gateway.greeted()
    await connecting
    return line


async def failed(asking: asyncio.Task[Any]) -> str:
    with pytest.raises(Fault) as fault:
        await asking
    return fault.value.code


@pytest.mark.rules("A1")
async def test_each_request_has_its_own_answer(client: Driver, gateway: Scripted) -> None:
    line = await opened(client, gateway)
    asking = [client.begin("request", "quote", {"symbol": symbol}) for symbol in ("A", "B")]
    asked = {one["symbol"]: one for one in [await line.hears("quote"), await line.hears("quote")]}
    await line.reply(asked["B"], price=2)
    await line.reply(asked["A"], price=1)

    assert [(await one)["price"] for one in asking] == [1, 2]
    assert asked["A"]["id"] != asked["B"]["id"]


@pytest.mark.rules("A1")
async def test_an_error_has_a_code_a_message_and_details(client: Driver, gateway: Scripted) -> None:
    line = await opened(client, gateway)
    asking = client.begin("request", "quote", {})
    await line.fail(await line.hears("quote"), "rate_limited", "slowly", retry_ms=20)

    with pytest.raises(Fault, match="slowly") as fault:
        await asking

    assert (fault.value.code, fault.value.detail) == ("rate_limited", {"retry_ms": 20})


@pytest.mark.rules("A1")
async def test_an_error_that_answers_nothing_is_told(client: Driver, gateway: Scripted) -> None:
    line = await opened(client, gateway)
    await line.say({"type": "error", "ref": None, "code": "invalid_message", "message": "what?", "detail": {}})

    assert (await client.until("error"))["code"] == "invalid_message"


@pytest.mark.rules("A2")
async def test_what_is_asked_before_it_is_open_waits_in_order(client: Driver, gateway: Scripted) -> None:
    await client.make(gateway.url)
    asking = [client.begin("request", "quote", {"n": n}) for n in range(5)]
    said = await client.do("send", "quote", {"n": "lost"})
    connecting = client.begin("connect")
    line = await gateway.greeted()
    await connecting
    for n in range(5):
        asked = await line.hears("quote")
        await line.reply(asked, n=n)
        assert asked["n"] == n

    assert [(await one)["n"] for one in asking] == list(range(5))
    assert said is False
    assert await client.do("send", "quote", {"n": "said"}) is True
    assert "id" not in (last := await line.hears("quote")) and last["n"] == "said"


@pytest.mark.rules("A2")
async def test_what_broke_with_the_connection_is_said_again_under_the_same_id(
    client: Driver, gateway: Scripted
) -> None:
    line = await opened(client, gateway)
    sending = client.begin("message", "user:43", "hi", message_type="chat", metadata={"n": 1})
    patching = client.begin("patch", {"a": 1}, on="instance:i1")
    asking = client.begin("presence", OWN)
    before = {action: await line.hears(action) for action in ("message", "patch", "presence")}
    line.reset()
    back = await gateway.greeted()
    after = {action: await back.hears(action) for action in before}
    await back.reply(after["message"], message_id="42/x", duplicate=True)
    await back.reply(after["patch"], instance="i1", version=1, duplicate=True)
    await back.reply(after["presence"], channel=OWN, users=[{"user_id": "42", "connections": 1}], count=1)

    assert (await sending)["duplicate"] is True
    assert (await patching)["version"] == 1
    assert await asking == [{"user_id": "42", "connections": 1}]
    said = {name: value for name, value in before["message"].items() if name not in ("id", "message_id")}
    assert said == {"action": "message", "to": "user:43", "content": "hi", "message_type": "chat", "metadata": {"n": 1}}
    assert before["message"]["message_id"] == after["message"]["message_id"] != ""
    assert before["patch"]["patch_id"] == after["patch"]["patch_id"] != ""


@pytest.mark.rules("A2")
async def test_an_action_of_ones_own_is_said_again_only_if_it_may_be(client: Driver, gateway: Scripted) -> None:
    line = await opened(client, gateway)
    once = client.begin("request", "book", {"seat": 1})
    often = client.begin("request", "quote", {}, repeatable=True)
    await line.hears("book")
    await line.hears("quote")
    line.reset()

    assert await failed(once) == "disconnected"
    back = await gateway.greeted()
    await back.reply(await back.hears("quote"), price=9)
    assert (await often)["price"] == 9
    assert back.actions("book") == []


@pytest.mark.rules("A2")
async def test_what_a_user_chose_as_an_id_is_kept(client: Driver, gateway: Scripted) -> None:
    line = await opened(client, gateway)
    sending = client.begin("message", "user:43", "hi", message_id="mine-1")
    asked = await line.hears("message")
    await line.reply(asked, message_id="42/mine-1")

    assert asked["message_id"] == "mine-1"
    assert (await sending)["message_id"] == "42/mine-1"


@pytest.mark.rules("A3")
async def test_without_an_answer_in_time_it_fails(client: Driver, gateway: Scripted) -> None:
    line = await opened(client, gateway, reply_timeout=0.2)
    asking = client.begin("request", "quote", {})
    late = await line.hears("quote")

    assert await failed(asking) == "timeout"
    await line.reply(late, price=1)
    assert await client.get("state") == "open"


@pytest.mark.rules("A3")
async def test_what_was_not_sent_in_time_never_will_be(client: Driver, gateway: Scripted) -> None:
    await client.make(gateway.url)
    asking = [client.begin("request", "quote", {}, timeout=0.1), client.begin("request", "quote", {"kept": True})]

    assert await failed(asking[0]) == "timeout"
    connecting = client.begin("connect")
    line = await gateway.greeted()
    await connecting
    await line.reply(await line.hears("quote"), price=1)
    await asking[1]
    assert [one.get("kept") for one in line.actions("quote")] == [True]


@pytest.mark.rules("A4")
async def test_so_many_wait_and_no_more(client: Driver, gateway: Scripted) -> None:
    await client.make(gateway.url)
    asking = [client.begin("request", "quote", {"n": n}) for n in range(MOST)]
    assert await failed(client.begin("request", "quote", {})) == "too_many"
    connecting = client.begin("connect")
    line = await gateway.greeted()
    await connecting
    for n in range(MOST):
        asked = await line.hears("quote")
        assert asked["n"] == n
        await line.reply(asked)
    await asyncio.gather(*asking)


@pytest.mark.rules("A1")
async def test_every_frame_can_be_looked_at(client: Driver, gateway: Scripted) -> None:
    line = await opened(client, gateway)
    asking = client.begin("request", "quote", {"n": 1})
    asked = await line.hears("quote")
    await line.reply(asked, price=2)
    await asking

    seen = [(one["way"], one["frame"]) for one in client.all("frame")]
    assert seen[0][0] == "in"
    assert seen[0][1]["channels"] == {OWN: at(0)}
    assert [frame for way, frame in seen if way == "out" and frame["action"] == "quote"] == [asked]
    assert [frame["price"] for way, frame in seen if way == "in" and frame.get("ref") == asked["id"]] == [2]


@pytest.mark.rules("A2")
async def test_old_and_new_are_said_in_the_order_in_which_they_were_asked(client: Driver, gateway: Scripted) -> None:
    line = await opened(client, gateway)
    before = [client.begin("message", "user:43", n) for n in range(3)]
    for _ in range(3):
        await line.hears("message")
    line.reset()
    await client.until("state", state="waiting")
    after = [client.begin("message", "user:43", n) for n in range(3, 6)]
    back = await gateway.greeted()
    said = [await back.hears("message") for _ in range(6)]
    for one in said:
        await back.reply(one, message_id=one["message_id"])
    await asyncio.gather(*before, *after)

    assert [one["content"] for one in said] == list(range(6))
    assert len({one["id"] for one in said}) == 6


@pytest.mark.rules("A3")
async def test_the_time_of_a_request_counts_across_connections(client: Driver, gateway: Scripted) -> None:
    line = await opened(client, gateway)
    asking = client.begin("message", "user:43", "hi", timeout=0.4)
    await line.hears("message")
    gateway.is_shut = True
    line.reset()

    assert await failed(asking) == "timeout"
    gateway.is_shut = False
    back = await gateway.greeted()
    await client.do("request", "ping", {})
    assert back.actions("message") == []


@pytest.mark.rules("A1")
async def test_a_frame_that_nobody_can_read_disturbs_nothing(client: Driver, gateway: Scripted) -> None:
    line = await opened(client, gateway)
    await client.hear()
    await line.say_raw("{nonsense")
    await line.say_raw("[1, 2]")
    await line.say({"type": "tick", "channel": "topic:t"})
    await client.message(type="tick")

    assert len(client.messages()) == 1
