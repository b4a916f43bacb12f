"""Whatever bytes a client sends, they are a map or an error that says what is wrong; never anything else."""

from __future__ import annotations

import json
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.errors import FairleadError, InvalidJson, InvalidMessage
from fairlead_gateway.dispatch.dispatcher import finish
from fairlead_gateway.pool import Format
from fairlead_gateway.sessions import frames
from fairlead_gateway.sessions.actions import BUILTINS
from fairlead_gateway.sessions.reading import action_of, checked, read_frame, ref_of
from fairlead_gateway.sessions.voice import encode

DEPTH = 32

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)
TEXTS = st.one_of(
    st.binary(max_size=80),
    st.text(max_size=80).map(str.encode),
    JSON.map(lambda value: json.dumps(value).encode()),
    st.text(alphabet='{}[]",:0123456789eE.-+\\utrfn al', max_size=40).map(str.encode),
)
PACKED = st.one_of(
    st.binary(max_size=80),
    JSON.filter(lambda value: fits(value)).map(msgpack.packb),
    st.dictionaries(st.integers(-5, 5) | st.binary(max_size=3), st.just(1), min_size=1, max_size=3).map(msgpack.packb),
)


def fits(value: Any) -> bool:
    """Whether msgpack can carry it at all."""
    try:
        msgpack.packb(value)
    except (OverflowError, ValueError):
        return False
    return True


def json_frame(text: str | bytes) -> dict[str, Any]:
    return read_frame(text.encode() if isinstance(text, str) else text, True, False, DEPTH)


def msgpack_frame(data: bytes) -> dict[str, Any]:
    return read_frame(data, False, True, DEPTH)


@settings(max_examples=200)
@given(TEXTS, st.booleans())
def test_any_text_is_a_map_that_can_be_written_again_or_an_error_that_says_why(data: bytes, is_text: bool) -> None:
    try:
        frame = read_frame(data, is_text, False, DEPTH)
    except FairleadError as error:
        assert error.code in ("invalid_json", "invalid_message")
        assert error.message
    else:
        assert isinstance(frame, dict)
        assert [finish(encode(frame), format) for format in Format]


@settings(max_examples=200)
@given(PACKED)
def test_any_msgpack_is_a_map_that_can_be_written_again_or_an_error_that_says_why(data: bytes) -> None:
    try:
        frame = msgpack_frame(data)
    except FairleadError as error:
        assert error.code in ("invalid_json", "invalid_message")
    else:
        assert isinstance(frame, dict)
        assert [finish(encode(frame), format) for format in Format]


@settings(max_examples=150)
@given(st.sampled_from(sorted(BUILTINS)), st.dictionaries(st.text(max_size=8), JSON, max_size=5), JSON)
def test_any_fields_make_a_checked_action_or_an_error_that_names_one(
    name: str, fields: dict[str, Any], value: Any
) -> None:
    model = BUILTINS[name].model
    for frame in (fields, dict.fromkeys(model.model_fields, value)):
        try:
            assert isinstance(checked(model, frame), model)
        except InvalidMessage as error:
            assert set(error.detail) == {"field"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "{",
        '{"a":1}{"b":2}',
        "{'a':1}",
        '{"a":NaN}',
        '{"a":Infinity}',
        '{"a":-Infinity}',
        '{"a":1e400}',
        '{"a":123456789012345678901234567890}',
        '{"a":18446744073709551616}',
        '{"a":-9223372036854775809}',
        '{"a":' + "9" * 5000 + "}",
        '{"a":"\\ud800"}',
        '{"\\udfff":1}',
        '{"a":' + "[" * 5000 + "]" * 5000 + "}",
    ],
)
def test_what_some_codec_could_not_carry_is_no_json(text: str) -> None:
    with pytest.raises(InvalidJson):
        json_frame(text)


@pytest.mark.parametrize("text", ["[]", "null", "7", '"ping"', "[{}]"])
def test_json_that_is_no_map_is_an_invalid_message(text: str) -> None:
    with pytest.raises(InvalidMessage):
        json_frame(text)


@pytest.mark.parametrize("levels", [1, 2, DEPTH])
@pytest.mark.parametrize("opened", ["[", '{"a":'])
def test_nesting_up_to_the_limit_is_read(levels: int, opened: str) -> None:
    assert json_frame(nested(levels, opened))


@pytest.mark.parametrize("levels", [DEPTH + 1, DEPTH + 2, 90, 400])
@pytest.mark.parametrize("opened", ["[", '{"a":'])
def test_nesting_beyond_the_limit_is_refused(levels: int, opened: str) -> None:
    with pytest.raises(InvalidJson):
        json_frame(nested(levels, opened))


def nested(levels: int, opened: str) -> str:
    """A map with so many levels of maps and lists, itself included."""
    closed = "]" if opened == "[" else "}"
    return '{"x":' + opened * (levels - 1) + "1" + closed * (levels - 1) + "}"


def test_brackets_within_strings_are_no_depth() -> None:
    assert json_frame('{"a":"' + "[{" * 100 + '"}')


def test_a_wide_map_is_not_deep() -> None:
    assert len(json_frame('{"a":[' + ",".join(["{}"] * 500) + "]}")["a"]) == 500


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        b"\x81\xa1a",
        msgpack.packb({"a": 1}) + b"\x00",
        msgpack.packb({1: "integer key"}),
        msgpack.packb({b"a": "binary key"}),
        msgpack.packb({"a": b"binary"}),
        msgpack.packb({"a": msgpack.ExtType(5, b"x")}),
        msgpack.packb({"a": msgpack.Timestamp(1)}),
        b"\x81\xa1a\xc7\x0c\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        msgpack.packb({"a": float("nan")}),
        msgpack.packb({"a": float("inf")}),
        b"\x81\xa1a\xa2\xff\xfe",
        b"\x81\xa1a\xa3\xed\xa0\x80",
        b"\x81\xa1a\xdd\xff\xff\xff\xff",
        b"\x81\xa1a" + b"\x91" * 60_000 + b"\x01",
        b"\x81\xa1a" + b"\x91" * DEPTH + b"\x01",
    ],
)
def test_hazards_of_msgpack_are_refused(data: bytes) -> None:
    with pytest.raises(InvalidJson):
        msgpack_frame(data)


@pytest.mark.parametrize("data", [b"\x90", b"\x01", b"\xc0", b"\xa4ping"])
def test_msgpack_that_is_no_map_is_an_invalid_message(data: bytes) -> None:
    with pytest.raises(InvalidMessage):
        msgpack_frame(data)


def test_the_wrong_kind_of_frame_is_an_invalid_message_that_says_which_is_right() -> None:
    with pytest.raises(InvalidMessage, match="agreed on text"):
        read_frame(b"{}", False, False, DEPTH)
    with pytest.raises(InvalidMessage, match="agreed on binary"):
        read_frame(b"{}", True, True, DEPTH)


def test_action_may_be_spelled_type_and_action_goes_first() -> None:
    assert action_of({"type": "ping"}) == "ping"
    assert action_of({"action": "ping", "type": "pong"}) == "ping"


@pytest.mark.parametrize("frame", [{}, {"action": ""}, {"action": 7}, {"action": None, "type": "ping"}, {"type": []}])
def test_an_action_that_is_missing_or_no_string_is_an_invalid_message(frame: dict[str, Any]) -> None:
    with pytest.raises(InvalidMessage):
        action_of(frame)


@pytest.mark.parametrize(
    ("id", "ref"),
    [("q1", "q1"), ("", ""), ("x" * 128, "x" * 128), ("x" * 129, None), (7, None), (None, None), ([], None)],
)
def test_an_id_is_echoed_as_far_as_it_is_one(id: object, ref: str | None) -> None:
    assert ref_of({"id": id}) == ref


def test_the_error_of_a_bad_field_names_it_and_shows_no_value() -> None:
    with pytest.raises(InvalidMessage) as caught:
        checked(frames.JoinSession, {"session_id": "secret value"})

    assert caught.value.detail == {"field": "session_id"}
    assert caught.value.message.startswith("session_id: ")
    assert "secret value" not in caught.value.message


def test_fields_that_we_do_not_know_are_ignored() -> None:
    assert checked(frames.JoinSession, {"session_id": "s1", "invented_tomorrow": 1}).session_id == "s1"


@pytest.mark.parametrize("id", ["", " ", "a b", "a/b", "a\n", "ä", "x" * 129, "*", "{1}", None, 7])
def test_what_is_no_id_is_refused_as_a_session(id: object) -> None:
    with pytest.raises(InvalidMessage):
        checked(frames.JoinSession, {"session_id": id})
