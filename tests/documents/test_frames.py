"""The frames of the protocol page are those that real clients say and hear: the same keys, the same types."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from fairlead_gateway.sessions.actions import RESERVED
from tests.documents.conversation import Record
from tests.documents.pages import Block, blocks_in

FREE = {"content", "document", "metadata", "patch", "result", "schema", "acknowledged", "snapshot", "detail"}
"""Fields of which everybody makes what they like; what they are is compared, not what is in them."""

INVENTED = {"hello", "tick", "notice", "report_ready"}
"""Types that the conversation makes up."""


def frames(block: Block) -> Iterator[dict[str, Any]]:
    """The JSON values of a block, one behind the other."""
    decoder, text = json.JSONDecoder(), block.text.strip()
    while text:
        value, end = decoder.raw_decode(text)
        yield value
        text = text[end:].lstrip()


def shape(value: Any, key: str = "") -> Any:
    """What *value* is made of: names of types in place of values, channels in place of their names."""
    if isinstance(value, dict):
        if key in FREE:
            return "map"
        if key in ("channels", "recover"):
            return {json.dumps(shape(one), sort_keys=True) for one in value.values()}
        return {name: shape(one, name) for name, one in value.items()}
    if isinstance(value, list):
        return (
            ["any"]
            if key in FREE
            else sorted({json.dumps(shape(one), sort_keys=True, default=sorted) for one in value})
        )
    kinds = {bool: "truth", type(None): "null", str: "string"}
    return kinds.get(type(value), "number")


def fits(example: dict[str, Any], real: dict[str, Any]) -> bool:
    """Whether *example* is made as *real* is; lists and channels may have fewer kinds of things in them."""
    one, other = shape(example), shape(real)
    if key_of(example) != key_of(real) or one.keys() != other.keys():
        return False
    return all(
        set(one[name]) <= set(other[name]) if isinstance(one[name], list | set) else one[name] == other[name]
        for name in one
    )


def key_of(frame: dict[str, Any]) -> tuple[object, ...]:
    return frame.get("action"), frame.get("type"), frame.get("code"), frame.get("status") if "action" in frame else None


SHOWN = [
    pytest.param(frame, id=f"{block.place} {frame.get('action') or frame.get('type')}")
    for block in blocks_in("json")
    if block.page == "docs/protocol.md"
    for frame in frames(block)
]


@pytest.mark.parametrize("frame", SHOWN)
def test_a_frame_is_as_real_ones_are(frame: dict[str, Any], record: Record) -> None:
    alike = [real for real in (record.said if "action" in frame else record.heard) if fits(frame, real)]

    assert alike, nearest(frame, record)


def nearest(frame: dict[str, Any], record: Record) -> str:
    """What real frames of that kind look like, for whoever has to mend the page."""
    real = record.said if "action" in frame else record.heard
    return (
        "\n".join(json.dumps(one) for one in real if key_of(one) == key_of(frame)) or "nothing of that kind was heard"
    )


def test_another_field_or_another_type_would_be_found(record: Record) -> None:
    greeting = next(frame for frame in record.heard if frame["type"] == "connection_established")
    less = {name: value for name, value in greeting.items() if name != "replica"}

    wrong = [greeting | {"more": 1}, less, greeting | {"user_id": 42}, greeting | {"heartbeat": {"interval": 30}}]

    assert not [frame for frame in wrong for real in record.heard if fits(frame, real)]


def test_every_action_and_every_push_is_shown(record: Record) -> None:
    shown = [param.values[0] for param in SHOWN]
    actions = {frame["action"] for frame in shown if "action" in frame}
    types = {frame["type"] for frame in shown if "type" in frame}

    assert RESERVED - {"pong"} <= actions
    assert {frame["type"] for frame in record.heard} - INVENTED - {"session_left"} <= types


@pytest.mark.parametrize("name", sorted(RESERVED - {"pong"}))
def test_every_action_was_really_said(name: str, record: Record) -> None:
    assert [frame for frame in record.said if frame["action"] == name]
