"""Bytes that mean nothing, without a network: they are understood or end the connection, and little of them is kept."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fairlead_gateway.wire.deflate import inflate, negotiate
from fairlead_gateway.wire.frames import Violation, decode_close
from fairlead_gateway.wire.parser import FrameParser


@given(st.lists(st.binary(max_size=400), max_size=20), st.booleans(), st.booleans())
def test_a_parser_hears_nonsense_or_ends_and_keeps_little(
    pieces: list[bytes], deflates: bool, from_client: bool
) -> None:
    parser = FrameParser(500, deflates, from_client)
    try:
        for piece in pieces:
            parser.feed(piece)
            while (event := parser.next()) is not None:
                opcode, payload = event
                assert opcode in (1, 2, 8, 9, 10)
                assert len(payload) <= (500 if opcode < 8 else 125)
            assert parser.pending <= 500 + 14 + 131
    except Violation as violation:
        assert violation.code in (1002, 1007, 1008, 1009)


@given(st.binary(max_size=300), st.integers(0, 1000))
def test_inflating_nonsense_gives_little_or_ends(payload: bytes, max_bytes: int) -> None:
    try:
        assert len(inflate(payload, max_bytes)) <= max_bytes
    except Violation as violation:
        assert violation.code in (1007, 1009)


@given(st.binary(max_size=125))
def test_a_close_payload_is_understood_or_ends(payload: bytes) -> None:
    try:
        assert 1000 <= decode_close(payload).code <= 4999
    except Violation as violation:
        assert violation.code in (1002, 1007)


@given(st.text('permessage-deflate; ,="_x8123no', max_size=100))
def test_any_offer_is_taken_or_declined(offers: str) -> None:
    agreed = negotiate(offers)

    assert agreed is None or 9 <= agreed.window_bits <= 12
