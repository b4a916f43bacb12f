"""Messages that say when they were sent, prepared so that sending one is joining a few bytes."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import Final, NamedTuple

import msgpack

_BASE: Final = 10**18
"""Added to the monotonic clock, so that every stamp has the same number of digits and every frame the same size."""

PLACEHOLDER: Final = b"1111111111111111111"

OFFSET: Final = msgpack.packb(0xFEED_BEEF)
"""Stands for an offset in an envelope: msgpack of an unsigned number of 32 bits."""

STAMP: Final = re.compile(rb't\\?":(\d{19})')
"""Where a message says when it was sent; also inside a JSON string, where quotes are escaped."""


def stamp() -> int:
    """Now, as it is written into a message (nanoseconds; same machine only)."""
    return time.monotonic_ns() + _BASE


def payload(size: int, kind: str = "bench") -> bytes:
    """A JSON object of *size* bytes with a place for the stamp."""
    head, tail = b'{"type":"%b","t":%b,"p":"' % (kind.encode(), PLACEHOLDER), b'"}'
    padding = size - len(head) - len(tail)
    if padding < 0:
        raise ValueError(f"a stamped message has at least {len(head) + len(tail)} bytes")
    return head + b"x" * padding + tail


class Template(NamedTuple):
    """A finished message around its stamp."""

    head: bytes
    tail: bytes

    @classmethod
    def around(cls, message: bytes) -> Template:
        """*message* cut at its placeholder."""
        head, found, tail = message.partition(PLACEHOLDER)
        if not found or PLACEHOLDER in tail:
            raise ValueError("a message is stamped exactly once")
        return cls(head, tail)

    def stamped(self) -> bytes:
        return b"%b%d%b" % (self.head, stamp(), self.tail)


class InTurn:
    """Messages without end: one template after the other, again and again."""

    def __init__(self, templates: Sequence[Template]) -> None:
        self._templates = templates

    def __call__(self, number: int) -> bytes:
        """Message *number*, stamped now."""
        return self._templates[number % len(self._templates)].stamped()


class Numbered:
    """
    Messages without end, one template a channel in turn, with offsets that grow by one in each channel.

    :param templates: hold `OFFSET` once, before the stamp, where the position is.
    """

    def __init__(self, templates: Sequence[Template], after: int) -> None:
        self._parts = [(*template.head.split(OFFSET), template.tail) for template in templates]
        self._first = after + 1

    def __call__(self, number: int) -> bytes:
        """Message *number*, stamped now."""
        turn, which = divmod(number, len(self._parts))
        before, between, tail = self._parts[which]
        return b"%b\xce%b%b%d%b" % (before, (self._first + turn).to_bytes(4, "big"), between, stamp(), tail)
