"""When the next batch may leave: now and then at once, in a storm at a steady pace, so that batches fill."""

from __future__ import annotations

from typing import Final

AT_ONCE: Final = 20
"""Batches that may leave without waiting after a quiet moment."""


class Pace:
    """
    Spaces batches *gap_seconds* apart once there have been many.

    Whatever is given to a socket costs a system call, however little it is. A few milliseconds of waiting turn a storm
    of small batches into few large ones; one request after another, as fast as a person clicks, never waits.
    """

    __slots__ = ("_earned_at", "_gap_seconds")

    def __init__(self, gap_seconds: float) -> None:
        self._gap_seconds = gap_seconds
        self._earned_at = 0.0

    def wait(self, now: float) -> float:
        """Seconds to wait with the next batch, which is then taken to leave."""
        earned_at = max(self._earned_at, now)
        self._earned_at = earned_at + self._gap_seconds
        return max(0.0, earned_at - now - (AT_ONCE - 1) * self._gap_seconds)
