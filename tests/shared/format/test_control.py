from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.codes import CLOSES, KICKED
from fairlead.errors import InvalidMessage
from fairlead.format.control import CloseOrder, Sighting, TapOrder, close_order, parse, sighting, tap_order
from fairlead.format.envelope import CONTROL, Envelope, unseal
from fairlead.format.messages import push


@pytest.mark.parametrize("code", [close.code for close in CLOSES])
def test_an_order_to_close_arrives_as_it_was_given(code: int) -> None:
    order = close_order(code, "kicked: bye", exclude="connection:c1")

    assert parse(unseal(order.seal()).envelope) == CloseOrder(code, "kicked: bye")
    assert order.exclude == "connection:c1"


@pytest.mark.parametrize("seconds", [0, 15.0])
def test_an_order_to_show_what_passes_by_arrives_as_it_was_given(seconds: float) -> None:
    order = TapOrder("t-1", {"types": ["x*"]}, True, seconds, "replica:r1")

    assert parse(unseal(tap_order(order).seal()).envelope) == order


def test_what_was_seen_arrives_as_it_was_told() -> None:
    seen = Sighting("t-1", [{"kind": "event", "event": "connection"}], 3)

    assert parse(unseal(sighting(seen).seal()).envelope) == seen


def test_a_message_to_clients_is_no_order() -> None:
    assert parse(push({"type": "control", "op": "close", "code": KICKED.code, "reason": ""}, "user:42")) is None


def test_an_order_of_a_later_version_is_ignored() -> None:
    assert parse(Envelope("m", "control", b'{"op":"dance"}', flags=CONTROL)) is None


@pytest.mark.parametrize(
    "frame",
    [
        b"{",
        b"{}",
        b'{"op":7}',
        b'{"op":"close"}',
        b'{"op":"close","code":1,"reason":""}',
        b'{"op":"close","code":"4003","reason":""}',
        b'{"op":"close","code":4003,"reason":7}',
        b'{"op":"tap","id":"t","wanted":{},"content":false,"seconds":"15","to":"replica:r"}',
        b'{"op":"tap","id":"t","wanted":[],"content":false,"seconds":15,"to":"replica:r"}',
        b'{"op":"sighting","id":"t","items":{},"dropped":0}',
    ],
)
def test_a_malformed_order_is_refused(frame: bytes) -> None:
    with pytest.raises(InvalidMessage):
        parse(Envelope("m", "control", frame, flags=CONTROL))


@given(st.integers())
def test_only_known_codes_can_be_ordered(code: int) -> None:
    if code not in {close.code for close in CLOSES}:
        with pytest.raises(InvalidMessage):
            close_order(code, "")
