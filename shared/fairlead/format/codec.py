"""Values to JSON or msgpack and back, strictly: what is accepted here, every codec can carry."""

from __future__ import annotations

from math import isfinite
from typing import Final, NoReturn, cast

import msgpack
import pydantic_core

from fairlead.errors import InvalidJson, TooLarge

MAX_BYTES: Final = 1_000_000
"""Largest message that is given to Redis; more could make it cut a replica's subscription off."""

MAX_DEPTH: Final = 100
"""Deepest nesting; parsers that we hand messages to give up between 200 and 1,000."""

_SKELETON = bytes(0x30 if chr(c).isdecimal() else 0x65 if chr(c) in "eE" else 0x20 for c in range(128)) + b" " * 128
"""Turns every digit into 0 and every exponent mark into e, so that two substring searches find large numbers."""

_CONTAINERS = (dict, list)


def to_json(value: object) -> bytes:
    """
    *value* as compact JSON; takes pydantic models, dataclasses, datetimes, UUIDs, enums … beside the plain types.

    :raises InvalidJson: for NaN and infinities, lone surrogates, integers beyond 64 bits, depth beyond `MAX_DEPTH`,
        and types without a JSON form.
    """
    try:
        data = pydantic_core.to_json(value, inf_nan_mode="constants")
    except (ValueError, TypeError, RecursionError) as error:
        raise InvalidJson(f"this cannot be written as JSON: {_first_line(error)}") from error
    if b"NaN" in data or b"Infinity" in data or _may_exceed(data):
        _check(_parsed(data))
    return data


def from_json(data: bytes | str, *, around: int = 0) -> object:
    """
    The value of a JSON text.

    :param around: levels that it may have beyond `MAX_DEPTH`, of what stands around messages.
    :raises InvalidJson: as `to_json`, and for what is not JSON.
    """
    try:
        text = data.encode() if isinstance(data, str) else data
    except UnicodeEncodeError as error:
        raise InvalidJson("this is not JSON: it holds half of a surrogate pair") from error
    value = _parsed(text)
    if _may_exceed(text, exponents=True):
        _check(value, 1 - around)
    return value


def to_msgpack(value: object) -> bytes:
    """A plain value, such as `from_json` gives, in msgpack."""
    try:
        return cast(bytes, msgpack.packb(value))
    except (ValueError, TypeError, OverflowError) as error:
        raise InvalidJson(f"this cannot be written as msgpack: {_first_line(error)}") from error


def from_msgpack(data: bytes, *, around: int = 0) -> object:
    """
    The value of msgpack bytes, limited to what JSON can say: no binary, no extensions, string keys only.

    :param around: as `from_json`.
    :raises InvalidJson: for anything else.
    """
    try:
        value = msgpack.unpackb(data, raw=False, strict_map_key=True, timestamp=0, ext_hook=_no_extensions)
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise InvalidJson(f"this is not msgpack: {_first_line(error)}") from error
    _check(value, 1 - around)
    return cast(object, value)


def bounded(data: bytes, limit: int = MAX_BYTES) -> bytes:
    """*data*, or `TooLarge` that says by how much."""
    if len(data) > limit:
        raise TooLarge(f"the message is {len(data)} bytes; at most {limit} are allowed", size=len(data), limit=limit)
    return data


def _parsed(data: bytes) -> object:
    try:
        return cast(object, pydantic_core.from_json(data, allow_inf_nan=False))
    except ValueError as error:
        raise InvalidJson(f"this is not JSON: {_first_line(error)}") from error


def _may_exceed(data: bytes, *, exponents: bool = False) -> bool:
    """Whether a JSON text could be too deep or hold too large a number; seldom true, and then seldom rightly."""
    skeleton = data.translate(_SKELETON, b"+")
    return (
        b"0000000000000000000" in skeleton
        or data.count(b"[") + data.count(b"{") > MAX_DEPTH
        or (exponents and b"0e000" in skeleton)
    )


def _check(value: object, depth: int = 1) -> None:
    """Refuses what some codec cannot carry."""
    if isinstance(value, _CONTAINERS):
        _check_container(value, depth)
    elif isinstance(value, float):
        if not isfinite(value):
            raise InvalidJson("a number is not finite")
    elif isinstance(value, int):
        if not -(2**63) <= value < 2**64:
            raise InvalidJson("an integer is beyond 64 bits")
    elif not isinstance(value, str | None):
        raise InvalidJson(f"{type(value).__name__} has no form in JSON")


def _check_container(value: dict[object, object] | list[object], depth: int) -> None:
    if depth > MAX_DEPTH:
        raise InvalidJson(f"nested deeper than {MAX_DEPTH}")
    if isinstance(value, list):
        for item in value:
            _check(item, depth + 1)
        return
    for key, item in value.items():
        if not isinstance(key, str):
            raise InvalidJson("a key of a map must be a string")
        _check(item, depth + 1)


def _no_extensions(code: int, data: bytes) -> NoReturn:
    raise ValueError(f"extension {code} is not allowed")


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:200]
