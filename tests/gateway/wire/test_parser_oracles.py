"""The same bytes mean the same to our parser as to websockets and to wsproto."""

from __future__ import annotations

import logging

from hypothesis import example, given, settings
from websockets.frames import Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Event, Ping, Pong, TextMessage
from wsproto.utilities import RemoteProtocolError

from fairlead_gateway.wire.parser import Event as OurEvent
from tests.gateway.wire.streams import Verdict, ours, streams

quiet = logging.getLogger("oracle")
quiet.setLevel(logging.CRITICAL)


def wsproto_says(stream: bytes) -> Verdict:
    """What wsproto makes of *stream*."""
    connection = Connection(ConnectionType.SERVER)
    connection.receive_data(stream)
    heard: list[OurEvent] = []
    partial = bytearray()
    try:
        for event in connection.events():
            if isinstance(event, TextMessage | BytesMessage):
                partial += event.data.encode() if isinstance(event, TextMessage) else event.data
                if event.message_finished:
                    heard.append((1 if isinstance(event, TextMessage) else 2, bytes(partial)))
                    partial.clear()
            elif isinstance(event, Ping | Pong):
                heard.append((9 if isinstance(event, Ping) else 10, bytes(event.payload)))
            elif isinstance(event, CloseConnection):
                return Verdict(tuple(heard), event.code)
    except RemoteProtocolError as error:
        return Verdict(tuple(heard), _hint(error.event_hint))
    return Verdict(tuple(heard), 0)


def _hint(hint: Event | None) -> int:
    return hint.code if isinstance(hint, CloseConnection) else 1002


def websockets_says(stream: bytes, max_bytes: int) -> Verdict:
    """What websockets makes of *stream*."""
    protocol = ServerProtocol(state=State.OPEN, max_size=max_bytes, logger=quiet)
    protocol.receive_data(stream)
    heard: list[OurEvent] = []
    opcode, partial = 0, bytearray()
    for frame in protocol.events_received():
        if frame.opcode is Opcode.CLOSE:
            break
        if frame.opcode in (Opcode.PING, Opcode.PONG):
            heard.append((int(frame.opcode), bytes(frame.data)))
            continue
        if frame.opcode is not Opcode.CONT:
            opcode = int(frame.opcode)
        partial += frame.data
        if frame.fin:
            heard.append((opcode, bytes(partial)))
            partial.clear()
    sent = protocol.close_sent
    return Verdict(tuple(heard), sent.code if sent else 0)


def said(verdict: Verdict) -> Verdict:
    """Without the close frame itself, which the oracles do not pass on."""
    return Verdict(tuple(event for event in verdict.events if event[0] != 8), verdict.code)


@settings(max_examples=300)
@given(streams())
@example([b"\x88\x83\x37\xfa\x21\x3d\x37\xfa\xa1"])
def test_wsproto_hears_the_same_messages_and_closes_with_the_same_code(frames: list[bytes]) -> None:
    stream = b"".join(frames)

    assert said(ours([stream])) == wsproto_says(stream)


@settings(max_examples=300)
@given(streams())
@example([b"\x88\x83\x37\xfa\x21\x3d\x37\xfa\xa1"])
def test_websockets_hears_the_same_messages_and_closes_with_the_same_code(frames: list[bytes]) -> None:
    stream = b"".join(frames)

    mine, theirs = said(ours([stream], max_bytes=150)), websockets_says(stream, 150)

    # It leaves UTF-8 to whoever reads the message, so it goes on where we stop.
    if mine.code == 1007:
        assert mine.events == theirs.events[: len(mine.events)]
    # Of a close frame with a wrong code and a reason that is no text it names the second fault.
    elif (mine.code, theirs.code) == (1002, 1007):
        assert mine.events == theirs.events
    else:
        assert mine == theirs
