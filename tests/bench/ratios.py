"""How ours compares: the ratios that stay the same from machine to machine, from the rows of a comparison."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from statistics import median
from typing import Final, NamedTuple

from fairlead_gateway.bench.figures import Report

OURS: Final = "fairlead"


class Bar(NamedTuple):
    """What ours must reach against *peer*."""

    peer: str
    what: str
    ratio: Callable[[Sequence[Report], Sequence[Report]], float]
    holds: Callable[[float], bool]
    limit: str


def cost(reports: Iterable[Report]) -> float:
    """CPU microseconds a delivery at the lowest rate, where nothing is written together."""
    rows = list(reports)
    lowest = min(float(row.parameters["rate"]) for row in rows)
    return median(row.cpu_us_per_unit or 0.0 for row in rows if row.parameters["rate"] == lowest)


def capacity(reports: Iterable[Report]) -> float:
    """Deliveries a second at the rate where there were most."""
    by_rate: dict[object, list[float]] = {}
    for row in reports:
        by_rate.setdefault(row.parameters["rate"], []).append(row.per_second or 0.0)
    return max(median(rates) for rates in by_rate.values())


def _cost_ratio(ours: Sequence[Report], theirs: Sequence[Report]) -> float:
    return cost(ours) / cost(theirs)


def _capacity_ratio(ours: Sequence[Report], theirs: Sequence[Report]) -> float:
    return capacity(ours) / capacity(theirs)


BARS: Final = (
    Bar("nchan", "CPU a delivery", _cost_ratio, lambda ratio: ratio <= 1.1, "at most 1.1"),
    Bar("starlette", "CPU a delivery", _cost_ratio, lambda ratio: ratio <= 0.45, "at most 0.45"),
    Bar("nchan", "deliveries a second", _capacity_ratio, lambda ratio: ratio >= 5, "at least 5"),
    Bar("starlette", "deliveries a second", _capacity_ratio, lambda ratio: ratio >= 15, "at least 15"),
)


def ratios(reports: Sequence[Report]) -> list[str]:
    """One line a target, in its own figures and as a ratio to ours, and one line a bar."""
    rows = {
        target: [row for row in reports if row.target == target] for target in dict.fromkeys(r.target for r in reports)
    }
    ours = rows.get(OURS)
    if not ours:
        return []
    lines = [
        f"{target}: {cost(theirs):.2f} us a delivery ({cost(theirs) / cost(ours):.2f} × ours), "
        f"{capacity(theirs):,.0f} deliveries a second ({capacity(theirs) / capacity(ours):.3f} × ours)"
        for target, theirs in rows.items()
    ]
    for bar in BARS:
        if theirs := rows.get(bar.peer):
            ratio = bar.ratio(ours, theirs)
            verdict = "reached" if bar.holds(ratio) else "MISSED"
            lines.append(f"{bar.what}, ours to {bar.peer}'s: {ratio:.2f}, {bar.limit}: {verdict}")
    return lines
