"""What applications bring: handlers, middleware round every action, and ears for events."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import BaseModel

from fairlead.errors import Forbidden
from fairlead_gateway.sessions.actions import RESERVED
from fairlead_gateway.sessions.context import Context
from fairlead_gateway.sessions.handlers import Next
from tests.gateway.patience import until
from tests.gateway.running import Gateway, Message, new_session, new_user, serving, settings_for

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Price(BaseModel):
    currency: str
    at: datetime


async def test_a_registered_handler_answers_its_action(gateway: Gateway) -> None:
    seen: list[tuple[Message, str, str, str]] = []

    async def quote(message: Message, context: Context) -> dict[str, object]:
        seen.append((message, context.user_id, context.connection_id, context.session_id))
        return {"price": 9.5}

    gateway.manager.register_handler("quote", quote)
    user = new_user()
    client = await gateway.connect(user)

    reply = await client.ask("quote", symbol="FL")

    assert reply == {"type": "reply", "ref": "q1", "ok": True, "price": 9.5}
    assert seen == [({"action": "quote", "id": "q1", "symbol": "FL"}, user, client.id, "")]


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (None, {"result": None}),
        (7, {"result": 7}),
        ([1], {"result": [1]}),
        (Price(currency="eur", at=datetime(2026, 1, 1, tzinfo=UTC)), None),
        ({"type": "mine", "ref": "forged", "ok": False, "more": 1}, {"more": 1}),
    ],
)
async def test_whatever_a_handler_returns_is_one_reply(gateway: Gateway, result: object, said: Message | None) -> None:
    gateway.manager.register_handler("returning", lambda message, context: result)
    client = await gateway.connect()

    reply = await client.ask("returning")

    said = {"result": {"currency": "eur", "at": "2026-01-01T00:00:00Z"}} if said is None else said
    assert reply == {"type": "reply", "ref": "q1", "ok": True, **said}


async def test_a_handler_without_an_id_to_answer_is_called_all_the_same(gateway: Gateway) -> None:
    called = asyncio.Event()
    gateway.manager.register_handler("silent", lambda message, context: called.set())
    client = await gateway.connect()

    await client.say("silent")

    async with asyncio.timeout(5):
        await called.wait()
    assert await client.heard() == []


async def test_a_handler_hears_messages_of_its_type_after_they_were_stored(gateway: Gateway) -> None:
    seen: list[Message] = []

    async def image(message: Message, context: Context) -> str:
        seen.append(message)
        return "thumbnail made"

    gateway.manager.register_handler("image", image)
    session = new_session()
    client = await gateway.connect(path=f"/ws/chat/session/{session}")

    reply = await client.ask("message", content="x.png", message_type="image")
    await client.ask("message", content="only text")

    assert reply["result"] == "thumbnail made"
    assert [(m["id"], m["content"], m["channel"]) for m in seen] == [
        (reply["message_id"], "x.png", f"session:{session}")
    ]


async def test_a_handler_may_speak_to_its_client_and_publish_in_its_name(gateway: Gateway) -> None:
    async def echo(message: Message, context: Context) -> str:
        context.send({"type": "aside", "n": 1})
        sent = await context.publish(f"user:{context.user_id}", {"type": "published"})
        return sent.id

    gateway.manager.register_handler("speaking", echo)
    user = new_user()
    client = await gateway.connect(user)

    reply = await client.ask("speaking")

    assert await client.hear("aside") == {"type": "aside", "n": 1}
    published = await client.hear("published")
    assert (published["id"], published["from"]) == (reply["result"], f"user:{user}")


@pytest.mark.parametrize("name", sorted(RESERVED))
async def test_the_name_of_a_built_in_action_cannot_be_taken(gateway: Gateway, name: str) -> None:
    with pytest.raises(ValueError, match="built-in"):
        gateway.manager.register_handler(name, lambda message, context: None)


async def test_middleware_is_put_round_actions_in_the_order_of_its_registration(redis_url: str) -> None:
    steps: list[str] = []

    def layer(name: str) -> Any:
        async def middleware(message: Message, context: Context, call_next: Next) -> Any:
            steps.append(f"{name} before {message['action']}")
            result = await call_next(message, context)
            steps.append(f"{name} after")
            return result

        return middleware

    async with serving(settings_for(redis_url)) as gateway:
        gateway.manager.use(layer("outer"))
        gateway.manager.use(layer("inner"))
        client = await gateway.connect()

        await client.ask("ping")
        reply = await client.ask("subscribe", channels=["topic:t"])

    assert reply["ok"] is True
    assert steps == ["outer before subscribe", "inner before subscribe", "inner after", "outer after"]


async def test_middleware_refuses_changes_and_answers(redis_url: str) -> None:
    async def gatekeeper(message: Message, context: Context, call_next: Next) -> Any:
        match message["action"]:
            case "join_session":
                raise Forbidden("not on Sundays", day="sunday")
            case "presence":
                return {"count": "who knows"}
            case "typo":
                message = message | {"action": "subscribe"}
        return {**await call_next(message, context), "checked": True}

    async with serving(settings_for(redis_url)) as gateway:
        gateway.manager.use(gatekeeper)
        client = await gateway.connect()

        refused = await client.ask("join_session", session_id="s1")
        answered = await client.ask("presence", channel="topic:t")
        changed = await client.ask("typo", channels=["topic:t"])

    assert (refused["code"], refused["detail"]) == ("forbidden", {"day": "sunday"})
    assert answered["count"] == "who knows"
    assert (changed["channels"], changed["checked"]) == ({"topic:t": {}}, True)


async def test_events_tell_of_a_connections_whole_life(gateway: Gateway) -> None:
    user, session = new_user(), new_session()
    client = await gateway.connect(user)
    await client.ask("join_session", session_id=session)
    reply = await client.ask("message", content="hi")
    await client.ask("typing", is_typing=True)
    await client.ask("leave_session", session_id=session)
    await until(lambda: gateway.told("session_left", user_id=user))
    await client.leave()
    await until(lambda: gateway.told("user_disconnected", user_id=user))

    told = [event for event in gateway.events if event.get("user_id") == user]
    assert [event["event"] for event in told] == [
        "user_connected",
        "connection",
        "session_joined",
        "message_received",
        "typing_status_changed",
        "typing_status_changed",
        "session_left",
        "disconnection",
        "user_disconnected",
    ]
    by_name = {event["event"]: event for event in told}
    assert by_name["message_received"]["message_id"] == reply["message_id"]
    assert by_name["disconnection"]["code"] == 1000
    assert by_name["session_joined"]["session_id"] == session


async def test_only_the_first_and_the_last_device_of_a_user_are_an_event(gateway: Gateway) -> None:
    user = new_user()
    phone, laptop = await gateway.connect(user), await gateway.connect(user)

    await phone.leave()
    await until(lambda: gateway.told("disconnection", connection_id=phone.id))
    after_one = len(gateway.told("user_disconnected", user_id=user))
    await laptop.leave()
    await until(lambda: gateway.told("user_disconnected", user_id=user))

    assert len(gateway.told("user_connected", user_id=user)) == 1
    assert after_one == 0
    assert [event["connection_id"] for event in gateway.told("user_disconnected", user_id=user)] == [laptop.id]


async def test_an_ear_that_fails_harms_nobody(gateway: Gateway) -> None:
    heard: list[str] = []

    def broken(event: Message) -> None:
        raise RuntimeError("plain")

    async def broken_later(event: Message) -> None:
        raise RuntimeError("async")

    async def good(event: Message) -> None:
        heard.append(event["connection_id"])

    for ear in (broken, broken_later, good):
        gateway.manager.on("connection", ear)

    client = await gateway.connect()

    await until(lambda: client.id in heard)
    assert (await client.ask("ping"))["type"] == "pong"
