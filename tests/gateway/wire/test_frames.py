from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Close as TheirClose
from websockets.frames import Frame, Opcode

from fairlead_gateway.wire.frames import (
    CLOSE,
    MAX_REASON_BYTES,
    NO_STATUS,
    Closing,
    Violation,
    binary_frame,
    close_frame,
    control_frame,
    decode_close,
    encode_close,
    header,
    may_be_sent,
    ping_frame,
    pong_frame,
    text_frame,
)

SENDABLE = [*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)]


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        (0, b"\x82\x00"),
        (125, b"\x82\x7d"),
        (126, b"\x82\x7e\x00\x7e"),
        (65535, b"\x82\x7e\xff\xff"),
        (65536, b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00"),
    ],
)
def test_a_length_takes_as_few_bytes_as_it_needs(length: int, expected: bytes) -> None:
    assert header(2, length) == expected


@given(st.binary(max_size=300), st.sampled_from([Opcode.TEXT, Opcode.BINARY]), st.booleans())
def test_a_frame_is_what_websockets_would_have_sent(payload: bytes, opcode: Opcode, fin: bool) -> None:
    theirs = Frame(opcode, payload, fin=fin).serialize(mask=False)

    assert header(opcode, len(payload), fin) + payload == theirs


def test_a_compressed_frame_is_marked_in_its_first_reserved_bit() -> None:
    assert header(1, 5, rsv1=True) == b"\xc1\x05"


@given(st.text(max_size=200))
def test_each_kind_of_frame_is_what_websockets_would_have_sent(text: str) -> None:
    payload = text.encode()
    short = payload[:125]

    assert text_frame(payload) == Frame(Opcode.TEXT, payload).serialize(mask=False)
    assert binary_frame(payload) == Frame(Opcode.BINARY, payload).serialize(mask=False)
    assert ping_frame(short) == Frame(Opcode.PING, short).serialize(mask=False)
    assert pong_frame(short) == Frame(Opcode.PONG, short).serialize(mask=False)


def test_a_control_frame_carries_125_bytes_and_not_one_more() -> None:
    assert len(control_frame(CLOSE, bytes(125))) == 127

    with pytest.raises(ValueError, match="at most 125 bytes, not 126"):
        control_frame(CLOSE, bytes(126))


@given(st.integers(0, 65535))
def test_a_close_code_may_be_sent_exactly_when_it_is_registered_or_free(code: int) -> None:
    assert may_be_sent(code) is (code in SENDABLE)


@given(st.sampled_from(SENDABLE), st.text(max_size=30))
def test_a_close_payload_is_what_websockets_would_have_sent_and_reads_back(code: int, reason: str) -> None:
    payload = encode_close(code, reason)

    assert payload == TheirClose(code, reason).serialize()
    assert decode_close(payload) == Closing(code, reason)


@given(st.text(min_size=40, max_size=300))
def test_a_reason_that_is_too_long_is_cut_at_a_whole_character(reason: str) -> None:
    cut = decode_close(encode_close(4000, reason)).reason

    assert reason.startswith(cut)
    assert len(cut.encode()) <= MAX_REASON_BYTES
    assert cut == reason or len((cut + reason[len(cut)]).encode()) > MAX_REASON_BYTES


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 2999, 5000])
def test_a_code_that_may_not_be_sent_is_not_sent(code: int) -> None:
    with pytest.raises(ValueError, match=f"{code} may not stand in a close frame"):
        encode_close(code)


def test_no_status_is_an_empty_close_frame() -> None:
    assert close_frame(NO_STATUS) == b"\x88\x00"
    assert decode_close(b"") == Closing(NO_STATUS, "")


@pytest.mark.parametrize(
    ("payload", "code"), [(b"\x03", 1002), (b"\x03\xe7", 1002), (b"\x03\xed", 1002), (b"\x03\xe8\xff", 1007)]
)
def test_a_close_payload_that_makes_no_sense_is_a_violation(payload: bytes, code: int) -> None:
    with pytest.raises(Violation) as violation:
        decode_close(payload)

    assert violation.value.code == code
