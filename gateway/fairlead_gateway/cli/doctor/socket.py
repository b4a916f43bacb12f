"""A WebSocket through the address that clients use: handshake, greeting, an action, a message through Redis."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from fairlead.errors import FairleadError
from fairlead_gateway.cli.doctor.faults import of_close
from fairlead_gateway.cli.doctor.finding import Finding, advice, good, skipped, wrong
from fairlead_gateway.cli.doctor.handshake import Refused, Target, greeted, of_address, of_subprotocol

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

    from fairlead_gateway.settings import Settings

TRIES: Final = 6
"""Connections opened to see on which replicas they land."""

USUAL_SECONDS: Final = 60.0
"""After which many proxies cut what is silent."""

USER: Final = "fairlead-doctor"
"""Whom the tokens are for that are made here."""


async def socket_findings(target: Target, settings: Settings | None, alive: frozenset[str] | None) -> list[Finding]:
    """
    All about `Target.url`.

    :param settings: with which to send a message through Redis; None where it cannot be used.
    :param alive: replicas that Redis knows; None where nobody could ask.
    """
    found = list(of_address(target))
    if not target.token:
        return [*found, skipped("handshake", "no token: set FAIRLEAD_JWT_SECRET, or say --token")]
    async with AsyncExitStack() as stack:
        try:
            socket, greeting, ms = await greeted(target, stack)
        except Refused as refused:
            return [*found, refused.finding]
        replica = str(greeting.get("replica", "?"))
        facts = {"url": target.name, "replica": replica, "ms": round(ms, 2), "user": greeting.get("user_id")}
        found.append(good("handshake", f"{target.name}: greeted by {replica} after {ms:.0f} ms", **facts))
        found.append(of_subprotocol(socket))
        found += await _timed("action", target, _action(socket))
        found += _known(replica, alive)
        found += await _timed("message", target, _message(socket, greeting, target, settings))
        found += _heartbeat(greeting)
        if target.idle:
            found += await _idle(socket, target)
    found += await _spread(target, alive)
    return found


def http_of(url: str) -> str:
    """Where HTTP is answered at the address of a WebSocket."""
    parts = urlsplit(url)
    return f"{'https' if parts.scheme == 'wss' else 'http'}://{parts.netloc}"


async def _timed(check: str, target: Target, work: Any) -> list[Finding]:
    from websockets.exceptions import ConnectionClosed

    try:
        async with asyncio.timeout(target.seconds):
            found: list[Finding] = await work
            return found
    except TimeoutError:
        todo = "does the gateway use the same Redis and prefix as this shell? Is there a proxy that buffers?"
        return [wrong(check, f"nothing came back within {target.seconds:g} s", todo)]
    except ConnectionClosed as end:
        code, reason = (end.rcvd.code, end.rcvd.reason) if end.rcvd else (1006, "")
        return [wrong(check, *of_close(code, reason))]


async def _action(socket: ClientConnection) -> list[Finding]:
    began = time.perf_counter()
    await socket.send(json.dumps({"action": "ping", "id": "doctor"}))
    await _until(socket, lambda frame: frame.get("ref") == "doctor")
    ms = (time.perf_counter() - began) * 1000
    return [good("action", f"an action is answered after {ms:.1f} ms", ms=round(ms, 2))]


async def _message(
    socket: ClientConnection, greeting: Mapping[str, Any], target: Target, settings: Settings | None
) -> list[Finding]:
    """A message by a backend to the user, through Redis, and out of the socket."""
    import fairlead

    if settings is None:
        return [skipped("message", "Redis cannot be used from here")]
    to = f"user:{greeting['user_id']}" if target.is_ours else f"connection:{greeting['connection_id']}"
    try:
        async with fairlead.connect(settings.redis_url.get_secret_value(), prefix=settings.prefix, name="doctor") as fl:
            began = time.perf_counter()
            sent = await fl.send(to, {"type": "fairlead_doctor"})
            await _until(socket, lambda frame: frame.get("id") == sent.id)
    except FairleadError as error:
        return [wrong("message", f"it could not be sent: {error.message}", "see what was found of Redis")]
    ms = (time.perf_counter() - began) * 1000
    return [good("message", f"a message to {to} came through Redis after {ms:.1f} ms", to=to, ms=round(ms, 2))]


async def _until(socket: ClientConnection, accepts: Any) -> None:
    while not accepts(json.loads(await socket.recv())):
        pass


def _known(replica: str, alive: frozenset[str] | None) -> list[Finding]:
    if alive is None or replica in alive:
        return []
    todo = "give the gateway, and this shell, the same FAIRLEAD_REDIS_URL and FAIRLEAD_PREFIX"
    return [wrong("fleet", f"{replica} is not among the replicas in this Redis", todo, alive=sorted(alive))]


def _heartbeat(greeting: Mapping[str, Any]) -> list[Finding]:
    interval = float(greeting["heartbeat"]["interval"])
    facts = {"interval": interval, "timeout": greeting["heartbeat"]["timeout"]}
    if interval >= USUAL_SECONDS:
        todo = (
            "lower FAIRLEAD_HEARTBEAT_INTERVAL_SECONDS to 25 or 30, or raise the idle time-out of each proxy; "
            f"try it with --idle {interval + 10:g}"
        )
        return [advice("idle", f"a ping every {interval:g} s: proxies that cut after 60 s will", todo, **facts)]
    text = f"a ping every {interval:g} s; a proxy must let a connection be silent for longer (proxy_read_timeout)"
    return [good("idle", text, **facts)]


async def _idle(socket: ClientConnection, target: Target) -> list[Finding]:
    from websockets.exceptions import ConnectionClosed

    try:
        async with asyncio.timeout(target.idle):
            while True:
                await socket.recv()
    except TimeoutError:
        return [good("silence", f"the connection is still there after {target.idle:g} s of silence")]
    except ConnectionClosed as end:
        code, reason = (end.rcvd.code, end.rcvd.reason) if end.rcvd else (1006, "")
        if code != 1006:
            return [wrong("silence", *of_close(code, reason))]
        todo = "raise its idle time-out (Nginx: proxy_read_timeout 75s), or lower FAIRLEAD_HEARTBEAT_INTERVAL_SECONDS"
        return [wrong("silence", "something on the way cut the silent connection", todo)]


async def _spread(target: Target, alive: frozenset[str] | None) -> list[Finding]:
    """On which replicas connections land, where there are several."""
    if alive is None or len(alive) < 2 or not target.is_public:
        return []
    landed: set[str] = set()
    for _ in range(TRIES):
        async with AsyncExitStack() as stack:
            try:
                _, greeting, _ = await greeted(target, stack)
            except Refused as refused:
                return [refused.finding._replace(check="spread")]
            landed.add(str(greeting.get("replica", "?")))
    text = f"{TRIES} connections landed on {len(landed)} of {len(alive)} replicas"
    facts = {"replicas": sorted(landed), "alive": len(alive)}
    if len(landed) == 1:
        todo = "so it is with the address of one replica; behind a proxy, are all of them in its upstream?"
        return [advice("spread", text, todo, **facts)]
    return [good("spread", text, **facts)]
