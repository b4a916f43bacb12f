"""Finished WebSocket frames (RFC 6455 §5), as a server sends them: unmasked, the same bytes for every recipient."""

from __future__ import annotations

from struct import Struct
from typing import Final, NamedTuple

CONTINUATION: Final = 0x0
TEXT: Final = 0x1
BINARY: Final = 0x2
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA

FIN: Final = 0x80
RSV1: Final = 0x40
MASK: Final = 0x80

MAX_CONTROL_BYTES: Final = 125
MAX_REASON_BYTES: Final = MAX_CONTROL_BYTES - 2

NORMAL: Final = 1000
PROTOCOL_ERROR: Final = 1002
NO_STATUS: Final = 1005
"""A close frame came, but it named no code."""
ABNORMAL: Final = 1006
"""The connection ended without a close frame."""
INVALID_DATA: Final = 1007
POLICY: Final = 1008
TOO_BIG: Final = 1009
FAILED: Final = 1011
RESTARTING: Final = 1012

_SHORT: Final = Struct("!BB").pack
_MEDIUM: Final = Struct("!BBH").pack
_LONG: Final = Struct("!BBQ").pack


class Violation(Exception):
    """The peer broke the protocol; *code* and *reason* are what its close frame will say."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Closing(NamedTuple):
    """What a close frame says."""

    code: int
    reason: str


def may_be_sent(code: int) -> bool:
    """Whether *code* may stand in a close frame: registered, or free for libraries and applications."""
    return 1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999


def header(opcode: int, length: int, fin: bool = True, rsv1: bool = False) -> bytes:
    """The first bytes of an unmasked frame with *length* bytes of payload."""
    return _header((FIN if fin else 0) | (RSV1 if rsv1 else 0) | opcode, length)


def _header(first: int, length: int) -> bytes:
    if length < 126:
        return _SHORT(first, length)
    if length < 65536:
        return _MEDIUM(first, 126, length)
    return _LONG(first, 127, length)


def text_frame(payload: bytes) -> bytes:
    """A text message in one frame; *payload* must be UTF-8."""
    return _header(FIN | TEXT, len(payload)) + payload


def binary_frame(payload: bytes) -> bytes:
    """A binary message in one frame."""
    return _header(FIN | BINARY, len(payload)) + payload


def control_frame(opcode: int, payload: bytes = b"") -> bytes:
    """A ping, pong or close frame."""
    if len(payload) > MAX_CONTROL_BYTES:
        raise ValueError(f"a control frame carries at most {MAX_CONTROL_BYTES} bytes, not {len(payload)}")
    return bytes((FIN | opcode, len(payload))) + payload


def ping_frame(payload: bytes = b"") -> bytes:
    return control_frame(PING, payload)


def pong_frame(payload: bytes = b"") -> bytes:
    return control_frame(PONG, payload)


def close_frame(code: int, reason: str = "") -> bytes:
    """A close frame; the reason is cut to what fits, at a whole character. `NO_STATUS` makes an empty one."""
    return control_frame(CLOSE, b"" if code == NO_STATUS else encode_close(code, reason))


def encode_close(code: int, reason: str = "") -> bytes:
    """The payload of a close frame."""
    if not may_be_sent(code):
        raise ValueError(f"{code} may not stand in a close frame")
    text = reason.encode()
    if len(text) > MAX_REASON_BYTES:
        text = text[:MAX_REASON_BYTES].decode(errors="ignore").encode()
    return code.to_bytes(2, "big") + text


def decode_close(payload: bytes) -> Closing:
    """
    What a close frame's payload says.

    :raises Violation: it is one byte long, holds a code that may not be sent, or a reason that is not UTF-8.
    """
    if not payload:
        return Closing(NO_STATUS, "")
    code = int.from_bytes(payload[:2], "big")
    if len(payload) == 1 or not may_be_sent(code):
        raise Violation(PROTOCOL_ERROR, "invalid close code")
    try:
        return Closing(code, str(payload[2:], "utf-8"))
    except UnicodeDecodeError:
        raise Violation(INVALID_DATA, "close reason is not UTF-8") from None
