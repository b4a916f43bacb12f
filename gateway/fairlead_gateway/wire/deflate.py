"""permessage-deflate (RFC 7692) without context takeover: no memory between messages, one compressed form for all."""

from __future__ import annotations

import zlib
from typing import Final, NamedTuple

from fairlead_gateway.wire.frames import INVALID_DATA, TOO_BIG, Violation, header

WINDOW_BITS: Final = 12
"""Window of what the gateway compresses: 4 KiB holds a usual message, and takes 32 kB to set up instead of 256."""

_MEMORY_LEVEL: Final = 5
_TAIL: Final = b"\x00\x00\xff\xff"
_FLAGS: Final = ("server_no_context_takeover", "client_no_context_takeover")
_WINDOWS: Final = ("server_max_window_bits", "client_max_window_bits")


class Deflate(NamedTuple):
    """What was agreed about compression."""

    window_bits: int
    """Largest window that the client can inflate."""

    @property
    def takes_shared(self) -> bool:
        """Whether a frame compressed once for everybody may be sent to this client."""
        return self.window_bits >= WINDOW_BITS

    @property
    def response(self) -> str:
        """The value of ``Sec-WebSocket-Extensions`` that says so."""
        return (
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; "
            f"server_max_window_bits={self.window_bits}"
        )


def negotiate(offers: str) -> Deflate | None:
    """
    The first of the client's offers that can be kept, or None.

    *offers* is the value of ``Sec-WebSocket-Extensions``. Whatever is malformed or unknown is declined, not refused
    (RFC 7692 §7.1). A window of 256 bytes is declined too: zlib cannot make it.
    """
    for offer in offers.split(","):
        name, *parameters = (part.strip() for part in offer.split(";"))
        if name != "permessage-deflate":
            continue
        bits = _window_of(parameters)
        if bits is not None:
            return Deflate(min(bits, WINDOW_BITS))
    return None


def deflate(payload: bytes, window_bits: int = WINDOW_BITS) -> bytes:
    """*payload* as the content of a compressed message."""
    compressor = zlib.compressobj(zlib.Z_DEFAULT_COMPRESSION, zlib.DEFLATED, -window_bits, _MEMORY_LEVEL)
    compressed = compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH)
    return compressed.removesuffix(_TAIL)


def deflated_frame(opcode: int, payload: bytes, window_bits: int = WINDOW_BITS) -> bytes:
    """A compressed message in one finished frame."""
    compressed = deflate(payload, window_bits)
    return header(opcode, len(compressed), rsv1=True) + compressed


def inflate(payload: bytes | bytearray, max_bytes: int) -> bytes:
    """
    The content of a compressed message; never makes more than *max_bytes* and one.

    :raises Violation: it is larger, or not deflate.
    """
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        whole = inflater.decompress(payload + _TAIL, max_bytes + 1)
    except zlib.error:
        raise Violation(INVALID_DATA, "compressed data is invalid") from None
    if len(whole) > max_bytes:
        raise Violation(TOO_BIG, f"message is larger than {max_bytes} bytes")
    return whole


def _window_of(parameters: list[str]) -> int | None:
    """The server window that *parameters* ask for, 15 if they do not; None if they cannot be kept."""
    seen: dict[str, int] = {}
    for parameter in parameters:
        name, given, value = (part.strip() for part in parameter.partition("="))
        bits = _bits(name, value.strip('"') if given else None)
        if bits is None or name in seen:
            return None
        seen[name] = bits
    window = seen.get("server_max_window_bits", zlib.MAX_WBITS)
    return window if window > 8 else None


def _bits(name: str, value: str | None) -> int | None:
    """The window that one parameter names (0 for a flag), or None if it is not a parameter of the extension."""
    if name in _FLAGS:
        return 0 if value is None else None
    if name == "client_max_window_bits" and value is None:
        return zlib.MAX_WBITS
    if name not in _WINDOWS or value is None or value not in _BITS:
        return None
    return _BITS[value]


_BITS: Final = {str(bits): bits for bits in range(8, 16)}
