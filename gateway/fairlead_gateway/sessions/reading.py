"""From the bytes of one client message to a checked action: whatever is wrong is named, nothing is believed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeVar

import orjson
from pydantic import BaseModel, ValidationError

from fairlead.errors import InvalidJson, InvalidMessage
from fairlead.format.codec import from_json, from_msgpack

Model = TypeVar("Model", bound=BaseModel)

_DIGITS: Final = bytes.maketrans(b"123456789", b"000000000")
_LONG: Final = b"0" * 19
"""As many digits as an integer may have that does not fit into 64 bits."""


def read_frame(payload: bytes, is_text: bool, speaks_msgpack: bool, max_depth: int) -> dict[str, Any]:
    """
    The map in *payload*.

    :raises InvalidJson: not decodable, or nested deeper than *max_depth*.
    :raises InvalidMessage: the wrong kind of frame, or not a map.
    """
    if is_text == speaks_msgpack:
        expected, got = ("binary", "text") if speaks_msgpack else ("text", "binary")
        raise InvalidMessage(f"this connection agreed on {expected} frames, and this one is {got}")
    frame = from_msgpack(payload) if speaks_msgpack else _from_json(payload)
    if not isinstance(frame, dict):
        raise InvalidMessage('send a map such as {"action":"ping"}')
    if payload.count(b"{") + payload.count(b"[") > max_depth or speaks_msgpack:
        _check_depth(frame, max_depth)
    return frame


def action_of(frame: Mapping[str, Any]) -> str:
    """The name of the action; ``type`` is another spelling of it."""
    action = frame.get("action", frame.get("type"))
    if not isinstance(action, str) or not action:
        raise InvalidMessage("action is missing: a string such as ping, subscribe, message")
    return action


def ref_of(frame: Mapping[str, Any]) -> str | None:
    """The id to be echoed, as far as it is one."""
    ref = frame.get("id")
    return ref if isinstance(ref, str) and len(ref) <= 128 else None


def checked(model: type[Model], frame: Mapping[str, Any]) -> Model:
    """*frame* as a *model*, or `InvalidMessage` that names the first field at fault."""
    try:
        return model.model_validate(frame)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        field = ".".join(str(part)[:64] for part in first["loc"])
        raise InvalidMessage(f"{field}: {first['msg']}" if field else first["msg"], field=field) from None


def _from_json(payload: bytes) -> object:
    """By orjson, four times as fast, where it reads the same: integers beyond 64 bits it would round."""
    if _LONG not in payload.translate(_DIGITS):
        try:
            return orjson.loads(payload)
        except orjson.JSONDecodeError:
            pass  # What is wrong with it is said by the codec that everybody shares.
    return from_json(payload)


def _check_depth(value: object, max_depth: int) -> None:
    """Breadth first, so that our own stack never grows with a client's nesting."""
    level = [value]
    for _ in range(max_depth):
        inner: list[object] = []
        for item in level:
            if isinstance(item, dict):
                inner.extend(item.values())
            elif isinstance(item, list):
                inner.extend(item)
        level = [item for item in inner if isinstance(item, (dict, list))]
        if not level:
            return
    raise InvalidJson(f"nested deeper than {max_depth} levels", limit=max_depth)
