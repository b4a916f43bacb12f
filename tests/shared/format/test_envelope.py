from __future__ import annotations

import json

import msgpack
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fairlead.errors import InvalidMessage
from fairlead.format.envelope import Delivery, Envelope, unseal, with_offset

TEXT = st.text(max_size=40)
ENVELOPES = st.builds(
    Envelope,
    id=TEXT,
    type=TEXT,
    frame=st.dictionaries(TEXT, st.integers() | TEXT, min_size=1).map(lambda fields: json.dumps(fields).encode()),
    exclude=TEXT,
    flags=st.integers(0, 255),
    trace=TEXT,
)
WORKED_EXAMPLE = bytes.fromhex(
    "97 01 a3 6d2d31 a5 68656c6c6f a0 00 a0"  # [1, "m-1", "hello", "", 0, "",
    "c4 1b 7b2274797065223a2268656c6c6f222c226964223a226d2d31227d"  # the frame, 27 bytes]
)


def test_the_worked_example_is_what_the_library_writes_and_reads() -> None:
    envelope = Envelope("m-1", "hello", b'{"type":"hello","id":"m-1"}')

    assert envelope.seal() == WORKED_EXAMPLE
    assert unseal(WORKED_EXAMPLE) == Delivery(0, "", envelope)


@given(ENVELOPES)
def test_what_is_sealed_is_unsealed_the_same(envelope: Envelope) -> None:
    assert unseal(envelope.seal()) == Delivery(0, "", envelope)


@given(ENVELOPES, st.integers(0, 2**53), st.text(alphabet="0123456789abcdef.", max_size=40))
def test_a_position_in_front_is_read_with_it(envelope: Envelope, offset: int, epoch: str) -> None:
    positioned = b"\x93" + msgpack.packb(offset) + msgpack.packb(epoch) + envelope.seal()

    assert unseal(positioned) == Delivery(offset, epoch, envelope)


@given(ENVELOPES)
def test_fields_that_a_later_version_adds_are_ignored(envelope: Envelope) -> None:
    later = msgpack.packb([2, *msgpack.unpackb(envelope.seal())[1:], "new"])

    assert unseal(later).envelope == envelope


@given(st.binary(max_size=200))
@example(b"")
@example(b"\x93")
@example(b"\x93\x01\x02\x03")
@example(b"\x97" + b"\x90" * 7)
@example(b'{"type":"x"}')
@example(b"\x90" * 5000)
def test_hostile_bytes_are_an_invalid_message_and_nothing_else(data: bytes) -> None:
    try:
        unseal(data)
    except InvalidMessage:
        return
    assert data[0] in (0x93, 0x97, 0x98, 0xDC, 0xDD)


@pytest.mark.parametrize("frame", [b"", b"[1]", b'"x"', b"{\xff}"])
def test_a_frame_is_a_json_object_in_utf_8(frame: bytes) -> None:
    with pytest.raises(InvalidMessage):
        unseal(Envelope("m", "t", frame).seal())


def test_an_offset_is_spliced_into_the_frame() -> None:
    assert json.loads(with_offset(b'{"type":"x"}', 17)) == {"offset": 17, "type": "x"}
