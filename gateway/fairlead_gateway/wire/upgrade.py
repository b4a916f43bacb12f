"""From an HTTP request to a WebSocket (RFC 6455 §4.2): what a request must say, and what it is answered."""

from __future__ import annotations

import re
from base64 import b64encode
from binascii import Error as Base64Error
from binascii import a2b_base64
from collections.abc import Iterable
from hashlib import sha1
from http import HTTPStatus
from typing import Final, NamedTuple

Headers = list[tuple[bytes, bytes]]
"""Names in lower case, in the order they came."""

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_TOKEN: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_LINE: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+: [^\x00-\x08\x0a-\x1f\x7f]*\r\n")
_ABSOLUTE: Final = re.compile(rb"(?:https?|wss?)://[^/?#]+", re.IGNORECASE)

_PLAIN: Final = re.compile(
    rb"GET ([\x21-\x7e]+) HTTP/1\.1\r\n(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[^\x00-\x08\x0a-\x1f\x7f]*\r\n)+\r\n"
)
_FIELD: Final = re.compile(rb"([^:\r\n ]+):[ \t]*([^\r\n]*)\r\n")
_PLAIN_BYTES: Final = 16 * 1024

_READ: Final = frozenset(
    (
        b"host",
        b"upgrade",
        b"connection",
        b"sec-websocket-key",
        b"sec-websocket-version",
        b"sec-websocket-protocol",
        b"sec-websocket-extensions",
        b"transfer-encoding",
        b"content-length",
    )
)
"""Headers that the handshake looks at. One that was given twice is read as a list, which only some may be."""


class Head(NamedTuple):
    """The head of a request, parsed."""

    method: bytes
    target: bytes
    version: str
    headers: Headers


class Upgrade(NamedTuple):
    """A valid request to become a WebSocket."""

    path: bytes
    query: bytes
    headers: Headers
    key: bytes
    subprotocols: list[str]
    extensions: str
    """All of ``Sec-WebSocket-Extensions``, or empty."""


class Refusal(Exception):
    """A request that cannot become a WebSocket, and the HTTP response it gets."""

    def __init__(self, status: HTTPStatus, text: str, headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.headers = headers


def split_head(data: bytes) -> tuple[Head, bytes]:
    """A well-formed request head that somebody else has checked, and what came after it."""
    head, _, rest = data.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    method, target, version = first.split(b" ", 2)
    pairs = (line.partition(b":") for line in lines)
    headers = [(name.lower(), value.strip(b" \t")) for name, _, value in pairs]
    return Head(method, target, version.removeprefix(b"HTTP/").decode("latin-1"), headers), rest


def plain_upgrade(data: bytes) -> tuple[Head, bytes] | None:
    """
    The request head that *data* begins with and what came after it, if it is whole, beyond doubt, and asks for an
    upgrade. None means that it is for a real HTTP parser to say what this is.
    """
    if b"pgrade" not in data or len(data) > _PLAIN_BYTES:
        return None
    whole = _PLAIN.match(data)
    if whole is None:
        return None
    headers = [(name.lower(), value.rstrip(b" \t")) for name, value in _FIELD.findall(data, whole.end(1), whole.end())]
    if not any(name == b"upgrade" and value.lower() == b"websocket" for name, value in headers):
        return None
    return Head(b"GET", whole[1], "1.1", headers), data[whole.end() :]


def read_upgrade(head: Head) -> Upgrade:
    """
    *head* as an upgrade.

    :raises Refusal: it is not one.
    """
    if head.method != b"GET":
        raise Refusal(HTTPStatus.METHOD_NOT_ALLOWED, "a WebSocket begins with GET", [(b"allow", b"GET")])
    if head.version != "1.1":
        raise _bad("a WebSocket needs HTTP/1.1")
    found: dict[bytes, bytes] = {}
    for name, value in head.headers:
        if name in _READ:
            found[name] = found[name] + b"," + value if name in found else value
    _check_headers(found)
    path, query = _split_target(head.target)
    return Upgrade(
        path,
        query,
        head.headers,
        found[b"sec-websocket-key"],
        _subprotocols(found.get(b"sec-websocket-protocol")),
        found.get(b"sec-websocket-extensions", b"").decode("latin-1"),
    )


def accept_key(key: bytes) -> bytes:
    """What proves that *key* was read by somebody who speaks WebSocket."""
    return b64encode(sha1(key + _GUID, usedforsecurity=False).digest())


def accept_response(
    key: bytes, subprotocol: str | None, extension: str | None, headers: Iterable[tuple[bytes, bytes]] = ()
) -> bytes:
    """
    The response head that ends the handshake.

    :raises ValueError: a header would break out of its line.
    """
    lines = [
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: ",
        accept_key(key),
        b"\r\n",
    ]
    if subprotocol:
        lines.append(_line(b"sec-websocket-protocol", subprotocol.encode("latin-1")))
    if extension:
        lines.append(_line(b"sec-websocket-extensions", extension.encode("latin-1")))
    lines.extend(_line(name, value) for name, value in headers)
    lines.append(b"\r\n")
    return b"".join(lines)


def response(status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes = b"") -> bytes:
    """
    A whole HTTP response after which the connection ends.

    :raises ValueError: a header would break out of its line.
    """
    own = (b"content-length", b"connection", b"transfer-encoding")
    lines = [b"HTTP/1.1 %d %s\r\n" % (status, _PHRASES.get(status, b""))]
    lines.extend(_line(name, value) for name, value in headers if name.lower() not in own)
    lines.append(b"content-length: %d\r\nconnection: close\r\n\r\n" % len(body))
    return b"".join((*lines, body))


_PHRASES: Final = {int(status): status.phrase.encode() for status in HTTPStatus}


def _bad(text: str) -> Refusal:
    return Refusal(HTTPStatus.BAD_REQUEST, text)


def _check_headers(found: dict[bytes, bytes]) -> None:
    """RFC 6455 §4.2.1, in the order in which a client is best told."""
    if b"," in found.get(b"host", b","):
        raise _bad("host must be given once")
    if not _lists(found, b"upgrade", b"websocket") or not _lists(found, b"connection", b"upgrade"):
        raise _bad("upgrade: websocket and connection: Upgrade must be given")
    if found.get(b"sec-websocket-version") != b"13":
        upgrade = [(b"sec-websocket-version", b"13")]
        raise Refusal(HTTPStatus.UPGRADE_REQUIRED, "only version 13 is spoken here", upgrade)
    if not _is_key(found.get(b"sec-websocket-key", b"")):
        raise _bad("sec-websocket-key must be 16 bytes in base64, given once")
    if b"transfer-encoding" in found or found.get(b"content-length", b"0") != b"0":
        raise _bad("an upgrade has no body")


def _lists(found: dict[bytes, bytes], name: bytes, wanted: bytes) -> bool:
    value = found.get(name, b"").lower()
    return value == wanted or wanted in [part.strip() for part in value.split(b",")]


def _is_key(key: bytes) -> bool:
    try:
        return len(key) == 24 and len(a2b_base64(key, strict_mode=True)) == 16
    except Base64Error:
        return False


def _split_target(target: bytes) -> tuple[bytes, bytes]:
    """Path and query of an origin-form or absolute-form target."""
    if not target.startswith(b"/") and (absolute := _ABSOLUTE.match(target)):
        rest = target[absolute.end() :]
        target = rest if rest.startswith(b"/") else b"/" + rest
    if not target.startswith(b"/") or not target.isascii() or b"#" in target:
        raise _bad("the target must be a path")
    path, _, query = target.partition(b"?")
    return path, query


def _subprotocols(value: bytes | None) -> list[str]:
    if value is None:
        return []
    names = [name.strip() for name in value.split(b",")]
    if not all(map(_TOKEN.fullmatch, names)):
        raise _bad("sec-websocket-protocol must be a list of names")
    return [name.decode() for name in names]


def _line(name: bytes, value: bytes) -> bytes:
    line = b"%b: %b\r\n" % (name, value)
    if not _LINE.fullmatch(line):
        raise ValueError("a header would break out of its line")
    return line
