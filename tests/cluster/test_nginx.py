"""Three replicas behind the Nginx configuration that we ship (DEP-1)."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

import fairlead
from tests.support.nginx import BINARY, Nginx
from tests.support.replica import Replica, replicas, token

pytestmark = pytest.mark.skipif(BINARY is None, reason="nginx is not installed")

SECONDS = 20.0
CLIENTS = 12


@pytest.fixture(scope="module")
def fleet_prefix() -> str:
    return f"t{uuid4().hex[:12]}"


@pytest.fixture(scope="module")
def fleet(redis_url: str, fleet_prefix: str) -> Iterator[list[Replica]]:
    with replicas(3, redis_url, fleet_prefix, max_connections_per_user=1000) as running:
        yield running


@pytest.fixture
def healthy(fleet: list[Replica]) -> list[Replica]:
    """The three, those started again that an earlier test has killed."""
    for replica in fleet:
        if not replica.is_ready():
            replica.restart()
    return fleet


@pytest.fixture
def nginx(healthy: list[Replica]) -> Iterator[Nginx]:
    with Nginx([replica.port for replica in healthy]) as running:
        yield running


class Client:
    """A client behind Nginx, and what it was greeted with."""

    def __init__(self, socket: ClientConnection, greeting: dict[str, Any]) -> None:
        self.socket = socket
        self.replica = str(greeting["replica"]).rpartition("-")[0] or greeting["replica"]

    async def next_of(self, kind: str) -> dict[str, Any]:
        """The next frame of this type; others are passed over."""
        async with asyncio.timeout(SECONDS):
            while True:
                frame: dict[str, Any] = json.loads(await self.socket.recv())
                if frame["type"] == kind:
                    return frame


async def enter(nginx: Nginx, user: str, path: str = "") -> Client:
    socket = await connect(
        nginx.url + path,
        additional_headers={"Authorization": f"Bearer {token(user)}"},
        proxy=None,
        open_timeout=SECONDS,
    )
    async with asyncio.timeout(SECONDS):
        return Client(socket, json.loads(await socket.recv()))


@asynccontextmanager
async def crowd(nginx: Nginx, count: int, path: str = "") -> AsyncIterator[list[Client]]:
    """Clients of users ``u0``, ``u1`` …, one after the other, so that each sees where the earlier ones are."""
    clients = [await enter(nginx, f"u{number}", path) for number in range(count)]
    try:
        yield clients
    finally:
        await asyncio.gather(*(client.socket.close() for client in clients))


async def ends(client: Client) -> None:
    """Return when the client's connection has ended."""
    async with asyncio.timeout(SECONDS):
        while True:
            try:
                await client.socket.recv()
            except ConnectionClosed:
                return


async def test_clients_spread_over_all_replicas(nginx: Nginx) -> None:
    async with crowd(nginx, CLIENTS) as clients:
        spread = Counter(client.replica for client in clients)

    assert set(spread) == {"r1", "r2", "r3"}
    assert max(spread.values()) - min(spread.values()) <= 2


async def test_a_message_of_a_backend_reaches_every_client_through_its_replica(
    nginx: Nginx, redis_url: str, fleet_prefix: str
) -> None:
    async with crowd(nginx, CLIENTS) as clients, fairlead.connect(redis_url, prefix=fleet_prefix) as backend:
        sent = await backend.broadcast({"type": "news", "content": "all"})
        await asyncio.gather(
            *(backend.send_to_user(f"u{number}", {"type": "mine", "content": number}) for number in range(CLIENTS))
        )
        news = await asyncio.gather(*(client.next_of("news") for client in clients))
        own = await asyncio.gather(*(client.next_of("mine") for client in clients))

    assert sent.receivers == 3
    assert {frame["id"] for frame in news} == {sent.id}
    assert [frame["content"] for frame in own] == list(range(CLIENTS))


async def test_what_a_client_says_reaches_those_of_other_replicas(nginx: Nginx) -> None:
    async with crowd(nginx, 6, "/chat/session/s1") as clients:
        speaker, others = clients[0], clients[1:]
        await speaker.socket.send(json.dumps({"action": "message", "session_id": "s1", "content": "hello", "id": "1"}))
        heard = await asyncio.gather(*(client.next_of("new_message") for client in others))

    assert {client.replica for client in others} == {"r1", "r2", "r3"}
    assert {(frame["from"], frame["content"]) for frame in heard} == {("user:u0", "hello")}


async def test_a_replica_killed_with_9_hurts_its_own_clients_only_and_newcomers_go_to_the_living(
    nginx: Nginx, healthy: list[Replica], redis_url: str, fleet_prefix: str
) -> None:
    async with crowd(nginx, CLIENTS) as clients:
        victim = healthy[1]
        lost = [client for client in clients if client.replica == victim.name]
        kept = [client for client in clients if client.replica != victim.name]

        victim.kill()
        await asyncio.gather(*(ends(client) for client in lost))
        newcomers = [await enter(nginx, f"new{number}") for number in range(6)]
        async with fairlead.connect(redis_url, prefix=fleet_prefix) as backend:
            await backend.broadcast({"type": "still here?"})
        await asyncio.gather(*(client.next_of("still here?") for client in [*kept, *newcomers]))
        await asyncio.gather(*(client.socket.close() for client in newcomers))

    assert lost and kept
    assert {client.replica for client in newcomers} == {"r1", "r3"}


async def test_a_replica_that_comes_back_gets_clients_again(nginx: Nginx, healthy: list[Replica]) -> None:
    healthy[2].restart()

    async with asyncio.timeout(SECONDS):
        while True:
            async with crowd(nginx, 3) as clients:
                if healthy[2].name in {client.replica for client in clients}:
                    break


async def test_clients_survive_a_reload_of_nginx(nginx: Nginx, redis_url: str, fleet_prefix: str) -> None:
    async with crowd(nginx, 6) as clients, fairlead.connect(redis_url, prefix=fleet_prefix) as backend:
        nginx.reload()
        newcomer = await enter(nginx, "newcomer")
        await backend.broadcast({"type": "after the reload"})
        await asyncio.gather(*(client.next_of("after the reload") for client in [*clients, newcomer]))
        await newcomer.socket.close()


async def test_the_gateway_sees_the_address_of_the_client_and_not_what_the_client_claims(
    nginx: Nginx, healthy: list[Replica]
) -> None:
    headers = {"Authorization": f"Bearer {token('spoof')}", "X-Forwarded-For": "6.6.6.6", "Forwarded": "for=6.6.6.6"}

    async with connect(nginx.url, additional_headers=headers, proxy=None) as socket:
        await asyncio.wait_for(socket.recv(), SECONDS)

    logs = "".join(replica.log for replica in healthy)
    assert '"user_id":"spoof"' in logs
    assert "6.6.6.6" not in logs


async def test_a_token_in_the_address_reaches_no_log(nginx: Nginx, healthy: list[Replica]) -> None:
    canary = token("canary")

    async with connect(f"{nginx.url}?token={canary}", proxy=None) as socket:
        with pytest.raises(ConnectionClosed):
            await asyncio.wait_for(socket.recv(), SECONDS)

    logs = nginx.access_log + "".join(replica.log for replica in healthy)
    assert '"GET /ws"' in nginx.access_log
    assert canary not in logs and canary.rpartition(".")[2] not in logs


def get(url: str, headers: dict[str, str] | None = None) -> int:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers or {}), timeout=SECONDS) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


OPERATORS = (
    *(
        "/metrics",
        "/openapi.json",
        "/asyncapi.json",
        "/docs",
        "/docs/x",
        "/dashboard",
        "/static/dashboard/app.js",
        "/ws/admin/monitor",
    ),
    *("/api/v1/websocket/stats", "/api/v1/websocket/health", "/api/v1/websocket/ticketsx", "/api/v2"),
)
"""What replicas of this test serve on their one listener, or might."""


def test_requests_of_clients_are_passed_on_and_those_of_operators_are_not(nginx: Nginx) -> None:
    assert get(f"{nginx.http}/healthz") == 200
    assert get(f"{nginx.http}/api/v1/websocket/tickets") == 405
    assert {path: get(nginx.http + path) for path in OPERATORS} == dict.fromkeys(OPERATORS, 404)


def test_operators_come_in_where_only_this_machine_does(nginx: Nginx) -> None:
    assert get(f"{nginx.admin_http}/openapi.json") == 200
    assert get(f"{nginx.admin_http}/api/v1/websocket/stats") == 401
    bearer = {"Authorization": f"Bearer {token('42', role='viewer')}"}
    assert get(f"{nginx.admin_http}/api/v1/websocket/stats", bearer) == 200


def test_an_upgrade_to_anything_but_websocket_is_not_passed_on(nginx: Nginx) -> None:
    assert get(f"{nginx.http}/healthz", {"Connection": "Upgrade", "Upgrade": "h2c"}) == 200


async def test_a_client_with_too_many_upgrades_at_once_is_told_to_wait(nginx: Nginx) -> None:
    async def attempt(number: int) -> int:
        try:
            client = await enter(nginx, f"flood{number}")
        except InvalidStatus as refusal:
            return int(refusal.response.status_code)
        await client.socket.close()
        return 101

    answers = Counter(await asyncio.gather(*(attempt(number) for number in range(260))))

    assert set(answers) == {101, 429}
    assert answers[101] >= 100
