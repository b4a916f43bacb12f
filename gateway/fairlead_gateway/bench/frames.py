"""The client's half of a WebSocket: the upgrade it sends, the frames it masks, the frames it takes apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

TEXT: Final = 0x1
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA

_KEY: Final = "ZmFpcmxlYWQgYmVuY2ggIQ=="
_MASK: Final = b"\x5a\x17\xc3\x88"


class Frame(NamedTuple):
    opcode: int
    payload: bytes


def upgrade(port: int, path: str, headers: Mapping[str, str]) -> bytes:
    """The request that opens a WebSocket on *path*."""
    own = {
        "Host": f"127.0.0.1:{port}",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": _KEY,
        "Sec-WebSocket-Version": "13",
    }
    lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in {**own, **headers}.items())]
    return "\r\n".join([*lines, "", ""]).encode()


def masked(payload: bytes, opcode: int = TEXT) -> bytes:
    """One finished client frame."""
    size = len(payload)
    first = bytes((0x80 | opcode,))
    if size < 126:
        head = first + bytes((0x80 | size,))
    elif size < 65536:
        head = first + b"\xfe" + size.to_bytes(2, "big")
    else:
        head = first + b"\xff" + size.to_bytes(8, "big")
    return head + _MASK + bytes(byte ^ _MASK[at & 3] for at, byte in enumerate(payload))


def server_frame_bytes(payload_bytes: int) -> int:
    """How long the server's frame is that carries so much payload."""
    return payload_bytes + (2 if payload_bytes < 126 else 4 if payload_bytes < 65536 else 10)


class Walker:
    """Takes what the server sends apart into whole frames, wherever the reads were cut."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that *data* completes."""
        if self._rest:
            data = self._rest + data
        frames: list[Frame] = []
        at, end = 0, len(data)
        while end - at >= 2:
            size, start = data[at + 1], at + 2
            if size >= 126:
                start += 2 if size == 126 else 8
                size = int.from_bytes(data[at + 2 : start], "big") if start <= end else end
            if start + size > end:
                break
            frames.append(Frame(data[at] & 0x0F, data[start : start + size]))
            at = start + size
        self._rest = data[at:]
        return frames
