"""The webhook is told of what was put down for it: signed, again if need be, and under one id."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import SecretStr
from redis.asyncio import Redis

from fairlead.errors import Unavailable
from fairlead.names import Names
from fairlead_gateway.access.service import Service
from fairlead_gateway.admin.receiver import Receiver, key_of, receiver
from fairlead_gateway.admin.webhook import ATTEMPTS, Webhook
from fairlead_gateway.facts.lane import Lane
from fairlead_gateway.settings import Settings
from tests.gateway.access.web import Web, response, serving
from tests.gateway.patience import until_asked

SECRET = "c29tZXRoaW5nIHRoYXQgbm9ib2R5IGtub3dz"
ALERT = {
    "id": "a-1",
    "rule": "replica_lost",
    "message": "replica r1 has died",
    "since": "2026-01-01T00:00:00.000Z",
    "until": None,
    "state": "firing",
}


@pytest.fixture
async def lane(redis: Redis) -> AsyncIterator[Lane]:
    lane = Lane(redis)
    yield lane
    await lane.aclose()


@pytest.fixture
async def web() -> AsyncIterator[Web]:
    async with serving() as web:
        web.answer = response(b"", "204 No Content")
        yield web


async def put_down(redis: Redis, names: Names, id: str = "a-1:firing", **changes: object) -> None:
    due, bodies = names.deliveries
    await redis.hset(bodies, id, json.dumps({**ALERT, **changes}))
    await redis.zadd(due, {id: 1})


def webhook(lane: Lane, names: Names, web: Web, secret: str = SECRET) -> Webhook:
    return Webhook(lane, names, Receiver(Service(web.url, "X", outside_only=True), secret))


def parts(request: bytes) -> tuple[dict[str, str], dict[str, Any]]:
    """Headers and JSON of a request."""
    head, _, body = request.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")[1:]
    return {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}, json.loads(body)


async def test_it_is_told_once_and_signed(redis: Redis, lane: Lane, names: Names, web: Web) -> None:
    await put_down(redis, names)
    hooks = [webhook(lane, names, web) for _ in range(3)]

    running = [asyncio.create_task(hook.run()) for hook in hooks]
    try:
        await until_asked(lambda: nothing_left(redis, names))
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    headers, body = parts(web.requests[0])
    raw = web.requests[0].partition(b"\r\n\r\n")[2]
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + raw
    expected = base64.b64encode(hmac.new(SECRET.encode(), signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert headers["webhook-id"] == "a-1:firing"
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 10
    assert body == {"type": "alert.firing", "timestamp": ALERT["since"], "data": ALERT}
    assert SECRET not in web.requests[0].decode()
    assert len(web.requests) == sum(hook.delivered for hook in hooks) == 1


async def nothing_left(redis: Redis, names: Names) -> bool:
    return not await redis.exists(*names.deliveries)


async def test_what_is_not_taken_is_posted_again_under_the_same_id(
    redis: Redis, lane: Lane, names: Names, web: Web
) -> None:
    await put_down(redis, names)
    web.answer = response(b"", "503 Service Unavailable")
    hook = webhook(lane, names, web)

    again = await hook.deliver("a-1:firing")
    assert again is None and len(web.requests) == ATTEMPTS, "it happened long ago, and is given up"

    now = (await redis.time())[0]
    await put_down(redis, names, since=time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(now)))
    again = await hook.deliver("a-1:firing")
    assert again is not None and 30 < again / 1000 - now < 90
    web.answer = response(b"{}")
    assert await hook.deliver("a-1:firing") is None

    assert {parts(request)[0]["webhook-id"] for request in web.requests} == {"a-1:firing"}
    assert (hook.delivered, hook.failed) == (1, 2)
    assert not await redis.exists(names.deliveries[1])


async def test_what_was_delivered_meanwhile_is_not_delivered_again(lane: Lane, names: Names, web: Web) -> None:
    assert await webhook(lane, names, web).deliver("a-1:firing") is None
    assert web.requests == []


@pytest.mark.parametrize(
    ("id", "body"),
    [
        ("a-1:firing\r\nHost: elsewhere", json.dumps(ALERT)),
        ("a-1:firing", "{"),
        ("a-1:firing", "[]"),
        ("a-1:firing", "{}"),
        ("a-1:firing", json.dumps({**ALERT, "since": "yesterday"})),
    ],
)
async def test_what_nobody_of_ours_put_down_is_not_told(
    redis: Redis, lane: Lane, names: Names, web: Web, id: str, body: str
) -> None:
    await redis.hset(names.deliveries[1], id, body)

    assert await webhook(lane, names, web).deliver(id) is None

    assert web.requests == []
    assert not await redis.exists(names.deliveries[1])


async def test_without_a_secret_there_is_no_signature(redis: Redis, lane: Lane, names: Names, web: Web) -> None:
    await put_down(redis, names)
    await webhook(lane, names, web, secret="").deliver("a-1:firing")

    headers, _ = parts(web.requests[0])
    assert "webhook-signature" not in headers and headers["webhook-id"] == "a-1:firing"


def test_a_secret_of_standard_webhooks_is_the_bytes_that_it_stands_for() -> None:
    assert key_of("whsec_" + base64.b64encode(b"key").decode()) == b"key"
    assert key_of("key") == b"key"
    with pytest.raises(ValueError, match="FAIRLEAD_ALERT_WEBHOOK_SECRET"):
        key_of("whsec_!")


# -- where it may be (T18) --------------------------------------------------------------------------


def settings(url: str, *hosts: str) -> Settings:
    return Settings(alert_webhook_url=SecretStr(url), alert_webhook_hosts=hosts)


def test_without_an_address_there_is_none() -> None:
    assert receiver(settings("")) is None


@pytest.mark.parametrize("url", ["http://hooks.example.com/", "ftp://x/", "nonsense", "https://user:pa55@x.example/"])
def test_an_address_that_may_not_be_asked_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ValueError, match="FAIRLEAD_ALERT_WEBHOOK_URL") as caught:
        receiver(settings(url))

    assert "pa55" not in str(caught.value) and "hooks.example" not in str(caught.value)


@pytest.mark.parametrize(
    "address", ["10.0.0.7", "192.168.1.1", "127.0.0.1", "169.254.169.254", "::ffff:10.0.0.7", "::1"]
)
async def test_a_name_that_comes_to_mean_an_inner_address_is_not_asked(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    resolve(monkeypatch, address, asked)
    hook = receiver(settings("https://hooks.example.com/x"))
    assert hook is not None

    with pytest.raises(Unavailable, match="PermissionError"):
        await hook.post("id", b"{}")

    assert asked == []


async def test_a_host_that_is_named_may_be_inside_but_hands_out_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    hook = receiver(settings("https://hooks.example.com/x", "hooks.example.com"))
    assert hook is not None
    for address in ("10.0.0.7", "169.254.169.254"):
        resolve(monkeypatch, address, asked)
        with pytest.raises(Unavailable):
            await hook.post("id", b"{}")

    assert asked == ["10.0.0.7"]


def resolve(monkeypatch: pytest.MonkeyPatch, address: str, asked: list[str]) -> None:
    """Let every name mean *address*; *asked* learns who is connected to, and nobody is."""

    async def getaddrinfo(*_: Any, **__: Any) -> list[Any]:
        return [(2, 1, 6, "", (address, 443))]

    async def open_connection(host: str, *_: Any, **__: Any) -> Any:
        asked.append(host)
        raise ConnectionRefusedError

    monkeypatch.setattr("asyncio.base_events.BaseEventLoop.getaddrinfo", getaddrinfo)
    monkeypatch.setattr("asyncio.open_connection", open_connection)
