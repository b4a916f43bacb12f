"""What clients say reaches backends, and what those answer reaches clients (MSG-5, MSG-7)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio

import fairlead
from fairlead.backend.backend import Backend
from fairlead.streams.inbound import Inbound
from tests.gateway.patience import until
from tests.gateway.running import Gateway, new_session, new_user, serving, settings_for

pytestmark = pytest.mark.asyncio(loop_scope="module")

Handle = Callable[[Inbound[Any, Any]], Awaitable[object]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(redis_url: str) -> AsyncIterator[Gateway]:
    settings = settings_for(
        redis_url,
        forwarded_actions="quote,crm.*",
        message_timeout_seconds=2.0,
        rate_messages_per_second=0,
        max_errors_per_minute=1000,
    )
    async with serving(settings) as gateway:
        yield gateway


@pytest_asyncio.fixture(loop_scope="module")
async def backend(gateway: Gateway, redis_url: str) -> AsyncIterator[Backend]:
    async with fairlead.connect(redis_url, prefix=gateway.manager.settings.prefix, name="bot") as backend:
        yield backend


@asynccontextmanager
async def hearing(backend: Backend, handle: Handle, group: str = "bot") -> AsyncIterator[list[Inbound[Any, Any]]]:
    """A backend that handles everything that clients say from now on, and keeps it."""
    heard: list[Inbound[Any, Any]] = []
    formed = asyncio.Event()

    async def loop() -> None:
        async with backend.inbound(group) as feed:
            formed.set()
            async for said in feed:
                await handle(said)
                heard.append(said)

    task = asyncio.create_task(loop())
    async with asyncio.timeout(5):
        await formed.wait()
    try:
        yield heard
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def ignore(said: Inbound[Any, Any]) -> None:
    """Say nothing."""


async def test_a_backend_answers_an_action_that_nobody_has_registered(gateway: Gateway, backend: Backend) -> None:
    outcomes: list[object] = []

    async def quote(said: Inbound[Any, Any]) -> None:
        outcomes.append(await said.reply({"price": 9.5, "symbol": said.frame["symbol"]}))

    user, session = new_user(), new_session()
    async with hearing(backend, quote) as heard:
        client = await gateway.connect(user, path=f"/ws/chat/session/{session}")

        reply = await client.ask("quote", symbol="FL", content={"n": 1})
        await until(lambda: heard)

    assert reply == {"type": "reply", "ref": "q1", "ok": True, "price": 9.5, "symbol": "FL"}
    (said,) = heard
    assert (said.action, said.type, said.content) == ("quote", "quote", {"n": 1})
    assert (said.user_id, said.connection_id, said.session_id) == (user, client.id, session)
    assert said.frame == {"action": "quote", "id": "q1", "symbol": "FL", "content": {"n": 1}}
    assert (said.replica, said.deliveries, said.ref) == (gateway.manager.replica_id, 0, "q1")
    assert said.deadline is not None and 0 < (said.deadline - said.at).total_seconds() <= 2
    assert outcomes == ["delivered"]


async def test_a_backend_refuses_with_an_error_of_the_protocol(gateway: Gateway, backend: Backend) -> None:
    async def refuse(said: Inbound[Any, Any]) -> None:
        await said.error("not_found", "no such symbol", symbol=said.frame["symbol"])

    async with hearing(backend, refuse):
        client = await gateway.connect()
        error = await client.ask("crm.find", symbol="XX")

    assert error == {
        "type": "error",
        "ref": "q1",
        "code": "not_found",
        "message": "no such symbol",
        "detail": {"symbol": "XX"},
    }


async def test_without_an_answer_there_is_an_error_in_time_and_a_late_answer_goes_to_the_user(
    gateway: Gateway, backend: Backend
) -> None:
    outcomes: list[object] = []
    refused = asyncio.Event()

    async def too_late(said: Inbound[Any, Any]) -> None:
        await refused.wait()
        outcomes.append(await said.reply({"price": 1}))
        outcomes.append(await said.reply({"price": 2}))

    user = new_user()
    async with hearing(backend, too_late) as heard:
        client, other_device = await gateway.connect(user), await gateway.connect(user)
        error = await client.ask("quote")
        refused.set()
        late = await client.answer("q1")
        same = await other_device.answer("q1")
        await until(lambda: heard)
        later = await client.heard()

    assert (error["type"], error["code"], error["ref"]) == ("error", "handler_timeout", "q1")
    assert (late["type"], late["ok"], late["late"], late["price"]) == ("reply", True, True, 1)
    assert (late["connection_id"], late["from"], late["id"]) == (client.id, "service:bot", heard[0].message_id)
    assert late["offset"] == same["offset"] == 1
    assert outcomes == ["late", "duplicate"]
    assert later == []


async def test_when_no_backend_listens_the_client_is_told_so(gateway: Gateway) -> None:
    client = await gateway.connect()

    error = await client.ask("quote")

    assert (error["type"], error["code"]) == ("error", "handler_timeout")
    assert "type" in await client.ask("ping")


async def test_a_socket_that_has_gone_gets_its_answer_as_a_message_to_its_user(
    gateway: Gateway, backend: Backend
) -> None:
    gone = asyncio.Event()

    async def after_that(said: Inbound[Any, Any]) -> None:
        await gone.wait()
        await said.reply({"price": 3})

    user = new_user()
    async with hearing(backend, after_that) as heard:
        client = await gateway.connect(user)
        await client.say("quote", id="mine")
        connection_id = client.id
        await client.leave()
        await until(lambda: gateway.told("disconnection", connection_id=connection_id))
        gone.set()
        await until(lambda: heard)
        back = await gateway.connect(user)
        answer = await back.ask("subscribe", channels=[f"user:{user}"], recover={f"user:{user}": start_of(back, user)})
        late = await back.answer("mine")

    assert answer["ok"] is True
    assert (late["late"], late["price"], late["connection_id"], late["offset"]) == (True, 3, connection_id, 1)


def start_of(client: Any, user: str) -> dict[str, object]:
    """The position before everything that was ever said to *user*."""
    return {"offset": 0, "epoch": client.greeting["channels"][f"user:{user}"]["epoch"]}


async def test_an_action_without_an_id_is_forwarded_and_waits_for_nothing(gateway: Gateway, backend: Backend) -> None:
    outcomes: list[object] = []

    async def reply(said: Inbound[Any, Any]) -> None:
        outcomes.append(await said.reply({"n": 1}))
        outcomes.append(await said.error("internal", "no"))

    async with hearing(backend, reply) as heard:
        client = await gateway.connect()
        await client.say("quote", symbol="FL")
        await until(lambda: heard)
        rest = await client.heard()

    assert outcomes == ["unasked", "unasked"]
    assert (heard[0].ref, heard[0].deadline, heard[0].frame["symbol"]) == ("", None, "FL")
    assert rest == []


async def test_a_registered_handler_wins_and_what_nobody_forwards_is_unknown(
    gateway: Gateway, backend: Backend
) -> None:
    gateway.manager.register_handler("crm.local", lambda message, context: {"here": True})
    async with hearing(backend, ignore) as heard:
        client = await gateway.connect()
        local = await client.ask("crm.local")
        unknown = await client.ask("crmx")
        await client.say("quote")
        await until(lambda: heard)

    assert local["here"] is True
    assert unknown["code"] == "unknown_action"
    assert [said.action for said in heard] == ["quote"]


async def test_messages_are_heard_after_they_were_stored_and_answered_in_their_session(
    gateway: Gateway, backend: Backend
) -> None:
    async def greet(said: Inbound[Any, Any]) -> None:
        await said.reply({"content": f"hello {said.content}", "message_type": "greeting"})
        await said.reply({"content": "and again"})

    session = new_session()
    async with hearing(backend, greet) as heard:
        client = await gateway.connect(path=f"/ws/chat/session/{session}")
        reply = await client.ask("message", content="bot", message_type="text", metadata={"x": 1})
        first, second = await client.hear("new_message"), await client.hear("new_message")
        await until(lambda: heard)

    (said,) = heard
    assert (said.action, said.type, said.content, said.channel) == ("message", "text", "bot", f"session:{session}")
    assert (said.message_id, said.frame["metadata"]) == (reply["message_id"], {"x": 1})
    assert (first["content"], first["message_type"], first["reply_to"]) == ("hello bot", "greeting", said.message_id)
    assert (first["from"], first["session_id"], second["content"]) == ("service:bot", session, "and again")
    assert [first["offset"], second["offset"]] == [reply["offset"] + 1, reply["offset"] + 2]


async def test_a_message_to_a_user_is_answered_to_its_sender_and_so_is_what_was_wrong_with_it(
    gateway: Gateway, backend: Backend
) -> None:
    async def both(said: Inbound[Any, Any]) -> None:
        await said.reply({"content": "to you"})
        await said.error("conflict", "not now", n=1)

    user, bot = new_user(), new_user()
    async with hearing(backend, both):
        client, other = await gateway.connect(user), await gateway.connect(bot)
        reply = await client.ask("message", to=f"user:{bot}", content="hi")
        answer, error = await client.hear("new_message"), await client.hear("error")
        assert (await other.hear("new_message"))["content"] == "hi"
        rest = await other.heard()

    assert (answer["content"], answer["channel"]) == ("to you", f"user:{user}")
    assert (error["code"], error["ref"], error["detail"], error["from"]) == ("conflict", None, {"n": 1}, "service:bot")
    assert (error["message_id"], answer["reply_to"]) == (reply["message_id"], reply["message_id"])
    assert rest == []


async def test_messages_are_not_forwarded_where_that_is_switched_off(redis_url: str) -> None:
    settings = settings_for(redis_url, forward_messages=False, forwarded_actions="*")
    async with (
        serving(settings) as gateway,
        fairlead.connect(redis_url, prefix=settings.prefix) as backend,
        hearing(backend, ignore) as heard,
    ):
        client = await gateway.connect(path=f"/ws/chat/session/{new_session()}")
        await client.ask("message", content="x")
        await client.say("anything")
        await until(lambda: heard)

    assert [said.action for said in heard] == ["anything"]


async def test_events_of_the_replica_reach_backends_with_what_is_known_of_them(
    gateway: Gateway, backend: Backend
) -> None:
    user, session = new_user(), new_session()
    async with backend.events("crm") as feed:
        client = await gateway.connect(user)
        await client.ask("join_session", session_id=session)
        reply = await client.ask("message", content="secret")
        await client.ask("typing", is_typing=True)
        await client.leave()
        heard = []
        async with asyncio.timeout(10):
            async for event in feed:
                if event.facts.get("user_id") == user:
                    heard.append(event)
                if heard and heard[-1].name == "user_disconnected":
                    break

    names = [event.name for event in heard]
    assert names == ["user_connected", "session_joined", "message_received", "session_left", "user_disconnected"]
    said = heard[2]
    assert said.facts["message_id"] == reply["message_id"] and said.facts["channel"] == f"session:{session}"
    assert "content" not in said.facts
    assert (said.replica, said.deliveries) == (gateway.manager.replica_id, 0)
    assert len({event.id for event in heard}) == len(heard)


async def test_how_a_connection_ended_is_kept(gateway: Gateway, backend: Backend) -> None:
    user = new_user()
    client = await gateway.connect(user)
    await client.leave()
    await until(lambda: gateway.told("disconnection", connection_id=client.id))
    for _ in range(3):
        await (await gateway.connect(new_user())).leave()

    async with asyncio.timeout(5):
        while not (found := await backend.connection_history(user)):
            await asyncio.sleep(0.02)
    everybody = await backend.connection_history(count=2)

    (record,) = found
    assert (record.connection_id, record.user_id, record.code) == (client.id, user, 1000)
    assert (record.replica, record.device_id) == (gateway.manager.replica_id, "")
    assert record.address.startswith("127.0.0.1")
    assert 0 <= record.seconds < 5
    assert len(everybody) == 2 and everybody[0].ended_at >= everybody[1].ended_at
