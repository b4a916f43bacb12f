"""The bytes of the pages are what a real replica takes and says, or what the code that says it makes."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import msgpack
import pytest

from fairlead.format.envelope import Envelope
from fairlead.names import Names, partition_of
from fairlead_gateway.wire.frames import BINARY, CLOSE, FIN, MASK, TEXT, close_frame, text_frame
from tests.documents.pages import blocks_in, text_of
from tests.support.replica import Replica, token

SECONDS = 10.0
KEY = bytes.fromhex("37fa213d")

SHOWN = {
    block.note.removeprefix("bytes: "): bytes.fromhex(re.sub(r"#.*", "", block.text)) for block in blocks_in("hex")
}


def masked(opcode: int, payload: bytes) -> bytes:
    """A frame as a client sends it."""
    length = bytes([MASK | len(payload)]) if len(payload) < 126 else bytes([MASK | 126]) + len(payload).to_bytes(2)
    return bytes([FIN | opcode]) + length + KEY + bytes(byte ^ KEY[at % 4] for at, byte in enumerate(payload))


class Wire:
    """A connection byte by byte."""

    def __init__(self, sock: socket.socket) -> None:
        self.send = sock.sendall
        self._file = sock.makefile("rb")

    def head(self) -> bytes:
        lines = iter(self._file.readline, b"\r\n")
        return b"".join(lines) + b"\r\n"

    def frame(self) -> tuple[int, bytes]:
        first, length = self._file.read(2)
        if length == 126:
            length = int.from_bytes(self._file.read(2))
        return first, self._file.read(length)


@contextmanager
def wire(replica: Replica) -> Iterator[Wire]:
    with socket.create_connection((replica.host, replica.port), timeout=SECONDS) as sock:
        yield Wire(sock)


def upgraded(wire: Wire, request: bytes) -> bytes:
    """The response head to *request*."""
    wire.send(request)
    return wire.head()


def let_in(wire: Wire, opcode: int = TEXT) -> None:
    connect = {"action": "connect", "token": token("ann")}
    wire.send(masked(opcode, json.dumps(connect).encode() if opcode == TEXT else msgpack.packb(connect)))
    wire.frame()


def test_the_upgrade_is_answered_as_shown(fleet: list[Replica]) -> None:
    with wire(fleet[0]) as one:
        response = upgraded(one, SHOWN["upgrade request"])

    assert re.sub(rb"(?:date|server): .*?\r\n", b"", response) == SHOWN["upgrade response"]


def test_the_masked_ping_is_taken(fleet: list[Replica]) -> None:
    with wire(fleet[0]) as one:
        upgraded(one, SHOWN["upgrade request"])
        let_in(one)
        one.send(SHOWN["ping json"])
        first, payload = one.frame()

    assert SHOWN["ping json"] == masked(TEXT, b'{"action":"ping","id":"1"}')
    assert (first, json.loads(payload)["type"], json.loads(payload)["ref"]) == (FIN | TEXT, "pong", "1")


def test_the_masked_msgpack_is_taken(fleet: list[Replica]) -> None:
    with wire(fleet[0]) as one:
        head = upgraded(one, SHOWN["upgrade request"].replace(b"fairlead.v1.json", b"fairlead.v1.msgpack"))
        let_in(one, BINARY)
        one.send(SHOWN["ping msgpack"])
        first, payload = one.frame()

    assert b"sec-websocket-protocol: fairlead.v1.msgpack" in head
    assert SHOWN["ping msgpack"] == masked(BINARY, SHOWN["ping msgpack payload"])
    assert msgpack.unpackb(SHOWN["ping msgpack payload"]) == {"action": "ping", "id": "1"}
    assert (first, msgpack.unpackb(payload)["type"]) == (FIN | BINARY, "pong")


def test_a_client_that_says_the_close_frame_is_answered(fleet: list[Replica]) -> None:
    with wire(fleet[0]) as one:
        upgraded(one, SHOWN["upgrade request"])
        let_in(one)
        one.send(SHOWN["close normal"])
        first, payload = one.frame()

    assert SHOWN["close normal"] == masked(CLOSE, (1000).to_bytes(2))
    assert (first, payload) == (FIN | CLOSE, (1000).to_bytes(2))


def test_a_refusal_is_a_close_frame_with_code_word_and_text(fleet: list[Replica]) -> None:
    with wire(fleet[0]) as one:
        upgraded(one, SHOWN["upgrade request"])
        one.send(SHOWN["ping json"])
        first, payload = one.frame()

    assert (first, int.from_bytes(payload[:2]), payload[2:15]) == (FIN | CLOSE, 4000, b"bad_request: ")


def test_what_the_server_says_is_made_as_shown() -> None:
    assert SHOWN["close drain"] == close_frame(4200, "drain: 350")
    assert SHOWN["reply"] == text_frame(b'{"type":"reply","ref":"7","ok":true}')


def test_the_worked_envelope_is_what_we_publish() -> None:
    assert SHOWN["envelope"] == Envelope("m-1", "hello", b'{"type":"hello","id":"m-1"}').seal()


def test_the_plain_json_door_is_where_the_example_says() -> None:
    name, page = Names().pubsub("topic:prices"), text_of("docs/cookbook.md")

    assert f"redis-cli PUBLISH '{name}'" in page
    assert f"{partition_of('topic:prices')} = CRC16(topic:prices) mod 128" in page


@pytest.mark.parametrize("block", blocks_in("hex"), ids=lambda block: block.place)
def test_the_right_hand_side_is_the_left_hand_side_as_text(block: object) -> None:
    for line in getattr(block, "text").splitlines():  # noqa: B009
        left, _, right = line.partition("  # ")
        told = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in bytes.fromhex(left))
        assert right in ("", told)
