"""The way in: who may, who is refused and can read why, on our own protocol and on uvicorn's."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
import pytest_asyncio
from websockets.exceptions import InvalidStatus

from fairlead_gateway import Settings, WebSocketManager
from fairlead_gateway.access.claims import GRANTS
from fairlead_gateway.access.minting import Wish, mint
from fairlead_gateway.edge.lobby import MAX_EARLY
from fairlead_gateway.pool.formats import JSON_SUBPROTOCOL, MSGPACK_SUBPROTOCOL
from tests.gateway.patience import until
from tests.gateway.running import Gateway, new_session, new_user, request, serving, serving_app, settings_for
from tests.support.replica import SECRET, token

pytestmark = pytest.mark.asyncio(loop_scope="module")

CARRIERS = ["ours", "websockets-sansio"]


def carried(settings: Settings, carrier: str) -> AbstractAsyncContextManager[Gateway]:
    """A replica behind our own protocol, or behind one of uvicorn's."""
    if carrier == "ours":
        return serving(settings)
    manager = WebSocketManager(settings)
    return serving_app(manager.app, manager, carrier)


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=CARRIERS)
async def gateway(request: pytest.FixtureRequest, redis_url: str) -> AsyncIterator[Gateway]:
    settings = settings_for(redis_url, rate_messages_per_second=0, auth_timeout_seconds=0.4)
    async with carried(settings, request.param) as gateway:
        yield gateway


def expired_token(user: str) -> str:
    return mint(SECRET, Wish(user, ttl_seconds=60), now=time.time() - 3600)


def forged_token(user: str) -> str:
    return mint("another secret of at least thirty-two bytes", Wish(user, grants=dict.fromkeys(GRANTS, ("*",))))


# -- credentials -----------------------------------------------------------------------------------


async def test_a_bearer_header_lets_in(gateway: Gateway) -> None:
    user = new_user()

    client = await gateway.connect(bearer="", additional_headers={"Authorization": f"Bearer {token(user)}"})

    assert client.greeting["user_id"] == user


@pytest.mark.parametrize("offered", [(), (JSON_SUBPROTOCOL,), (MSGPACK_SUBPROTOCOL, JSON_SUBPROTOCOL), ("other",)])
async def test_a_bearer_subprotocol_lets_in_and_is_never_echoed(gateway: Gateway, offered: tuple[str, ...]) -> None:
    user = new_user()

    client = await gateway.open(bearer=token(user), subprotocols=offered)

    agreed = next((name for name in offered if name.startswith("fairlead")), None)
    assert client.socket.subprotocol == agreed
    assert (await client.next())["user_id"] == user


async def test_a_ticket_lets_in_once(gateway: Gateway) -> None:
    user = new_user()
    status, issued = await request(
        gateway.port, "/api/v1/websocket/tickets", method="POST", Authorization=f"Bearer {token(user)}"
    )

    client = await gateway.connect(path=f"/ws?ticket={issued['ticket']}", bearer="")
    again = await gateway.refusal(f"/ws?ticket={issued['ticket']}")

    assert (status, client.greeting["user_id"]) == (201, user)
    assert again[0] == 4401


@pytest.mark.parametrize("authorization", ["", "Bearer nonsense", "Basic dTpw"])
async def test_tickets_are_only_for_who_has_a_token(gateway: Gateway, authorization: str) -> None:
    headers = {"Authorization": authorization} if authorization else {}

    status, problem = await request(gateway.port, "/api/v1/websocket/tickets", method="POST", **headers)

    assert (status, problem["title"]) == (401, "unauthorized")


async def test_a_token_in_the_url_is_refused_unless_switched_on(gateway: Gateway, redis_url: str) -> None:
    user = new_user()

    code, reason = await gateway.refusal(f"/ws?token={token(user)}")

    assert code == 4401
    assert token(user) not in reason
    async with serving(settings_for(redis_url, allow_query_token=True)) as open_minded:
        client = await open_minded.connect(path=f"/ws?token={token(user)}", bearer="")
        assert client.greeting["user_id"] == user


async def test_an_expired_token_is_closed_with_4401_so_that_it_is_refreshed(gateway: Gateway) -> None:
    code, reason = await gateway.refusal(bearer=expired_token(new_user()))

    assert (code, reason.partition(":")[0]) == (4401, "token_expired")


@pytest.mark.parametrize("bearer", ["nonsense", forged_token("42")])
async def test_a_token_that_is_not_ours_is_closed_with_4403(gateway: Gateway, bearer: str) -> None:
    code, reason = await gateway.refusal(bearer=bearer)

    assert (code, reason.partition(":")[0]) == (4403, "forbidden")
    assert len(reason.encode()) <= 123


# -- where to ----------------------------------------------------------------------------------------


async def test_the_greeting_says_all_that_a_client_needs(gateway: Gateway) -> None:
    user, session = new_user(), new_session()

    greeting = (await gateway.connect(user, f"/ws/chat/session/{session}")).greeting

    assert greeting["user_id"] == user
    assert (greeting["session_id"], greeting["instance"]) == (session, None)
    assert greeting["heartbeat"] == {"interval": 30.0, "timeout": 60.0}
    assert greeting["replica"] == gateway.manager.replica_id
    assert set(greeting["channels"]) == {f"user:{user}", f"session:{session}"}
    assert all(position["epoch"] and position["offset"] == 0 for position in greeting["channels"].values())
    assert greeting["connection_id"][14] == "7"


async def test_the_path_of_an_instance_sits_the_client_in_it(gateway: Gateway) -> None:
    name = new_session()

    client = await gateway.connect(path=f"/ws/instance/{name}")
    await gateway.manager.send_patch(name, {"a.b": 1})

    assert client.greeting["instance"] == name
    assert (await client.hear("patch"))["patch"] == {"a.b": 1}
    assert gateway.manager.get_connection_count(name) == 1


@pytest.mark.parametrize("path", ["/ws/chat/session/s1", "/ws/instance/i1"])
async def test_where_one_may_not_be_one_is_closed_with_4403(gateway: Gateway, path: str) -> None:
    code, reason = await gateway.refusal(path, bearer=token(new_user(), topics=["none"]))

    assert (code, reason.partition(":")[0]) == (4403, "forbidden")


@pytest.mark.parametrize("path", ["/ws/chat/session/a%20b", "/ws/instance/%2A", "/ws/instance/" + "x" * 129])
async def test_what_is_no_id_in_a_path_is_closed_with_4000(gateway: Gateway, path: str) -> None:
    code, reason = await gateway.refusal(path, bearer=token(new_user()))

    assert (code, reason.partition(":")[0]) == (4000, "bad_request")


async def test_another_path_is_no_websocket(gateway: Gateway) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await gateway.open("/nowhere", bearer=token(new_user()))

    assert refused.value.response.status_code in (403, 404)


@pytest.mark.parametrize("origin", ["https://evil.example", "http://127.0.0.1:1", "null"])
async def test_a_page_of_another_origin_is_closed_with_4403(gateway: Gateway, origin: str) -> None:
    code, reason = await gateway.refusal(bearer=token(new_user()), origin=origin)

    assert code == 4403
    assert "origin" in reason


async def test_a_page_of_the_same_origin_is_let_in(gateway: Gateway) -> None:
    assert await gateway.connect(origin=f"http://127.0.0.1:{gateway.port}")


# -- the lobby ---------------------------------------------------------------------------------------


async def test_without_credentials_the_first_frame_brings_them(gateway: Gateway) -> None:
    user = new_user()
    visitor = await gateway.open()

    await visitor.say("connect", token=token(user))
    greeting = await visitor.next()

    assert (greeting["type"], greeting["user_id"]) == ("connection_established", user)
    assert (await visitor.ask("ping"))["type"] == "pong"


async def test_the_first_frame_may_be_msgpack(gateway: Gateway) -> None:
    user = new_user()
    visitor = await gateway.open(subprotocols=[MSGPACK_SUBPROTOCOL])

    await visitor.say("connect", token=token(user))

    assert (await visitor.next())["user_id"] == user


async def test_frames_sent_right_behind_connect_are_done_in_order_after_the_greeting(gateway: Gateway) -> None:
    session = new_session()
    visitor = await gateway.open("/ws/chat")

    await visitor.say("connect", token=token(new_user()))
    await visitor.say("join_session", id="1", session_id=session)
    await visitor.say("message", id="2", content="first words")
    await visitor.say("leave_session", id="3", session_id=session)

    greeting = await visitor.next()
    answers = [await visitor.answer(ref) for ref in ("1", "2", "3")]
    assert greeting["type"] == "connection_established"
    assert [answer["ok"] for answer in answers] == [True] * 3
    assert answers[1]["channel"] == f"session:{session}"


async def test_many_frames_behind_connect_do_not_get_lost(gateway: Gateway) -> None:
    visitor = await gateway.open()

    await visitor.say("connect", token=token(new_user()))
    for number in range(MAX_EARLY):
        await visitor.say("ping", id=f"p{number}")

    assert (await visitor.next())["type"] == "connection_established"
    assert [(await visitor.next())["ref"] for _ in range(MAX_EARLY)] == [f"p{number}" for number in range(MAX_EARLY)]


async def test_who_says_nothing_is_closed_with_4408(gateway: Gateway) -> None:
    began = time.monotonic()

    code, reason = await gateway.refusal()

    assert (code, reason) == (4408, "auth_timeout: no connect frame within 0.4 s")
    assert 0.3 < time.monotonic() - began < 3


async def test_pings_do_not_lengthen_the_time_to_say_who_one_is(gateway: Gateway) -> None:
    visitor = await gateway.open()

    async def insist() -> None:
        while True:
            await visitor.socket.ping()
            await asyncio.sleep(0.1)

    insisting = asyncio.create_task(insist())
    code, _ = await visitor.closed(3)
    insisting.cancel()
    await asyncio.gather(insisting, return_exceptions=True)

    assert code == 4408


@pytest.mark.parametrize(
    "first",
    [
        "not json",
        "[]",
        '{"action":"ping"}',
        '{"action":"subscribe","channels":["topic:t"]}',
        '{"action":"connect","token":7}',
        '{"action":"connect","recover":{"user:1":{"offset":-1,"epoch":"e"}}}',
        b'{"action":"connect"}',
    ],
)
async def test_a_first_frame_that_is_no_connect_is_closed_with_4000(gateway: Gateway, first: str | bytes) -> None:
    visitor = await gateway.open()

    await visitor.socket.send(first)
    code, reason = await visitor.closed()

    assert (code, reason.partition(":")[0]) == (4000, "bad_request")


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({}, 4401),
        ({"token": "nonsense"}, 4403),
        ({"token": forged_token("42")}, 4403),
        ({"token": expired_token("42")}, 4401),
    ],
)
async def test_a_connect_without_a_good_token_is_closed(gateway: Gateway, fields: dict[str, Any], code: int) -> None:
    visitor = await gateway.open()

    await visitor.say("connect", **fields)

    assert (await visitor.closed())[0] == code


async def test_with_wait_nothing_goes_live_before_the_first_frame(gateway: Gateway) -> None:
    user = new_user()
    first = await gateway.connect(user)
    sent = await gateway.manager.send_to_user(user, {"type": "one"})
    position = {"offset": sent.offset, "epoch": sent.epoch}
    waiting = [await gateway.open("/ws?wait=connect", bearer=token(user)) for _ in range(2)]

    await waiting[0].say("connect", recover={f"user:{user}": position})
    await waiting[1].say("connect", recover={f"user:{user}": position | {"offset": 0}})
    up_to_date, behind = [await client.next() for client in waiting]
    await gateway.manager.send_to_user(user, {"type": "two"})

    assert up_to_date["channels"] == {f"user:{user}": position | {"recovered": True}}
    assert behind["channels"] == {f"user:{user}": position | {"recovered": True}}
    assert [(await client.next())["type"] for client in (*waiting, first)] == ["two", "one", "one"]
    assert (await waiting[1].next())["type"] == "two"


async def test_with_wait_and_no_frame_one_is_closed_with_4408(gateway: Gateway) -> None:
    assert (await gateway.refusal("/ws?wait=connect", bearer=token(new_user())))[0] == 4408


async def test_with_wait_a_bad_token_is_refused_at_once(gateway: Gateway) -> None:
    assert (await gateway.refusal("/ws?wait=connect", bearer="nonsense"))[0] == 4403


async def test_a_connect_for_somebody_else_is_closed_with_4403(gateway: Gateway) -> None:
    visitor = await gateway.open("/ws?wait=connect", bearer=token(new_user()))

    await visitor.say("connect", token=token(new_user()))

    assert (await visitor.closed())[0] == 4403


async def test_a_second_connect_is_an_error(gateway: Gateway) -> None:
    client = await gateway.connect()

    assert (await client.ask("connect", token=token(new_user())))["code"] == "invalid_message"


async def test_who_leaves_while_being_let_in_leaves_nothing_behind(gateway: Gateway) -> None:
    user, session = new_user(), new_session()

    for _ in range(10):
        visitor = await gateway.open(f"/ws/chat/session/{session}")
        await visitor.say("connect", token=token(user))
        visitor.socket.transport.abort()
    await until(lambda: not gateway.manager.pool.members(f"user:{user}"))

    async with asyncio.timeout(5):
        while not await five_get_in(gateway, user):
            await asyncio.sleep(0.02)


async def five_get_in(gateway: Gateway, user: str) -> bool:
    """Whether the user has all of its five seats free."""
    clients = [await gateway.open(bearer=token(user)) for _ in range(5)]
    firsts = await asyncio.gather(*(client.next() for client in clients), return_exceptions=True)
    for client in clients:
        await client.leave()
    return all(isinstance(first, dict) for first in firsts)


async def test_a_fault_of_ours_while_somebody_is_let_in_leaves_nobody_waiting(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(gateway.manager._parts.replica.seats, "admit", broken)
    visitor = await gateway.open()
    await visitor.say("connect", token=token(new_user()))
    code, reason = await visitor.closed()

    assert (code, reason.partition(":")[0]) == (4102, "internal_error")
    assert "ZeroDivision" not in reason


# -- strangers, and a replica that leaves ---------------------------------------------------------------


@pytest.mark.parametrize("carrier", CARRIERS)
async def test_where_it_is_switched_on_strangers_come_in_each_as_a_user_of_its_own(
    redis_url: str, carrier: str
) -> None:
    async with carried(settings_for(redis_url, allow_anonymous=True), carrier) as gateway:
        one, other = await gateway.connect(bearer=""), await gateway.connect(bearer="")
        user = new_user()

        named = await gateway.open("/ws?wait=connect")
        await named.say("connect", token=token(user))

        assert one.greeting["user_id"].startswith("anonymous-")
        assert one.greeting["user_id"] != other.greeting["user_id"]
        assert (await named.next())["user_id"] == user
        assert (await one.ask("message", to=f"user:{user}", content="x"))["code"] == "forbidden"
        assert (await one.ask("join_session", session_id="s1"))["code"] == "forbidden"


@pytest.mark.parametrize("carrier", CARRIERS)
async def test_a_replica_that_stops_sends_everybody_elsewhere_and_gives_everything_back(
    redis_url: str, carrier: str
) -> None:
    settings = settings_for(redis_url)
    async with carried(settings, carrier) as gateway:
        client, visitor = await gateway.connect(path="/ws/chat/session/s1"), await gateway.open("/ws?wait=connect")
        gateway.clients.clear()
    ends = [await client.closed(), await visitor.closed()]

    moved = 4200 if carrier == "ours" else 1012  # a server of somebody else closes first
    assert [code for code, _ in ends] == [moved, moved]
    async with serving(settings.model_copy(update={"replica": "witness"})) as other:
        witness = await other.connect(path="/ws/chat/session/s1")
        presence = await witness.ask("presence", channel="session:s1")
        assert presence["count"] == 1


async def test_a_replica_that_drains_refuses_newcomers_with_4200(redis_url: str) -> None:
    async with serving(settings_for(redis_url)) as gateway:
        gateway.manager._parts.endpoint.is_open = False

        assert (await gateway.refusal(bearer=token(new_user())))[0] == 4200
        assert (await request(gateway.port, "/readyz"))[0] == 503


async def test_alive_and_ready_are_told_apart(gateway: Gateway) -> None:
    await until(lambda: gateway.manager.health_check()["status"] == "healthy", 10)

    alive, ready = await request(gateway.port, "/healthz"), await request(gateway.port, "/readyz")

    assert alive == (200, {"status": "alive"})
    assert ready == (
        200,
        {"status": "ready", "checks": {"redis": True, "hears_itself": True, "revocations": True, "open": True}},
    )
