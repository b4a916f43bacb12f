"""The handshake: a connection opened as a browser opens it, up to its greeting, or why there is none."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import parse_qs, urlsplit

from fairlead_gateway.cli.doctor.faults import Fault, of_close, of_error, of_status
from fairlead_gateway.cli.doctor.finding import Finding, advice, good, wrong
from fairlead_gateway.edge.credentials import JSON_SUBPROTOCOL
from fairlead_gateway.preflight import is_loopback

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

MAX_FRAME_BYTES: Final = 16 * 1024 * 1024


class Target(NamedTuple):
    """What is looked at, and how."""

    url: str
    token: str
    """Empty where none was given, and none can be made."""
    is_ours: bool
    """Whether the token was made here, for nobody whom a message could disturb."""
    origin: str
    seconds: float
    idle: float
    """Seconds to be silent for."""
    is_public: bool
    """Whether several replicas may be behind it."""

    @property
    def name(self) -> str:
        """The address without what may be secret in it."""
        return self.url.partition("?")[0]


class Refused(Exception):
    """A connection that was not greeted."""

    def __init__(self, check: str, fault: Fault) -> None:
        super().__init__(fault.text)
        self.finding = wrong(check, fault.text, fault.todo)


async def greeted(target: Target, stack: AsyncExitStack) -> tuple[ClientConnection, Mapping[str, Any], float]:
    """A connection that was let in, its greeting, and milliseconds that it took; as a browser opens it."""
    from websockets.exceptions import ConnectionClosed

    began = time.perf_counter()
    socket = await _opened(target)
    stack.push_async_callback(socket.close)
    try:
        async with asyncio.timeout(target.seconds):
            greeting = json.loads(await socket.recv())
    except TimeoutError:
        raise Refused(
            "greeting",
            Fault(
                f"the handshake went through, and then nothing came for {target.seconds:g} s",
                "something on the way buffers: switch that off (Nginx: proxy_buffering off); or see the gateway's log",
            ),
        ) from None
    except ConnectionClosed as end:
        code, reason = (end.rcvd.code, end.rcvd.reason) if end.rcvd else (1006, "")
        raise Refused("greeting", of_close(code, reason)) from None
    except ValueError:
        raise Refused("greeting", _no_gateway()) from None
    if not isinstance(greeting, dict) or greeting.get("type") != "connection_established":
        raise Refused("greeting", _no_gateway())
    return socket, greeting, (time.perf_counter() - began) * 1000


async def _opened(target: Target) -> ClientConnection:
    from websockets.asyncio.client import connect
    from websockets.exceptions import InvalidHandshake, InvalidStatus, InvalidURI, WebSocketException
    from websockets.typing import Origin, Subprotocol

    try:
        return await connect(
            target.url,
            subprotocols=[Subprotocol(JSON_SUBPROTOCOL), Subprotocol(f"bearer.{target.token}")],
            origin=Origin(target.origin) if target.origin else None,
            open_timeout=target.seconds,
            close_timeout=1.0,
            ping_interval=None,
            max_size=MAX_FRAME_BYTES,
            proxy=None if is_loopback(urlsplit(target.url).hostname or "") else True,
        )
    except InvalidStatus as error:
        answer = error.response
        headers = {name.lower(): value for name, value in answer.headers.raw_items()}
        body = bytes(answer.body or b"")[:2000].decode(errors="replace")
        fault = of_status(answer.status_code, headers, body)
    except InvalidURI:
        fault = Fault(f"{target.name} is no WebSocket address", "say ws://host:port/ws or wss://host/ws")
    except InvalidHandshake as error:
        cause = error.__cause__ if isinstance(error.__cause__, (EOFError, OSError)) else error
        fault = of_error(cause, target.name)
    except (WebSocketException, OSError, EOFError) as error:
        fault = of_error(error, target.name)
    raise Refused("handshake", fault)


def _no_gateway() -> Fault:
    return Fault("what it says first is no greeting", "a WebSocket is there, of something else: look at the path")


def of_address(target: Target) -> Iterator[Finding]:
    """What is wrong with the address itself."""
    parts = urlsplit(target.url)
    if "token" in parse_qs(parts.query):
        todo = "addresses end up in logs: use the subprotocol, the header or a ticket"
        yield wrong("address", "there is a token in the address", todo)
    if parts.scheme == "ws" and not is_loopback(parts.hostname or ""):
        todo = "use wss:// in the open: others can read it on the way, and pages of https:// may not connect"
        yield advice("address", f"{target.name} is without TLS", todo)


def of_subprotocol(socket: ClientConnection) -> Finding:
    """Whether what was offered was agreed on."""
    if socket.subprotocol == JSON_SUBPROTOCOL:
        return good("subprotocol", f"{JSON_SUBPROTOCOL} was agreed on")
    todo = "the proxy must pass on Sec-WebSocket-Protocol both ways: browsers close a connection without it"
    return wrong("subprotocol", f"{socket.subprotocol or 'none'} was agreed on, not {JSON_SUBPROTOCOL}", todo)
