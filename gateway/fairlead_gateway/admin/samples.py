"""Samples: what the fleet had counted at one moment; rates and percentiles are differences of two of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import orjson

from fairlead.state.statistics import TEN
from fairlead_gateway.monitor.counters import COUNTED, MEASURED
from fairlead_gateway.monitor.histograms import BUCKETS, percentiles

COLUMNS: Final = (*TEN, *(name for name in COUNTED if name not in TEN))
"""The figures of a sample, in the order in which they are written; new ones go to the end."""

_NEVER_MS: Final = 10**14
"""A time that no clock of ours will show."""


class Sample(NamedTuple):
    """What the fleet had and had counted."""

    at_ms: int
    """By the clock of Redis."""
    figures: Mapping[str, int]
    """By the names in `COLUMNS`."""
    counts: Mapping[str, Sequence[int]]
    """The buckets of the histograms, by the names in `MEASURED`."""

    def as_bytes(self) -> bytes:
        """Compact JSON: there are thousands of them."""
        figures = [self.figures.get(name, 0) for name in COLUMNS]
        return orjson.dumps({"at": self.at_ms, "figures": figures, **{name: self.counts[name] for name in MEASURED}})


def sample_of(at_ms: int, figures: Mapping[str, int], counters: Mapping[str, int]) -> Sample:
    """The sample that *figures* make, and the buckets among *counters*."""
    counts = {name: [counters.get(f"{name}:{bucket}", 0) for bucket in range(BUCKETS)] for name in MEASURED}
    return Sample(at_ms, figures, counts)


def parsed(data: bytes) -> Sample | None:
    """The sample in *data*; None for what nobody of ours wrote."""
    try:
        match orjson.loads(data):
            case {"at": int(at_ms), "figures": list(figures), **others} if 0 <= at_ms < _NEVER_MS:
                counts = {name: _padded(others.get(name, [])) for name in MEASURED}
                return Sample(at_ms, dict(zip(COLUMNS, _numbers(figures), strict=False)), counts)
    except (ValueError, TypeError, OverflowError):
        pass  # As what is of another shape.
    return None


def rates(before: Sample | None, after: Sample) -> dict[str, float]:
    """How much was counted per second between two samples; 0 where Redis has forgotten, or there was none before."""
    seconds = (after.at_ms - before.at_ms) / 1000 if before is not None else 0.0
    if before is None or seconds <= 0:
        return dict.fromkeys(COUNTED, 0.0)
    return {name: _rate(before.figures, after.figures, name, seconds) for name in COUNTED}


def spread(before: Sample | None, after: Sample) -> dict[str, dict[str, float | int]]:
    """The percentiles of what was measured between two samples."""
    found = {}
    for name in MEASURED:
        old = before.counts[name] if before is not None else [0] * BUCKETS
        pairs = zip(after.counts[name], old, strict=True)
        found[name] = percentiles([max(0, now - then) for now, then in pairs])
    return found


def _rate(before: Mapping[str, int], after: Mapping[str, int], name: str, seconds: float) -> float:
    return round(max(0, after.get(name, 0) - before.get(name, 0)) / seconds, 3)


def _numbers(values: Sequence[Any]) -> list[int]:
    return [int(value) for value in values]


def _padded(values: Any) -> list[int]:
    return [*_numbers(values), *[0] * BUCKETS][:BUCKETS]
