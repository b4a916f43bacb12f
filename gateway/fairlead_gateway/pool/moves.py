"""Who moves when, as a replica empties: in random order, evenly over a window, each with a pause of its own."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Final, Generic, NamedTuple, TypeVar

Who = TypeVar("Who")

MAX_DELAY_SECONDS: Final = 1.0
"""The longest that a client is told to wait before it connects elsewhere; the closes are spread already."""


class Move(NamedTuple, Generic[Who]):
    """One client's turn."""

    at: float
    """Seconds after the beginning of the window."""
    who: Who
    delay_ms: int


def moves(everybody: Sequence[Who], window_seconds: float, random: Random) -> list[Move[Who]]:
    """
    One turn for each, the earliest first.

    The window has as many slots as clients, and each leaves at a random moment of its own slot: whatever part of the
    window is looked at, its share of clients leaves in it, give or take one (DEP-4).
    """
    order = random.sample(everybody, len(everybody))
    slot = window_seconds / max(1, len(order))
    return [
        Move((number + random.random()) * slot, who, delay_ms(window_seconds, random))
        for number, who in enumerate(order)
    ]


def delay_ms(window_seconds: float, random: Random) -> int:
    """How long one client shall wait before it comes back to another replica, in milliseconds."""
    return int(random.random() * min(MAX_DELAY_SECONDS, window_seconds / 10) * 1000)
