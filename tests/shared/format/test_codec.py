from __future__ import annotations

import enum
import json
import math
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

import msgpack
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import BaseModel

from fairlead.errors import InvalidJson, TooLarge
from fairlead.format.codec import MAX_DEPTH, bounded, from_json, from_msgpack, to_json, to_msgpack

ANY_TEXT = st.text(alphabet=st.characters())
"""Lone surrogates included."""

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ANY_TEXT, inner, max_size=4),
    max_leaves=15,
)
PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=15,
)


@given(ANYTHING)
@example(2**64)
@example(-(2**63) - 1)
@example("\ud800")
@example({"\ud800": 1})
@example(math.nan)
@example([math.inf])
@example("NaN Infinity 1e999 99999999999999999999")
def test_whatever_is_accepted_is_carried_by_every_codec(value: object) -> None:
    try:
        data = to_json(value)
    except InvalidJson:
        return

    plain = from_json(data)

    assert json.loads(data) == plain
    assert from_msgpack(to_msgpack(plain)) == plain


@given(PLAIN)
def test_plain_values_come_back_as_they_were(value: object) -> None:
    assert from_json(to_json(value)) == value
    assert from_msgpack(to_msgpack(value)) == value


@given(st.binary(max_size=100))
def test_hostile_bytes_are_invalid_json_and_nothing_else(data: bytes) -> None:
    for decode in (from_json, from_msgpack):
        try:
            value = decode(data)
        except InvalidJson:
            continue
        assert from_json(to_json(value)) == value


@pytest.mark.parametrize(
    "text",
    ["NaN", "Infinity", "-Infinity", "1e400", "-1e400", "1E+999", "1" * 400 + ".0", "18446744073709551616", '"\\ud800"',
     "[1,]", "{'a':1}", "", "{}x", "[" * 5000, "\ufeff{}", "\ud800"],
)  # fmt: skip
def test_json_that_some_codec_could_not_carry_is_refused(text: str) -> None:
    with pytest.raises(InvalidJson):
        from_json(text)


@pytest.mark.parametrize(
    "data",
    [
        msgpack.packb({1: 2}),
        msgpack.packb({"a": b"binary"}),
        msgpack.packb(msgpack.ExtType(5, b"x")),
        msgpack.packb(msgpack.Timestamp(1)),
        msgpack.packb(math.nan),
        msgpack.packb([math.inf]),
        b"\xd7\xff" + b"\xff" * 8,
        b"\xa2\xff\xfe",
        b"\xdd\xff\xff\xff\xff",
        b"\x90" * 5000,
        b"\x91" * 5000,
        b"\x91" * 200 + b"\xc0",
        b"\x01\x02",
        b"\xc1",
        b"",
    ],
)
def test_msgpack_that_json_could_not_carry_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidJson):
        from_msgpack(data)


def nested(depth: int) -> object:
    value: object = 1
    for level in range(depth):
        value = [value] if level % 2 else {"a": value}
    return value


def test_depth_is_bounded_alike_in_both_directions() -> None:
    deepest = to_json(nested(MAX_DEPTH))
    too_deep = json.dumps(nested(MAX_DEPTH + 1))

    assert from_json(deepest) == nested(MAX_DEPTH)
    with pytest.raises(InvalidJson, match="deeper"):
        to_json(nested(MAX_DEPTH + 1))
    with pytest.raises(InvalidJson, match="deeper"):
        from_json(too_deep)
    with pytest.raises(InvalidJson, match="deeper"):
        from_msgpack(msgpack.packb(nested(MAX_DEPTH + 1)))


def test_a_wide_message_is_not_taken_for_a_deep_one() -> None:
    wide = [{"a": [i]} for i in range(1000)]

    assert from_json(to_json(wide)) == wide


class Colour(enum.Enum):
    RED = "red"


class Model(BaseModel):
    when: datetime
    who: uuid.UUID


@dataclass
class Point:
    x: int


def test_models_dates_and_ids_have_a_json_form() -> None:
    when, who = datetime(2026, 1, 31, 12, tzinfo=UTC), uuid.UUID(int=7)

    value = from_json(
        to_json({"model": Model(when=when, who=who), "point": Point(1), "colour": Colour.RED, "price": Decimal("1.5")})
    )

    assert value == {
        "model": {"when": "2026-01-31T12:00:00Z", "who": str(who)},
        "point": {"x": 1},
        "colour": "red",
        "price": "1.5",
    }


@pytest.mark.parametrize("value", [object(), b"\xff", lambda: None])
def test_what_has_no_json_form_is_refused(value: object) -> None:
    with pytest.raises(InvalidJson):
        to_json({"a": value})


def test_a_value_that_holds_itself_is_refused() -> None:
    loop: list[object] = []
    loop.append(loop)

    with pytest.raises(InvalidJson):
        to_json(loop)


def test_json_is_compact_and_not_escaped() -> None:
    assert to_json({"a": "é", "b": [1, 2]}) == '{"a":"é","b":[1,2]}'.encode()


def test_a_message_too_large_says_by_how_much() -> None:
    with pytest.raises(TooLarge) as caught:
        bounded(b"x" * 11, 10)

    assert caught.value.detail == {"size": 11, "limit": 10}
    assert bounded(b"x" * 10, 10) == b"x" * 10
