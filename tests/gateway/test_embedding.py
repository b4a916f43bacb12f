"""A replica inside somebody else's FastAPI application, on our WebSocket protocol and on uvicorn's own."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect as Disconnected

from fairlead.errors import InvalidMessage
from fairlead_gateway import Settings, WebSocketManager
from fairlead_gateway.edge.protocol import protocol_class
from fairlead_gateway.pool.formats import MSGPACK_SUBPROTOCOL
from fairlead_gateway.wire.limits import WireLimits
from tests.gateway.patience import until
from tests.gateway.running import Gateway, new_user, request, serving_app, settings_for
from tests.support.replica import token

CARRIERS: dict[str, str | type[asyncio.Protocol]] = {
    "ours": protocol_class(WireLimits()),
    "websockets-sansio": "websockets-sansio",
    "wsproto": "wsproto",
}


def application(manager: WebSocketManager) -> FastAPI:
    """As the documents show it: routes of its own, and the replica mounted below them."""
    app = FastAPI(lifespan=manager.lifespan)

    @app.websocket("/instances/{name}")
    async def own_loop(websocket: WebSocket, name: str) -> None:
        await manager.connect(websocket, name)
        try:
            while True:
                await websocket.send_text(f"you said {await websocket.receive_text()}")
        except WebSocketDisconnect:
            manager.disconnect(websocket, name)

    @app.websocket("/known/{user}")
    async def known(websocket: WebSocket, user: str) -> None:
        try:
            connection_id = await manager.connect(websocket, user_id=user, session_id="s1", metadata={"name": "Ann"})
        except RuntimeError:
            return
        try:
            assert connection_id
            while True:
                await manager.handle_message(websocket, await websocket.receive_text())
        except WebSocketDisconnect:
            manager.disconnect(websocket)

    @app.websocket("/handed-over/{session}")
    async def handed_over(websocket: WebSocket, session: str) -> None:
        await manager.serve(websocket, session_id=session)

    @app.post("/orders/{user}")
    async def order(user: str) -> dict[str, object]:
        sent = await manager.send_to_user(user, {"type": "order_placed"})
        return {"receivers": sent.receivers}

    app.mount("/", manager.app)
    return app


@asynccontextmanager
async def embedded(carrier: str, settings: Settings) -> AsyncIterator[Gateway]:
    manager = WebSocketManager(settings)
    async with serving_app(application(manager), manager, CARRIERS[carrier]) as gateway:
        yield gateway


@pytest.fixture(params=list(CARRIERS))
def carrier(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def gateway(carrier: str, redis_url: str) -> AsyncIterator[Gateway]:
    async with embedded(carrier, settings_for(redis_url)) as gateway:
        yield gateway


async def test_clients_of_the_mounted_replica_speak_the_whole_protocol(gateway: Gateway) -> None:
    gateway.manager.register_handler("add", lambda message, context: message["a"] + message["b"])
    client = await gateway.connect("42", "/ws/chat/session/s1")
    packed = await gateway.connect("43", "/ws/chat/session/s1", subprotocols=[MSGPACK_SUBPROTOCOL])

    added = await client.ask("add", a=1, b=2)
    said = await packed.ask("message", content="hello")
    order = await asyncio.to_thread(post, gateway.port, "/orders/42")

    assert added["result"] == 3
    assert (await client.hear("new_message"))["id"] == said["message_id"]
    assert order == {"receivers": 1}
    assert (await client.hear("order_placed"))["channel"] == "user:42"


def post(port: int, path: str) -> object:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", data=b"", timeout=5) as answer:
        return json.load(answer)


async def test_a_loop_of_the_applications_own_reads_while_the_manager_writes(gateway: Gateway) -> None:
    client = await gateway.open("/instances/counter")
    greeting, snapshot = await client.next(), await client.next()

    await client.socket.send("hello")
    echoed = await client.socket.recv()
    reached = await gateway.manager.send_patch("counter", {"state.params.count": 42}, patch_id=1)
    patch = await client.hear("patch")
    counted = gateway.manager.get_connection_count("counter"), gateway.manager.get_total_connections()
    await client.leave()
    await until(lambda: gateway.manager.get_connection_count("counter") == 0)

    assert (greeting["type"], greeting["instance"]) == ("connection_established", "counter")
    assert (snapshot["type"], snapshot["instance"]) == ("snapshot", "counter")
    assert echoed == "you said hello"
    assert reached is True
    assert (patch["patch"], patch["patch_id"]) == ({"state.params.count": 42}, 1)
    assert counted == (1, 1)
    assert gateway.manager.get_total_connections() == 0


async def test_whom_the_application_vouches_for_is_that_user_and_may_speak_the_protocol(gateway: Gateway) -> None:
    user = new_user()
    client = await gateway.open(f"/known/{user}")
    greeting = await client.next()
    await client.hear("session_joined")

    await gateway.manager.send_to_user(user, {"type": "direct"})
    said = await client.ask("message", content="to the session")
    pong = await client.ask("ping")
    (info,) = gateway.manager.connections()

    assert (greeting["user_id"], greeting["session_id"]) == (user, "s1")
    assert (await client.hear("direct"))["channel"] == f"user:{user}"
    assert (said["channel"], pong["type"]) == ("session:s1", "pong")
    assert info.metadata == {"role": "", "name": "Ann"}
    assert gateway.told("user_connected", user_id=user)


async def test_a_socket_handed_over_is_served_until_it_ends(gateway: Gateway) -> None:
    refused = await gateway.open("/handed-over/s1", bearer="nonsense")
    client = await gateway.connect(path="/handed-over/s1")

    assert client.greeting["session_id"] == "s1"
    assert (await client.ask("message", content="x"))["ok"] is True
    assert (await refused.closed())[0] == 4403


async def test_one_connection_too_many_is_closed_with_its_code_and_told_to_the_application(gateway: Gateway) -> None:
    user = new_user()
    clients = [await gateway.open(f"/known/{user}") for _ in range(5)]
    for client in clients:
        await client.next()

    late = await gateway.open(f"/known/{user}")

    assert (await late.closed())[0] == 4429
    assert gateway.manager.get_total_connections() == 5


@pytest.mark.parametrize("path", ["/instances/no%20such%20name", "/known/no%20id"])
async def test_a_name_that_is_no_id_is_closed_with_4000_and_told_to_the_application(
    gateway: Gateway, path: str
) -> None:
    assert (await gateway.refusal(path))[0] == 4000

    assert gateway.manager.get_total_connections() == 0


async def test_a_quiet_guest_is_not_taken_for_dead_while_its_socket_lives(redis_url: str) -> None:
    async def stays(carrier: str) -> bool:
        settings = settings_for(redis_url, heartbeat_interval_seconds=0.5, heartbeat_timeout_seconds=1.5)
        async with embedded(carrier, settings) as gateway:
            client = await gateway.open("/instances/quiet")
            await client.next()
            try:
                async with asyncio.timeout(3.2):
                    await client.closed(10)
            except TimeoutError:
                return gateway.manager.get_connection_count("quiet") == 1
            return False

    assert await asyncio.gather(*(stays(carrier) for carrier in CARRIERS)) == [True] * len(CARRIERS)


async def test_a_guest_that_is_closed_from_here_reads_the_code(carrier: str, redis_url: str) -> None:
    async with embedded(carrier, settings_for(redis_url, user_limit_policy="single")) as gateway:
        user = new_user()
        first = await gateway.open(f"/known/{user}")
        await first.next()

        second = await gateway.open(f"/known/{user}")
        await second.next()

        assert (await first.closed())[0] == 4009
        assert (await second.ask("ping"))["type"] == "pong"


async def test_guests_move_as_the_replica_drains_and_no_more_are_let_in(carrier: str, redis_url: str) -> None:
    async with embedded(carrier, settings_for(redis_url, drain_seconds=0.2)) as gateway:
        guest = await gateway.open(f"/known/{new_user()}")
        await guest.next()
        drain = asyncio.create_task(gateway.manager.drain())
        await asyncio.sleep(0)

        late = await gateway.open(f"/known/{new_user()}")

        assert [(await one.closed())[0] for one in (guest, late)] == [4200, 4200]
        assert late.unheard == []
        await drain


async def test_stopping_the_application_closes_guests_and_ends_in_time(carrier: str, redis_url: str) -> None:
    async with embedded(carrier, settings_for(redis_url)) as gateway:
        guest, client = await gateway.open("/instances/demo"), await gateway.connect()
        await guest.next()
        gateway.clients.clear()
        began = asyncio.get_running_loop().time()
    took = asyncio.get_running_loop().time() - began

    assert (await client.closed())[0] == 1012
    assert (await guest.closed())[0] in (1001, 1012)
    assert took < 5


# -- Starlette's test client ------------------------------------------------------------------------------


def test_starlettes_test_client_can_be_used_again_and_again(redis_url: str) -> None:
    app = application(WebSocketManager(settings_for(redis_url)))

    for _ in range(2):
        with TestClient(app) as client:
            headers = {"Authorization": f"Bearer {token('42')}"}
            with client.websocket_connect("/ws", headers=headers) as socket:
                assert socket.receive_json()["user_id"] == "42"
                socket.send_json({"action": "ping", "id": "q1"})
                assert socket.receive_json()["ref"] == "q1"
                assert client.post("/orders/42").json() == {"receivers": 1}
                assert socket.receive_json()["type"] == "order_placed"
            with client.websocket_connect("/instances/demo") as socket:
                assert socket.receive_json()["instance"] == "demo"
                assert socket.receive_json()["type"] == "snapshot"
                socket.send_text("hi")
                assert socket.receive_text() == "you said hi"
            with client.websocket_connect("/ws") as socket:
                socket.send_json({"action": "connect", "token": "nonsense"})
                with pytest.raises(Disconnected) as refused:
                    socket.receive_json()
                assert refused.value.code == 4403
            assert client.get("/healthz").json() == {"status": "alive"}


def test_without_a_socket_the_manager_refuses_what_is_no_id() -> None:
    with pytest.raises(InvalidMessage):
        WebSocketManager(Settings()).send_to_user("no id", {"type": "x"}).close()


# -- what is for operators ----------------------------------------------------------------------------


@pytest.mark.parametrize(("host", "status"), [("127.0.0.1", 200), ("0.0.0.0", 404)])
async def test_operators_find_what_is_theirs_where_the_application_lets_them(
    redis_url: str, host: str, status: int
) -> None:
    manager = WebSocketManager(settings_for(redis_url, host=host))
    app = FastAPI(lifespan=manager.lifespan, openapi_url=None)
    app.mount("/operators", manager.admin_app)
    app.mount("/", manager.app)

    async with serving_app(app, manager, CARRIERS["ours"]) as gateway:
        answers = {
            path: (await request(gateway.port, path))[0]
            for path in ("/openapi.json", "/operators/openapi.json", "/operators/api/v1/websocket/stats", "/healthz")
        }
        client = await gateway.connect(path="/operators/ws")
        assert client.greeting["replica"] == manager.replica_id

    assert answers == {
        "/openapi.json": status,
        "/operators/openapi.json": 200,
        "/operators/api/v1/websocket/stats": 401,
        "/healthz": 200,
    }
