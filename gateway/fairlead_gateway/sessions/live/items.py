"""What somebody who watches live is shown: the head of a message, or an event, as JSON of a bounded size."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import orjson
from pydantic_core import to_jsonable_python

from fairlead.format.messages import MAX_ID, MAX_TYPE, now
from fairlead_gateway.sessions.live.tap import Item

MAX_CONTENT: Final = 2048
"""Bytes of what a message says that are shown."""

MAX_FACT: Final = 512
"""Bytes of one fact about an event that are shown."""

MAX_NESTED: Final = 32
"""Lists and maps in one fact about an event that are shown."""

MAX_FACTS: Final = 20
"""Facts about an event that are shown."""

MAX_PARSED: Final = 16 * 1024
"""Bytes of a message, other than those that begin as ours do, in which it is looked for who says it."""

CUT: Final = "…"

_OURS: Final = re.compile(rb'\{"type":"[^"\\]*","id":"[^"\\]*","from":"([^"\\]{1,256})"')
"""How a message begins that `fairlead.format.messages.push` has finished."""

_CONTENT: Final = "content"


def message(
    replica: str, channel: str, id: str, type: str, offset: int, frame: bytes, *, receivers: int, content: bool
) -> Item:
    """The head of a message that *replica* hands to its members of *channel*, and what it says if that may be shown."""
    item: Item = {
        "kind": "message",
        "at": now(),
        "replica": replica,
        "channel": channel,
        "id": id[:MAX_ID],
        "message_type": type[:MAX_TYPE],
        "from": sender(frame),
        "offset": offset,
        "bytes": len(frame),
        "receivers": receivers,
    }
    if content:
        item[_CONTENT] = cut(frame)
    return item


def event(replica: str, facts: Mapping[str, Any], *, content: bool) -> Item:
    """An event that was told on *replica*; its facts are cut short, and what somebody said is left out."""
    item: Item = {"kind": "event", "at": now(), "replica": replica, "event": facts["event"]}
    for name in list(facts)[: MAX_FACTS + 1]:
        if name == _CONTENT:
            if content:
                item[_CONTENT] = cut(_json(facts[name]))
        elif name not in item:
            item[str(name)[:MAX_TYPE]] = _short(facts[name])
    return item


def sender(frame: bytes) -> str:
    """Who says the message in *frame*; empty where that does not appear at little cost."""
    if begins := _OURS.match(frame):
        return begins[1].decode(errors="replace")
    if len(frame) > MAX_PARSED:
        return ""
    try:
        said = orjson.loads(frame)
    except orjson.JSONDecodeError:
        return ""
    name = said.get("from") if isinstance(said, dict) else None
    return name[:256] if isinstance(name, str) else ""


def cut(data: bytes) -> str:
    """As much of *data* as is shown."""
    text = data[:MAX_CONTENT].decode(errors="ignore")
    return text + CUT if len(data) > MAX_CONTENT else text


def _short(fact: object) -> object:
    data = _json(fact)
    if len(data) <= MAX_FACT and data.count(b"[") + data.count(b"{") <= MAX_NESTED:
        return orjson.loads(data)
    return fact[: MAX_FACT // 4] + CUT if isinstance(fact, str) else CUT


def _json(value: object) -> bytes:
    try:
        return orjson.dumps(value, default=_plain, option=orjson.OPT_NON_STR_KEYS)
    except orjson.JSONEncodeError:
        return orjson.dumps(CUT)


def _plain(value: object) -> object:
    """What JSON does not know; what went wrong is told by its name, since it may hold anything."""
    return type(value).__name__ if isinstance(value, BaseException) else to_jsonable_python(value, fallback=repr)
