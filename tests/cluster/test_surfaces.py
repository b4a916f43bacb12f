"""What answers where: a look at every path through both listeners, from the tables that they are made of (T16)."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

import pytest
from pydantic import SecretStr
from starlette.routing import BaseRoute, Route
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin

from fairlead_gateway import Settings, WebSocketManager
from fairlead_gateway.edge.application import OPERATORS, PATHS
from fairlead_gateway.rest.pages import client_routes
from fairlead_gateway.rest.route import PREFIX, Row
from fairlead_gateway.rest.table import ROWS
from tests.support.processes import children_of, ended
from tests.support.redis import free_port
from tests.support.replica import SECRET, Replica, environment, token, wait_until

SECONDS = 15.0

HEALTH: Final = ("/healthz", "/readyz")
"""Open to whoever asks, everywhere."""

KNOWN: Final = ("/openapi.json", "/asyncapi.json", "/metrics", "/docs", "/dashboard")
"""Of operators, beside the table of routes."""


def pages() -> set[str]:
    """The same, as far as there are any, of whatever name."""
    routes = WebSocketManager(Settings(jwt_secret=SecretStr(SECRET))).admin_app.routes
    return {path for path in paths_of(routes) if not path.startswith(PREFIX)} - {*HEALTH, *paths_of(client_routes())}


def paths_of(routes: Iterable[BaseRoute]) -> set[str]:
    return {route.path for route in routes if isinstance(route, Route)}


class Listener(NamedTuple):
    """One of a replica, and what should be there."""

    port: int
    shows_all: bool


WHERE: Final[Mapping[str, tuple[Mapping[str, object], Mapping[str, bool]]]] = {
    "loopback, one listener": ({}, {"public": True}),
    "loopback, two listeners": ({"admin_port": 1}, {"public": False, "admin": True}),
    "public, one listener": ({"host": "0.0.0.0"}, {"public": False}),
    "public, two listeners": ({"host": "0.0.0.0", "admin_port": 1}, {"public": False, "admin": True}),
    "public, waived": ({"host": "0.0.0.0", "insecure": "public_admin"}, {"public": True}),
    "public, waived, two listeners": (
        {"host": "0.0.0.0", "admin_port": 1, "insecure": "public_admin"},
        {"public": False, "admin": True},
    ),
}
"""Settings, and whether everything is shown on each listener that they make."""


@pytest.fixture(scope="module", params=WHERE)
def listeners(request: pytest.FixtureRequest, redis_url: str) -> Iterator[list[Listener]]:
    settings, shows = WHERE[request.param]
    chosen = dict(settings)
    if "admin_port" in chosen:
        chosen["admin_port"] = free_port()
    with Replica(redis_url, f"s{os.urandom(6).hex()}", **chosen) as replica:  # type: ignore[arg-type]
        ports = {"public": replica.port, "admin": replica.admin_port}
        assert "admin" in shows or not chosen.get("admin_port")
        yield [Listener(ports[name], shows_all) for name, shows_all in shows.items()]


def asked(port: int, path: str, method: str = "GET") -> int:
    """The status of a request without a token."""
    body = b"" if method in ("POST", "PUT") else None
    headers = {"content-type": "application/json"} if body is not None else {}
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method=method, data=body, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def filled(path: str) -> str:
    """A path with a value for each parameter."""
    return re.sub(r"{\w+}", "x", path)


def is_there(row: Row, listener: Listener) -> bool:
    return listener.shows_all or row.is_public


def test_every_route_is_where_it_belongs_and_takes_a_token_there(listeners: list[Listener]) -> None:
    for listener in listeners:
        shown = {row.path for row in ROWS if is_there(row, listener)}
        for row in ROWS:
            status = asked(listener.port, PREFIX + filled(row.path), row.method)
            # Of a path that clients use in another way they learn no more than that this one is none of them.
            expected = 401 if is_there(row, listener) else 405 if row.path in shown else 404
            assert status == expected, f"{row.method} {row.path} on {listener}"


def test_pages_and_figures_are_with_the_operators_only(listeners: list[Listener]) -> None:
    for listener in listeners:
        for path in (*HEALTH, *paths_of(client_routes())):
            assert asked(listener.port, path) == 200
        answers = {path: asked(listener.port, path) for path in (pages() if listener.shows_all else {*pages(), *KNOWN})}
        assert answers == dict.fromkeys(answers, 200 if listener.shows_all else 404) and "/openapi.json" in answers


async def test_sockets_are_where_they_belong(listeners: list[Listener]) -> None:
    for listener in listeners:
        for path in PATHS:
            is_let_in = await upgrades(listener.port, filled(path))
            assert is_let_in is (listener.shows_all or path not in OPERATORS), f"{path} on {listener}"


async def test_a_page_of_operators_may_connect_where_it_was_served_though_others_are_named(
    redis_url: str, prefix: str
) -> None:
    named = {"allowed_origins": "https://app.example.com", "admin_port": free_port()}
    with Replica(redis_url, prefix, **named) as replica:  # type: ignore[arg-type]
        codes = {}
        for port in (replica.admin_port, replica.port):
            bearer, own = {"Authorization": f"Bearer {token('42')}"}, Origin(f"http://127.0.0.1:{port}")
            async with connect(
                f"ws://127.0.0.1:{port}/ws", additional_headers=bearer, origin=own, proxy=None
            ) as socket:
                await asyncio.wait_for(socket.recv(), SECONDS) if port == replica.admin_port else None
                await socket.close()
                codes[port] = socket.close_code

    assert codes == {replica.admin_port: 1000, replica.port: 4403}


async def upgrades(port: int, path: str) -> bool:
    """Whether a WebSocket is accepted there."""
    try:
        async with connect(f"ws://127.0.0.1:{port}{path}", proxy=None):
            return True
    except InvalidStatus as refused:
        assert refused.response.status_code in (403, 404)
        return False


@pytest.mark.parametrize(
    ("settings", "rule"),
    [
        ({"host": "0.0.0.0"}, "no_admin"),
        ({"host": "0.0.0.0", "insecure": "public_admin"}, "public_admin"),
        ({"admin_host": "0.0.0.0", "admin_port": 1}, "admin_host"),
    ],
)
def test_what_is_unusual_about_it_is_said_once_with_what_to_set(
    redis_url: str, prefix: str, settings: dict[str, object], rule: str
) -> None:
    chosen = settings | ({"admin_port": free_port()} if "admin_port" in settings else {})
    with Replica(redis_url, prefix, **chosen) as replica:  # type: ignore[arg-type]
        wait_until(lambda: said(replica), SECONDS, "something is said about it")
        replica.stop()
        (advice,) = said(replica)

    assert advice["rule"] == rule and "FAIRLEAD_ADMIN" in str(advice["advice"])


def said(replica: Replica) -> list[dict[str, object]]:
    """What it found worth a word in its settings."""
    return [event for event in replica.events() if event["event"] == "settings"]


# -- the listener of operators and the end of a replica --------------------------------------------------------------


async def test_operators_can_look_while_a_replica_drains_until_it_has_ended(redis_url: str, prefix: str) -> None:
    with Replica(redis_url, prefix, admin_port=free_port(), drain_seconds=2) as replica:
        bearer = {"Authorization": f"Bearer {token('42')}"}
        async with connect(replica.url, additional_headers=bearer, proxy=None) as socket:
            await asyncio.wait_for(socket.recv(), SECONDS)
            os.kill(replica.pid, signal.SIGTERM)

            await asyncio.to_thread(wait_until, lambda: not accepts(replica.port), SECONDS, "the door is shut")
            alive = await asyncio.to_thread(asked, replica.admin_port, "/healthz")
            ready = await asyncio.to_thread(asked, replica.admin_port, "/readyz")
        assert replica.process is not None
        assert await asyncio.to_thread(replica.process.wait, SECONDS) == 0

    assert (alive, ready) == (200, 503)
    assert not accepts(replica.admin_port)


def test_a_port_of_operators_that_is_taken_is_told_in_one_line(redis_url: str, prefix: str) -> None:
    with Replica(redis_url, prefix, admin_port=free_port()) as first:
        second = Replica(redis_url, prefix, admin_port=first.admin_port)
        second.launch()
        try:
            assert second.process is not None and second.process.wait(timeout=SECONDS) != 0
            assert "FAIRLEAD_ADMIN_PORT" in second.log and "Traceback" not in second.log
        finally:
            second.close()


def accepts(port: int) -> bool:
    try:
        asked(port, "/healthz")
    except OSError:
        return False
    return True


@pytest.fixture
def workers(redis_url: str, prefix: str, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], int, int]]:
    """``fairlead serve --workers 2``, the port of clients, and the first one of operators."""
    port, admin_port = free_port(), free_pair()
    env = environment(redis_url=redis_url, prefix=prefix, jwt_secret=SECRET, admin_port=admin_port, log_format="json")
    env |= {"FAIRLEAD_DRAIN_LINGER_SECONDS": "0", "FAIRLEAD_DRAIN_SECONDS": "0.5"}
    log = tmp_path / "log"
    process = subprocess.Popen(
        [sys.executable, "-m", "fairlead_gateway", "serve", "--port", str(port), "--workers", "2"],
        env=env,
        stdout=log.open("wb"),
        stderr=subprocess.STDOUT,
        process_group=0,
    )
    try:
        wait_until(lambda: log.read_text().count("listening to operators") >= 2, 60, "both listen to operators")
        yield process, port, admin_port
    finally:
        for pid in (*children_of(process.pid), process.pid):
            if not ended(pid):
                os.kill(pid, signal.SIGKILL)
        process.wait(timeout=SECONDS)


def free_pair() -> int:
    """A free port whose successor is free as well."""
    while True:
        port = free_port()
        if not accepts(port + 1):
            return port


def test_each_worker_has_a_port_of_operators_which_never_closes_while_workers_are_replaced(
    workers: tuple[subprocess.Popen[bytes], int, int], tmp_path: Path
) -> None:
    process, port, admin_port = workers
    log = tmp_path / "log"

    assert [asked(at, "/openapi.json") for at in (admin_port, admin_port + 1, port)] == [200, 200, 404]
    process.send_signal(signal.SIGHUP)
    answers = []
    wait_until(
        lambda: (
            answers.extend(asked(at, "/healthz") for at in (admin_port, admin_port + 1))
            or '"event":"rolled"' in log.read_text()
        ),
        60,
        "all workers are replaced",
    )
    process.terminate()

    assert process.wait(timeout=SECONDS) == 0
    assert set(answers) == {200} and len(answers) > 10
    assert not accepts(admin_port) and not accepts(admin_port + 1)
