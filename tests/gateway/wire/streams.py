"""Streams of frames, mostly right and sometimes wrong, and what a parser says about them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from hypothesis import strategies as st

from fairlead_gateway.wire.frames import CLOSE, Violation, decode_close
from fairlead_gateway.wire.parser import Event, FrameParser
from tests.conformance.client import masked


class Verdict(NamedTuple):
    """Whole messages and control frames up to the end, and the code that ended it: 0 while it goes on."""

    events: tuple[Event, ...]
    code: int


def ours(
    pieces: Iterable[bytes], max_bytes: int = 1 << 20, from_client: bool = True, deflates: bool = False
) -> Verdict:
    """What our parser says; like a connection it stops at a close frame and at a violation."""
    parser = FrameParser(max_bytes, deflates, from_client)
    events: list[Event] = []
    try:
        for piece in pieces:
            parser.feed(piece)
            while (event := parser.next()) is not None:
                opcode, payload = event
                if opcode == CLOSE:
                    return Verdict((*events, event), decode_close(payload).code)
                events.append(event)
    except Violation as violation:
        return Verdict(tuple(events), violation.code)
    return Verdict(tuple(events), 0)


UTF8 = st.text(max_size=40).map(str.encode)
NEARLY_UTF8 = st.one_of(
    UTF8, st.binary(max_size=12), st.just(b"\xed\xa0\x80"), st.just(b"\xf4\x90"), st.just(b"\xe2\x82")
)
CODES = st.one_of(st.sampled_from([999, 1000, 1001, 1004, 1005, 1006, 1011, 1015, 2999, 3000, 4999, 5000]))
CLOSINGS = st.one_of(
    st.just(b""), st.just(b"\x03"), st.builds(lambda code, why: code.to_bytes(2, "big") + why, CODES, UTF8)
)
MASKS = st.binary(min_size=4, max_size=4)


@st.composite
def messages(draw: st.DrawFn) -> list[bytes]:
    """The frames of one message, perhaps fragmented, perhaps with pings between."""
    opcode = draw(st.sampled_from([1, 2]))
    payload = draw(NEARLY_UTF8 if opcode == 1 else st.binary(max_size=300))
    cuts = sorted(draw(st.lists(st.integers(0, len(payload)), max_size=3)))
    borders = [0, *cuts, len(payload)]
    parts = [payload[a:b] for a, b in pairwise(borders)]
    frames = []
    for number, part in enumerate(parts):
        first = (0x80 if number == len(parts) - 1 else 0) | (opcode if number == 0 else 0)
        frames.append(masked(first, part, draw(MASKS)))
        if draw(st.integers(0, 4)) == 0:
            frames.append(masked(draw(st.sampled_from([0x89, 0x8A])), draw(st.binary(max_size=20))))
    return frames


WRONG = st.one_of(
    st.builds(masked, st.integers(0, 255), st.binary(max_size=10)),
    st.just(b"\x81\x03abc"),
    st.just(masked(0x89, bytes(126))),
)
ENDINGS = st.one_of(st.just(b""), st.builds(masked, st.just(0x88), CLOSINGS), WRONG)


@st.composite
def streams(draw: st.DrawFn) -> list[bytes]:
    """Whole frames of a client."""
    frames = [frame for message in draw(st.lists(messages(), max_size=4)) for frame in message]
    return [*frames, draw(ENDINGS), *draw(st.sampled_from([[], [masked(0x81, b"after")]]))]


def cut_at(data: bytes, places: Sequence[int]) -> list[bytes]:
    """*data* in pieces."""
    borders = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[a:b] for a, b in pairwise(borders) if a < b]
