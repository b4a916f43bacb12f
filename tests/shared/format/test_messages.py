from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.errors import FairleadError, InvalidJson, InvalidMessage, TooLarge
from fairlead.format.codec import from_json, from_msgpack, to_msgpack
from fairlead.format.envelope import Envelope
from fairlead.format.messages import checked_exclude, checked_sender, push


def frame_of(envelope: Envelope) -> dict[str, Any]:
    frame = json.loads(envelope.frame)
    assert isinstance(frame, dict)
    return frame


def test_a_push_has_exactly_the_fields_of_the_protocol() -> None:
    envelope = push({"type": "hello", "content": {"a": 1}, "metadata": {"m": 1}}, "user:42", message_id="m-1")
    frame = frame_of(envelope)

    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", frame.pop("timestamp"))
    assert frame == {
        "type": "hello",
        "id": "m-1",
        "from": "system",
        "to": "user:42",
        "content": {"a": 1},
        "metadata": {"m": 1},
        "channel": "user:42",
    }
    assert (envelope.id, envelope.type) == ("m-1", "hello")


def test_a_push_to_a_session_names_the_session() -> None:
    assert frame_of(push({"type": "x", "session_id": "other"}, "session:s1"))["session_id"] == "s1"
    assert frame_of(push({"type": "x", "session_id": "other"}, "user:42"))["session_id"] == "other"


def test_clients_are_asked_to_acknowledge_whatever_the_message_itself_says() -> None:
    message = {"type": "x", "requires_ack": "?"}

    assert json.loads(push(message, "user:42", requires_ack=True).frame)["requires_ack"] is True
    assert json.loads(push(message, "user:42").frame)["requires_ack"] == "?"


def test_fields_of_the_message_stay_at_top_level() -> None:
    frame = frame_of(push({"type": "task_update", "task_id": "t1", "progress": 75}, "task:t1"))

    assert (frame["task_id"], frame["progress"]) == ("t1", 75)


def test_nobody_can_forge_who_speaks_where_and_at_which_offset() -> None:
    forged = {"type": "x", "from": "user:admin", "to": "user:1", "channel": "broadcast", "offset": 99}

    frame = frame_of(push(forged, "user:42", sender="user:7"))

    assert (frame["from"], frame["to"], frame["channel"]) == ("user:7", "user:42", "user:42")
    assert "offset" not in frame


def test_an_id_in_the_message_counts_unless_one_is_given() -> None:
    assert push({"type": "x", "id": "mine"}, "user:42").id == "mine"
    assert push({"type": "x", "id": "mine"}, "user:42", message_id="given").id == "given"
    assert len(push({"type": "x"}, "user:42").id) == 36


def test_times_are_rfc_3339_in_utc_with_milliseconds() -> None:
    east = datetime(2026, 1, 31, 14, 0, 0, 123999, tzinfo=timezone(timedelta(hours=2)))

    assert frame_of(push({"type": "x", "timestamp": east}, "user:42"))["timestamp"] == "2026-01-31T12:00:00.123Z"
    naive = {"type": "x", "timestamp": datetime(2026, 1, 31)}
    assert frame_of(push(naive, "user:42"))["timestamp"] == "2026-01-31T00:00:00.000Z"


def test_the_timestamp_is_now() -> None:
    before = datetime.now(UTC) - timedelta(milliseconds=1)

    told = datetime.fromisoformat(frame_of(push({"type": "x"}, "user:42"))["timestamp"])

    assert before <= told <= datetime.now(UTC)


@pytest.mark.parametrize("type_", [None, "", 7, "x" * 65, "a\nb", "a\x1b[0m", ["x"], "\ud800"])
def test_a_message_needs_a_type(type_: object) -> None:
    with pytest.raises(InvalidMessage, match="type"):
        push({"type": type_}, "user:42")


@pytest.mark.parametrize("id_", ["", "x" * 129, 7, "a\nb", "\ud800", ["x"]])
def test_a_message_id_is_a_short_printable_string(id_: object) -> None:
    with pytest.raises(InvalidMessage, match="id"):
        push({"type": "x", "id": id_}, "user:42")


def test_a_message_is_a_mapping() -> None:
    with pytest.raises(InvalidMessage, match="mapping"):
        push("hello", "user:42")  # type: ignore[arg-type]


def test_a_message_over_a_megabyte_is_refused() -> None:
    with pytest.raises(TooLarge) as caught:
        push({"type": "x", "content": "x" * 1_000_000}, "user:42")

    assert caught.value.detail["limit"] == 1_000_000


@pytest.mark.parametrize("good", ["", "connection:c1", "user:42"])
def test_one_connection_or_user_can_be_excluded(good: str) -> None:
    assert push({"type": "x"}, "topic:t", exclude=good).exclude == good


@pytest.mark.parametrize("bad", ["c1", "session:s", "user:", "user:a b"])
def test_nothing_else_can_be_excluded(bad: str) -> None:
    with pytest.raises(InvalidMessage):
        checked_exclude(bad)


@pytest.mark.parametrize("bad", ["", "root", "user:", "service:a b", None, 7, "connection:c"])
def test_a_sender_is_system_ai_a_user_or_a_service(bad: object) -> None:
    with pytest.raises(InvalidMessage):
        checked_sender(bad)


@given(
    st.dictionaries(
        st.sampled_from(["type", "id", "content", "metadata", "offset", "x"]) | st.text(max_size=5),
        st.none()
        | st.integers()
        | st.floats()
        | st.text(st.characters(), max_size=70)
        | st.lists(st.floats(), max_size=3),
        max_size=6,
    )
)
def test_any_message_that_is_accepted_is_carried_by_json_and_msgpack(message: dict[str, object]) -> None:
    try:
        envelope = push(message, "session:s1")
    except FairleadError as error:
        assert isinstance(error, InvalidMessage | InvalidJson)
        return

    frame = from_json(envelope.frame)

    assert envelope.frame.startswith(b'{"')
    assert from_msgpack(to_msgpack(frame)) == frame
