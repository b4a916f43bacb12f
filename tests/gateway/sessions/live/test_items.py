"""What is shown of a message and of an event is bounded, and holds what somebody said only where that is allowed."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.format.codec import to_json
from fairlead.format.messages import push
from fairlead_gateway.sessions.live.items import CUT, MAX_CONTENT, MAX_PARSED, event, message, sender


def head(frame: bytes, *, content: bool = False) -> dict[str, object]:
    return message("r1", "user:42", "m-1", "news", 7, frame, receivers=3, content=content)


def test_the_head_of_a_message() -> None:
    frame = push({"type": "news", "content": "secret"}, "user:42", sender="user:7").frame

    item = head(frame)

    assert item.pop("at")
    assert item == {
        "kind": "message",
        "replica": "r1",
        "channel": "user:42",
        "id": "m-1",
        "message_type": "news",
        "from": "user:7",
        "offset": 7,
        "bytes": len(frame),
        "receivers": 3,
    }


def test_what_it_says_is_cut() -> None:
    frame = push({"type": "news", "content": "ä" * 5000}, "user:42").frame

    content = head(frame, content=True)["content"]

    assert isinstance(content, str)
    assert frame.decode().startswith(content.removesuffix(CUT))
    assert MAX_CONTENT - 4 < len(content.encode()) <= MAX_CONTENT + len(CUT.encode())
    assert head(b'{"type":"x"}', content=True)["content"] == '{"type":"x"}'


@pytest.mark.parametrize(
    ("frame", "who"),
    [
        (b'{"type":"x","id":"1","from":"service:crm","to":"user:1"}', "service:crm"),
        (b'{"content":{"from":"user:forged"},"from":"user:1"}', "user:1"),
        (b'{"type":"x\\"","id":"1","from":"ai"}', "ai"),
        (b'{"from":7}', ""),
        (b'{"type":"x"}', ""),
        (b'{"cut":', ""),
        (b'{"content":"' + b"x" * MAX_PARSED + b'","from":"user:1"}', ""),
        (b'{"type":"x","id":"1","from":"user:1","content":"' + b"x" * MAX_PARSED + b'"}', "user:1"),
    ],
)
def test_who_says_it(frame: bytes, who: str) -> None:
    assert sender(frame) == who


def test_an_event_shows_its_facts_but_not_what_somebody_said() -> None:
    facts = {"event": "message_received", "user_id": "42", "content": {"text": "secret"}, "at": "forged"}

    hidden, shown = (event("r1", facts, content=content) for content in (False, True))

    assert "content" not in hidden
    assert shown["content"] == '{"text":"secret"}'
    assert (hidden["kind"], hidden["event"], hidden["user_id"]) == ("event", "message_received", "42")
    assert hidden["at"] != "forged"


def test_of_what_went_wrong_only_the_name_is_shown() -> None:
    item = event("r1", {"event": "error", "error": ValueError("holds a secret")}, content=True)

    assert item["error"] == "ValueError"


FACTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.builds(object),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=40,
)


@given(st.dictionaries(st.text(max_size=8), FACTS, max_size=30), st.booleans())
def test_whatever_an_application_tells_can_be_shown_and_is_short(facts: dict[str, object], content: bool) -> None:
    item = event("r1", {**facts, "event": "of_an_application"}, content=content)

    assert len(to_json(item)) < 32 * 1024


def test_facts_that_are_too_long_too_deep_or_too_many_are_cut() -> None:
    deep: list[object] = []
    for _ in range(90):
        deep = [deep]
    many = {f"fact{number}": number for number in range(100)}

    item = event("r1", {"event": "e", "long": "x" * 10_000, "list": ["x" * 1000], "deep": deep, **many}, content=True)

    assert str(item["long"]).endswith(CUT)
    assert (item["list"], item["deep"]) == (CUT, CUT)
    assert len(item) < 30
    assert orjson.loads(to_json(item)) == item
