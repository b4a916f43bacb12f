"""What an upgrade request brings along: a credential, a subprotocol to agree on, a wish to wait."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from urllib.parse import unquote_to_bytes

JSON_SUBPROTOCOL: Final = "fairlead.v1.json"
MSGPACK_SUBPROTOCOL: Final = "fairlead.v1.msgpack"
SUBPROTOCOLS: Final = (JSON_SUBPROTOCOL, MSGPACK_SUBPROTOCOL)

Kind = Literal["none", "token", "ticket"]

_BEARER_SUBPROTOCOL: Final = "bearer."
_BEARER_SCHEME: Final = b"bearer "
_NO_QUERY: Final[Mapping[bytes, str]] = {}


@dataclass(frozen=True, slots=True)
class Opening:
    """How a client opens: read once from the request, unverified."""

    kind: Kind = "none"
    """``none``: the first frame must bring a token."""

    credential: str = field(default="", repr=False)
    """The token or ticket."""

    subprotocol: str | None = None
    """What to answer in ``Sec-WebSocket-Protocol``: one of ours that was offered, never the bearer."""

    waits: bool = False
    """``?wait=connect``: nothing goes live before the client's first frame."""

    refused_query_token: bool = False
    """A ``?token=`` came though it is switched off; worth a word when nothing else lets the client in."""


def read_opening(scope: Mapping[str, Any], *, allow_query_token: bool) -> Opening:
    """
    The opening of an ASGI WebSocket *scope*.

    A credential is looked for in the ``Authorization`` header, the subprotocols, ``?ticket=``, and, where that is
    switched on, ``?token=``; the first that is there counts, good or bad.
    """
    offered: Iterable[str] = scope.get("subprotocols", ())
    query = _query(scope["query_string"]) if scope.get("query_string") else _NO_QUERY
    kind, credential = _credential(scope["headers"], offered, query, allow_query_token)
    return Opening(
        kind,
        credential,
        next((name for name in offered if name in SUBPROTOCOLS), None),
        query.get(b"wait") == "connect",
        not allow_query_token and b"token" in query,
    )


def _credential(
    headers: Iterable[tuple[bytes, bytes]], offered: Iterable[str], query: Mapping[bytes, str], allow_query_token: bool
) -> tuple[Kind, str]:
    for name, value in headers:
        if name == b"authorization" and value[:7].lower() == _BEARER_SCHEME:
            return "token", value[7:].strip().decode("latin-1")
    for protocol in offered:
        if protocol.startswith(_BEARER_SUBPROTOCOL):
            return "token", protocol[len(_BEARER_SUBPROTOCOL) :]
    if query.get(b"ticket"):
        return "ticket", query[b"ticket"]
    if allow_query_token and query.get(b"token"):
        return "token", query[b"token"]
    return "none", ""


def _query(raw: bytes) -> Mapping[bytes, str]:
    """The parameters of a query string; of a repeated one the first. A ``+`` stays: no credential holds a space."""
    found: dict[bytes, str] = {}
    for pair in raw.split(b"&"):
        name, _, value = pair.partition(b"=")
        if name not in found:
            found[name] = (unquote_to_bytes(value) if b"%" in value else value).decode("latin-1")
    return found
