"""When the next batch may leave: a lone one at once, many at a steady pace, so that they fill by themselves."""

from __future__ import annotations


class Pace:
    """
    Spaces batches at least *gap_seconds* apart.

    Whatever is given to a socket costs a system call, however little it is. A few milliseconds of waiting, and only
    when the last batch has just left, turn a storm of small ones into few large ones.
    """

    __slots__ = ("_free_at", "_gap_seconds")

    def __init__(self, gap_seconds: float) -> None:
        self._gap_seconds = gap_seconds
        self._free_at = 0.0

    def wait(self, now: float) -> float:
        """Seconds to wait for the next batch, which is then taken to leave; 0 after a quiet moment."""
        leaves_at = max(self._free_at, now)
        self._free_at = leaves_at + self._gap_seconds
        return leaves_at - now
