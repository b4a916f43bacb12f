"""Histograms with fixed buckets: plain integers that only grow, so that those of many replicas and times add up."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

BOUNDS: Final = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2500.0, 5000.0, 10_000.0)
"""Upper ends of the buckets in ms, each belonging to its bucket; one more bucket takes what is beyond."""

BUCKETS: Final = len(BOUNDS) + 1

POINTS: Final = {"p50": 0.5, "p90": 0.9, "p99": 0.99}


class Histogram:
    """How often what was measured fell into which bucket."""

    __slots__ = ("counts", "micros")

    def __init__(self) -> None:
        self.counts = [0] * BUCKETS
        """By bucket, not cumulated."""
        self.micros = 0
        """The sum of all that was measured, in us."""

    def add(self, ms: float) -> None:
        """Count one measurement; less than nothing, as clocks that differ make it, is nothing."""
        self.counts[bisect_left(BOUNDS, ms)] += 1
        if ms > 0:
            self.micros += int(ms * 1000)


def quantile(counts: Sequence[int], share: float) -> float:
    """
    The value in ms below which *share* of what *counts* holds lies, as if each bucket were filled evenly.

    0 where there is nothing; what lies beyond the last bound is said to lie on it.
    """
    wanted = share * sum(counts)
    below, lower = 0, 0.0
    for count, upper in zip(counts, BOUNDS, strict=False):
        if count and below + count >= wanted:
            return lower + (upper - lower) * (wanted - below) / count
        below, lower = below + count, upper
    return BOUNDS[-1] if sum(counts) else 0.0


def percentiles(counts: Sequence[int]) -> dict[str, float | int]:
    """``p50``, ``p90`` and ``p99`` in ms, and the ``count`` of what they are of."""
    return {**{name: round(quantile(counts, share), 3) for name, share in POINTS.items()}, "count": sum(counts)}
