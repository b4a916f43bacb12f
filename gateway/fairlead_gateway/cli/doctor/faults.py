"""What goes wrong between a client and a gateway, by what is seen of it: the well-known faults, in words."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping
from typing import Final, NamedTuple

from fairlead import codes


class Fault(NamedTuple):
    """One of them."""

    text: str
    """How it is."""
    todo: str


UPGRADE: Final = (
    "the proxy must pass the upgrade on; Nginx: proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; "
    'proxy_set_header Connection "upgrade"; (nginx/nginx.conf has all of it)'
)

_OURS: Final = ("Not Found",)
"""What a gateway answers to an ordinary GET where WebSockets are: its body."""

_STATUSES: Final[Mapping[int, Fault]] = {
    200: Fault(
        "a page is there, and no WebSocket", "does the path lead to the gateway? It is /ws unless a proxy has another"
    ),
    400: Fault("the request was found wrong on the way", UPGRADE),
    401: Fault(
        "something before the gateway wants a login (a gateway says so with a close code)",
        "let this path pass there: the gateway looks at tokens itself",
    ),
    403: Fault(
        "something before the gateway forbids it, or no WebSocket is at this path",
        "look at the rules of proxy and firewall for this path, and at the path: /ws, /ws/chat …",
    ),
    404: Fault("nothing is at this path", "is it the path that leads to the gateway? /ws, /ws/chat …"),
    405: Fault("what is there takes no WebSockets", "does the path lead to the gateway?"),
    408: Fault("the request did not arrive whole", "is there a proxy that waits for a body?"),
    421: Fault("the server is not for this host name", "look at server_name of the proxy, and at the certificate"),
    426: Fault("the upgrade was lost on the way", UPGRADE),
    429: Fault(
        "too many connections or handshakes from this address",
        "look at limit_conn and limit_req of the proxy; behind a load balancer, pass the client's address on",
    ),
    500: Fault("something before the gateway has failed", "look at its log"),
    502: Fault(
        "the proxy cannot reach the gateway",
        "does it run, and has the proxy its right address? The error log of the proxy knows",
    ),
    503: Fault("no gateway is there to be asked", "start one, or see why the proxy takes all of them for dead"),
    504: Fault("the gateway did not answer the proxy in time", "look at its log, and at the network between both"),
}

_REDIRECTS: Final = range(300, 400)

_CLOSES: Final[Mapping[int, str]] = {
    codes.TOKEN_EXPIRED.code: "take a fresh token: `fairlead token check` says what is wrong with one",
    codes.FORBIDDEN.code: "is the token signed with the secret of that gateway (FAIRLEAD_JWT_SECRET, audience, "
    "issuer)? `fairlead token check` says what is wrong with one",
    codes.AUTH_TIMEOUT.code: "the credential was lost on the way: the proxy must pass on Sec-WebSocket-Protocol and "
    "Authorization",
    codes.TOO_MANY_CONNECTIONS.code: "this user has as many connections as FAIRLEAD_MAX_CONNECTIONS_PER_USER allows",
    codes.DRAIN.code: "this replica is leaving; try again",
    codes.REPLICA_FULL.code: "start more replicas, or raise FAIRLEAD_MAX_CONNECTIONS",
    codes.INTERNAL_ERROR.code: "the gateway cannot reach its Redis: look at its log and at /readyz",
    codes.BAD_REQUEST.code: "look at the path",
}

_ORIGIN: Final = "origin"


def of_status(status: int, headers: Mapping[str, str], body: str) -> Fault:
    """An answer in place of a WebSocket."""
    server = f" ({headers['server']})" if headers.get("server") else ""
    if status in _REDIRECTS:
        where = headers.get("location", "somewhere else")
        return Fault(f"it answered {status}{server}: go to {where}", "give clients that address; they do not follow")
    if status == 400 and "HTTPS" in body:
        return Fault(f"it answered 400{server}: TLS is spoken there", "say wss:// in place of ws://")
    if status == 404 and body.strip() in _OURS:
        return Fault(
            "the gateway was asked for a page, and not for a WebSocket: the upgrade was lost on the way", UPGRADE
        )
    known = _STATUSES.get(status, Fault("nobody expected that", "look at the log of what is there"))
    return Fault(f"it answered {status}{server}: {known.text}", known.todo)


def of_close(code: int, reason: str) -> Fault:
    """A connection that was closed in place of a greeting."""
    said = f"closed with {code} {reason}".strip()
    if code == codes.FORBIDDEN.code and _ORIGIN in reason:
        return Fault(said, "add the origin of your pages to FAIRLEAD_ALLOWED_ORIGINS: scheme://host[:port]")
    if code == 1006:
        return Fault("the connection was cut before the greeting", "look at the logs of the proxy and of the gateway")
    return Fault(said, _CLOSES.get(code, "the log of the gateway says more"))


def of_error(error: BaseException, url: str) -> Fault:
    """No answer at all."""
    match error:
        case ssl.SSLCertVerificationError():
            return Fault(
                f"its certificate is not accepted: {error.verify_message}",
                "serve the whole chain, for this host name, and renew what has ended; who signed it must be known here",
            )
        case ssl.SSLError():
            why = getattr(error, "reason", None) or error
            return Fault(f"no TLS could be agreed on ({why})", "does it speak TLS there? ws:// is without")
        case socket.gaierror():
            return Fault("its host name is known to nobody here", "look at the name, and at DNS")
        case ConnectionRefusedError():
            return Fault("nobody listens there", "start the gateway or the proxy, and look at host and port")
        case TimeoutError():
            return Fault(
                "no answer in time", "a firewall that drops, or a proxy that waits: try from the machine itself"
            )
        case ConnectionResetError() | EOFError():
            return Fault(
                "the connection was cut without an answer",
                "TLS where none is expected, or none where it is (ws:// and wss://), or a firewall",
            )
    return Fault(f"{type(error).__name__}: {' '.join(str(error).split())[:200]}", f"is {url} the address of a gateway?")
