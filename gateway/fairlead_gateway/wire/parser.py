"""Takes a stream of bytes apart into whole messages and control frames; keeps every rule of RFC 6455 §5 on the way."""

from __future__ import annotations

from codecs import getincrementaldecoder
from typing import Final

from fairlead_gateway.wire.deflate import inflate
from fairlead_gateway.wire.frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    FIN,
    INVALID_DATA,
    MASK,
    MAX_CONTROL_BYTES,
    PING,
    POLICY,
    PONG,
    PROTOCOL_ERROR,
    RSV1,
    TEXT,
    TOO_BIG,
    Violation,
)

try:
    from websockets.speedups import apply_mask
except ImportError:
    from websockets.utils import apply_mask

Event = tuple[int, bytes]
"""Opcode and payload: a whole text or binary message, or one ping, pong or close frame."""

_DATA: Final = (CONTINUATION, TEXT, BINARY)
_CONTROL: Final = (CLOSE, PING, PONG)
_WHOLE_TEXT: Final = FIN | TEXT
_WHOLE_BINARY: Final = FIN | BINARY

_utf8_decoder = getincrementaldecoder("utf-8")


def _fault_of(first: int, deflates: bool) -> str:
    """What is wrong with a frame that begins with this byte, or nothing."""
    opcode = first & 0x0F
    allowed = RSV1 if deflates and opcode in (TEXT, BINARY) else 0
    if first & 0x70 & ~allowed:
        return "reserved bits are set"
    if opcode not in _DATA and opcode not in _CONTROL:
        return "reserved opcode"
    if opcode in _CONTROL and not first & FIN:
        return "fragmented control frame"
    return ""


_FAULTS: Final = {deflates: tuple(_fault_of(first, deflates) for first in range(256)) for deflates in (False, True)}


class Partial:
    """A message whose last fragment has not come yet."""

    __slots__ = ("_decoder", "deflated", "fragments", "opcode", "payload")

    def __init__(self, first: int) -> None:
        self.opcode = first & 0x0F
        self.deflated = bool(first & RSV1)
        self.payload = bytearray()
        self.fragments = 0
        self._decoder = _utf8_decoder() if self.opcode == TEXT and not self.deflated else None

    def add(self, fragment: bytes, final: bool) -> None:
        """Append, and fail at the first byte that cannot be UTF-8 rather than when the message ends."""
        self.payload += fragment
        self.fragments += 1
        if self._decoder is not None:
            try:
                self._decoder.decode(fragment, final)
            except UnicodeDecodeError:
                raise Violation(INVALID_DATA, "text is not UTF-8") from None


class FrameParser:
    """
    What one peer has sent and nobody has looked at yet.

    ``feed`` what was read, then ask for the ``next`` event until there is none. Nothing is parsed before it is asked
    for, so whoever stops asking keeps the rest as it came. After a `Violation` the parser must be thrown away.

    :param max_bytes: bound of a frame, of a message, and of what a compressed message inflates to.
    :param deflates: whether permessage-deflate was agreed.
    :param from_client: frames must be masked; otherwise (a server's frames) must not.
    """

    __slots__ = ("_at", "_data", "_faults", "_mask", "_max_bytes", "_partial")

    def __init__(self, max_bytes: int, deflates: bool = False, from_client: bool = True) -> None:
        self._data: bytes | bytearray = b""
        self._at = 0
        self._max_bytes = max_bytes
        self._faults = _FAULTS[deflates]
        self._mask = MASK if from_client else 0
        self._partial: Partial | None = None

    @property
    def pending(self) -> int:
        """Bytes that were fed and have not become an event; fragments of an unfinished message count."""
        return len(self._data) - self._at + (len(self._partial.payload) if self._partial else 0)

    def feed(self, data: bytes) -> None:
        """Take in what was read."""
        if not self._data:
            self._data = data
            return
        if not isinstance(self._data, bytearray):
            self._data = bytearray(self._data)
        self._data += data

    def next(self) -> Event | None:
        """
        The next whole message or control frame, or None until more is fed.

        :raises Violation: the peer broke the protocol.
        """
        while (frame := self._frame()) is not None:
            first, payload = frame
            if first & 0x08:
                return first & 0x0F, payload
            if first == _WHOLE_TEXT:
                _check_utf8(payload)
                return TEXT, payload
            if first == _WHOLE_BINARY:
                return BINARY, payload
            message = self._message(first, payload)
            if message is not None:
                return message
        return None

    def _frame(self) -> Event | None:
        """First byte and unmasked payload of the next frame, if all of it is here."""
        data, at = self._data, self._at
        if len(data) - at < 2:
            self._wait()
            return None
        first, second = data[at], data[at + 1]
        length, start = second & 0x7F, at + 2
        if self._faults[first] or (second & MASK) != self._mask:
            raise Violation(PROTOCOL_ERROR, self._faults[first] or "wrong masking")
        if first & 0x08:
            if length > MAX_CONTROL_BYTES:
                raise Violation(PROTOCOL_ERROR, "control frame too long")
        else:
            if (first & 0x0F == CONTINUATION) is (self._partial is None):
                raise Violation(PROTOCOL_ERROR, "continuation and message do not alternate")
            if length > 125:
                start += 2 if length == 126 else 8
                length = _extended(data[at + 2 : start], start - at - 2)
            if length > self._room():
                raise Violation(TOO_BIG, f"message is larger than {self._max_bytes} bytes")
        body = start + 4 if self._mask else start
        end = body + length
        if end > len(data):
            self._wait()
            return None
        self._at = end
        return first, apply_mask(data[body:end], data[start:body]) if self._mask else bytes(data[body:end])

    def _room(self) -> int:
        """How long the next data frame may be."""
        return self._max_bytes if self._partial is None else self._max_bytes - len(self._partial.payload)

    def _wait(self) -> None:
        """Forget what was parsed; keep the beginning of a frame where more can be appended cheaply."""
        if self._at == len(self._data):
            self._data = b""
        elif self._at:
            self._data = bytearray(memoryview(self._data)[self._at :])
        self._at = 0

    def _message(self, first: int, payload: bytes) -> Event | None:
        """Add a fragment, or take a compressed frame; the message if this was its end."""
        partial = self._partial
        if partial is None:
            partial = self._partial = Partial(first)
        final = bool(first & FIN)
        partial.add(payload, final)
        if not final:
            self._refuse_crumbs(partial)
            return None
        self._partial = None
        if not partial.deflated:
            return partial.opcode, bytes(partial.payload)
        whole = inflate(partial.payload, self._max_bytes)
        if partial.opcode == TEXT:
            _check_utf8(whole)
        return partial.opcode, whole

    def _refuse_crumbs(self, partial: Partial) -> None:
        """Fragments may be empty, so that a message could go on for ever without growing."""
        if partial.fragments > 1024 + self._max_bytes // 16:
            raise Violation(POLICY, "too many fragments")


def _extended(length: bytes | bytearray, size: int) -> int:
    """The length in *size* bytes, which must have been needed (RFC 6455 §5.2); 0 while they are not all here."""
    if len(length) < size:
        return 0
    value = int.from_bytes(length, "big")
    if value < (126 if size == 2 else 65536) or value >> 63:
        raise Violation(PROTOCOL_ERROR, "invalid length")
    return value


def _check_utf8(payload: bytes) -> None:
    if not payload.isascii():
        try:
            str(payload, "utf-8")
        except UnicodeDecodeError:
            raise Violation(INVALID_DATA, "text is not UTF-8") from None
