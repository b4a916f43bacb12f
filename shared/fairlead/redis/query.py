"""Reading: commands, and what their replies mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

Answer = TypeVar("Answer")


class Query(NamedTuple, Generic[Answer]):
    """Commands that may be asked twice, and what their replies mean."""

    commands: Sequence[tuple[str, ...]]
    read: Callable[[list[Any]], Answer]


def pairs(reply: Mapping[bytes, bytes] | Sequence[bytes]) -> list[tuple[bytes, bytes]]:
    """Redis writes maps flat; its clients give some of them as dictionaries."""
    if isinstance(reply, Mapping):
        return list(reply.items())
    return list(zip(reply[::2], reply[1::2], strict=True))
