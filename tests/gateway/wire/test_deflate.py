from __future__ import annotations

import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory, PerMessageDeflate
from websockets.frames import Frame, Opcode

from fairlead_gateway.wire.deflate import WINDOW_BITS, Deflate, deflate, deflated_frame, inflate, negotiate
from fairlead_gateway.wire.frames import BINARY, TEXT, Violation
from tests.conformance.client import masked
from tests.gateway.wire.streams import Verdict, cut_at, ours

PLAIN = "permessage-deflate"
FIN_TEXT_DEFLATED = 0xC1


@pytest.mark.parametrize(
    ("offers", "window_bits"),
    [
        (PLAIN, 12),
        (f"{PLAIN}; client_max_window_bits", 12),
        (f"{PLAIN};client_max_window_bits=9", 12),
        (f"{PLAIN}; server_no_context_takeover; client_no_context_takeover", 12),
        (f"{PLAIN}; server_max_window_bits=15", 12),
        (f"{PLAIN}; server_max_window_bits=10", 10),
        (f'{PLAIN}; server_max_window_bits="9"', 9),
        (f"{PLAIN}; server_max_window_bits=8, {PLAIN}", 12),
        (f"{PLAIN}; unheard_of, {PLAIN}; server_max_window_bits=11", 11),
        (f"x-webkit-deflate-frame, {PLAIN}", 12),
    ],
)
def test_the_first_offer_that_can_be_kept_is_taken(offers: str, window_bits: int) -> None:
    assert negotiate(offers) == Deflate(window_bits)


@pytest.mark.parametrize(
    "offers",
    [
        "",
        "x-webkit-deflate-frame",
        f"{PLAIN}; server_max_window_bits",
        f"{PLAIN}; server_max_window_bits=8",
        f"{PLAIN}; server_max_window_bits=16",
        f"{PLAIN}; server_max_window_bits=08",
        f"{PLAIN}; client_max_window_bits=7",
        f"{PLAIN}; client_max_window_bits=",
        f"{PLAIN}; server_no_context_takeover=1",
        f"{PLAIN}; client_no_context_takeover; client_no_context_takeover",
        f"{PLAIN}; unheard_of",
        f"{PLAIN};",
    ],
)
def test_an_offer_that_is_malformed_or_cannot_be_kept_is_declined(offers: str) -> None:
    assert negotiate(offers) is None


def test_what_was_agreed_forbids_memory_between_messages_on_both_sides() -> None:
    response = Deflate(10).response

    assert "server_no_context_takeover" in response
    assert "client_no_context_takeover" in response
    assert "server_max_window_bits=10" in response


@pytest.mark.parametrize("window_bits", [9, 12, 15])
def test_websockets_agrees_to_what_was_agreed_and_reads_what_was_compressed(window_bits: int) -> None:
    factory = ClientPerMessageDeflateFactory(server_max_window_bits=window_bits)
    agreed = Deflate(min(window_bits, WINDOW_BITS))
    said = (part.strip().partition("=") for part in agreed.response.split(";")[1:])
    parameters = [(name, value or None) for name, _, value in said]

    theirs = factory.process_response_params(parameters, [])
    for text in ("hello", "x" * 10_000, ""):
        frame = Frame(Opcode.TEXT, deflate(text.encode(), agreed.window_bits), rsv1=True)

        assert bytes(theirs.decode(frame).data) == text.encode()


def test_a_frame_compressed_for_all_is_for_windows_that_are_large_enough() -> None:
    assert Deflate(WINDOW_BITS).takes_shared
    assert not Deflate(WINDOW_BITS - 1).takes_shared


@given(st.binary(max_size=5000), st.sampled_from([9, 11, 12, 15]))
def test_what_is_compressed_inflates_to_itself(payload: bytes, window_bits: int) -> None:
    assert inflate(deflate(payload, window_bits), 5000) == payload


@given(st.binary(max_size=5000), st.sampled_from([TEXT, BINARY]))
def test_a_compressed_frame_is_marked_and_taken_apart(payload: bytes, opcode: int) -> None:
    payload = payload if opcode == BINARY else payload.hex().encode()

    assert ours([deflated_frame(opcode, payload)], from_client=False, deflates=True) == Verdict(((opcode, payload),), 0)


@given(st.binary(max_size=2000), st.lists(st.integers(min_value=0), max_size=4))
def test_what_websockets_compresses_is_heard_however_it_is_fragmented(payload: bytes, places: list[int]) -> None:
    theirs = PerMessageDeflate(True, True, 15, 15)
    compressed = bytes(theirs.encode(Frame(Opcode.BINARY, payload)).data)
    parts = cut_at(compressed, places) or [b""]
    frames = [
        masked((0x80 if last else 0) | (0x42 if number == 0 else 0), part)
        for number, part in enumerate(parts)
        for last in [number == len(parts) - 1]
    ]

    assert ours(frames, deflates=True) == Verdict(((BINARY, payload),), 0)


@pytest.mark.parametrize("size", [101, 10_000_000])
def test_a_bomb_is_refused_without_being_inflated(size: int) -> None:
    bomb = deflate(bytes(size), 15)
    tracemalloc.start()
    with pytest.raises(Violation) as violation:
        inflate(bomb, 100)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert violation.value.code == 1009
    assert peak < 200_000 + len(bomb)


def test_a_message_may_inflate_to_exactly_the_limit() -> None:
    assert inflate(deflate(bytes(100)), 100) == bytes(100)


@pytest.mark.parametrize("payload", [b"\xff\xff\xff\xff", b"\x07garbage", zlib.compress(b"with a header")])
def test_what_is_not_deflate_is_a_violation(payload: bytes) -> None:
    assert ours([masked(FIN_TEXT_DEFLATED, payload)], deflates=True) == Verdict((), 1007)


def test_a_final_block_ends_a_message_as_the_rfc_shows() -> None:
    assert inflate(b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00", 100) == b"Hello"


@pytest.mark.parametrize(
    "payload",
    [
        b"\xf2\x48\xcd\xc9\xc9\x07\x00",
        b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00",
        b"\x00\x05\x00\xfa\xffHello\x00",
    ],
)
def test_every_way_in_which_the_rfc_writes_hello_is_read(payload: bytes) -> None:
    assert ours([masked(FIN_TEXT_DEFLATED, payload)], deflates=True) == Verdict(((TEXT, b"Hello"),), 0)


def test_compressed_text_must_be_utf8_when_inflated() -> None:
    assert ours([masked(FIN_TEXT_DEFLATED, deflate(b"\xff\xfe"))], deflates=True) == Verdict((), 1007)


def test_the_mark_of_compression_belongs_to_the_first_fragment_of_a_message_only() -> None:
    compressed = deflate(b"hello")

    for wrong in (0xC9, 0xC0, 0x40):
        start = masked(0x41, compressed[:2])
        assert ours([start, masked(wrong, compressed[2:])], deflates=True).code == 1002


def test_a_compressed_message_is_an_error_where_nothing_was_agreed() -> None:
    assert ours([masked(FIN_TEXT_DEFLATED, deflate(b"hello"))]) == Verdict((), 1002)


def test_compression_and_plain_messages_may_be_mixed() -> None:
    stream = [masked(FIN_TEXT_DEFLATED, deflate(b"one")), masked(0x81, b"two"), masked(FIN_TEXT_DEFLATED, deflate(b""))]

    assert ours(stream, deflates=True) == Verdict(((TEXT, b"one"), (TEXT, b"two"), (TEXT, b"")), 0)
