from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets import utils
from websockets.frames import Frame, Opcode

from fairlead_gateway.wire import parser as parser_module
from fairlead_gateway.wire.frames import BINARY, PING, TEXT, Violation, binary_frame, ping_frame, text_frame
from fairlead_gateway.wire.parser import FrameParser
from tests.conformance.client import masked, text
from tests.gateway.wire.streams import Verdict, cut_at, ours, streams


@given(streams(), st.lists(st.integers(min_value=0), max_size=8))
def test_where_a_stream_is_cut_makes_no_difference(frames: list[bytes], places: list[int]) -> None:
    stream = b"".join(frames)

    assert ours(cut_at(stream, places)) == ours([stream])


def test_a_stream_may_be_cut_at_every_boundary() -> None:
    stream = b"".join(
        (
            text("hello"),
            masked(0x02, b"x" * 130),
            masked(0x89, b"ping"),
            masked(0x80, b"y" * 70_000),
            text("€"),
            masked(0x88, b"\x03\xe8bye"),
        )
    )
    whole = ours([stream])

    interesting = [*range(200), *range(len(stream) - 100, len(stream))]

    assert [opcode for opcode, _ in whole.events] == [1, 9, 2, 1, 8]
    assert all(ours([stream[:place], stream[place:]]) == whole for place in interesting)
    assert ours([stream[place : place + 1] for place in range(len(stream))]) == whole


@given(st.lists(st.tuples(st.sampled_from([1, 2, 9]), st.text(max_size=30).map(str.encode)), max_size=6))
def test_finished_server_frames_are_taken_apart_into_what_they_were_made_of(events: list[tuple[int, bytes]]) -> None:
    make = {TEXT: text_frame, BINARY: binary_frame, PING: ping_frame}
    joined = b"".join(make[opcode](payload) for opcode, payload in events)

    assert ours([joined], from_client=False) == Verdict(tuple(events), 0)


def test_a_server_frame_that_is_masked_is_a_violation() -> None:
    assert ours([text("hello")], from_client=False) == Verdict((), 1002)


def test_a_message_of_exactly_the_limit_is_heard_and_one_byte_more_is_not() -> None:
    fragments = [masked(0x01, b"x" * 60), masked(0x80, b"x" * 40)]

    assert ours([masked(0x81, b"x" * 100)], max_bytes=100).code == 0
    assert ours(fragments, max_bytes=100).code == 0
    assert ours([masked(0x81, b"x" * 101)], max_bytes=100).code == 1009
    assert ours([*fragments[:1], masked(0x80, b"x" * 41)], max_bytes=100).code == 1009


@pytest.mark.parametrize("announcement", [b"\x81\xfe\xff\xff", b"\x82\xff\x00\x00\x00\x01\x00\x00\x00\x00"])
def test_a_message_that_is_too_large_is_refused_before_its_first_byte(announcement: bytes) -> None:
    assert ours([announcement], max_bytes=1000) == Verdict((), 1009)


def test_control_frames_do_not_count_towards_the_limit() -> None:
    stream = [masked(0x01, b"x" * 90), masked(0x89, b"y" * 100), masked(0x80, b"x" * 10)]

    assert ours(stream, max_bytes=100) == Verdict(((9, b"y" * 100), (1, b"x" * 100)), 0)


def test_what_comes_before_a_violation_is_heard() -> None:
    assert ours([text("one") + text("two") + b"\x83"]) == Verdict(((1, b"one"), (1, b"two")), 0)
    assert ours([text("one") + text("two") + b"\x83\x80"]) == Verdict(((1, b"one"), (1, b"two")), 1002)


def test_nothing_is_parsed_before_it_is_asked_for() -> None:
    parser = FrameParser(1000)
    parser.feed(text("one") + text("two"))

    assert parser.next() == (TEXT, b"one")
    parser.feed(text("three") + b"\x83\x80")
    assert parser.next() == (TEXT, b"two")
    assert parser.next() == (TEXT, b"three")
    with pytest.raises(Violation, match="reserved opcode"):
        parser.next()


@given(streams(), st.integers(1, 300))
def test_what_waits_is_never_more_than_a_message_and_the_head_of_a_frame(frames: list[bytes], step: int) -> None:
    parser = FrameParser(200)
    stream = b"".join(frames)
    try:
        for place in range(0, len(stream), step):
            parser.feed(stream[place : place + step])
            while parser.next() is not None:
                pass
            assert parser.pending <= 200 + 14 + 131
    except Violation:
        pass


def test_an_idle_parser_keeps_nothing() -> None:
    parser = FrameParser(1 << 20)
    for place in range(0, 200_014, 1000):
        parser.feed(masked(0x82, bytes(200_000))[place : place + 1000])
        event = parser.next()

    assert event == (BINARY, bytes(200_000))
    assert parser.next() is None
    assert parser.pending == 0
    assert parser._data == b""


def test_a_message_in_many_small_pieces_costs_no_more_memory_than_it_is_long() -> None:
    parser = FrameParser(1 << 20)
    fragment = masked(0x00, b"x")
    parser.feed(masked(0x02, b"x"))
    assert parser.next() is None
    tracemalloc.start()
    for _ in range(20_000):
        parser.feed(fragment)
        assert parser.next() is None
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert parser.pending == 20_001
    assert held < 60_000


def test_the_slow_way_to_unmask_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = [text("hello") + masked(0x82, bytes(range(256)) * 300)]
    expected = ours(stream)

    monkeypatch.setattr(parser_module, "apply_mask", utils.apply_mask)

    assert ours(stream) == expected
    assert ours([stream[0][:9], stream[0][9:]]) == expected


@pytest.mark.parametrize("length", [0, 1, 125, 126, 65535, 65536])
@pytest.mark.parametrize("opcode", [Opcode.BINARY, Opcode.PING])
def test_what_websockets_sends_is_heard(length: int, opcode: Opcode) -> None:
    payload = bytes(length if opcode is Opcode.BINARY else min(length, 125))

    assert ours([bytes(Frame(opcode, payload).serialize(mask=True))]) == Verdict(((int(opcode), payload),), 0)
