"""Messages that say when they were sent, prepared so that sending one is joining a few bytes."""

from __future__ import annotations

import re
import time
from typing import Final, NamedTuple

_BASE: Final = 10**18
"""Added to the monotonic clock, so that every stamp has the same number of digits and every frame the same size."""

PLACEHOLDER: Final = b"1111111111111111111"

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
