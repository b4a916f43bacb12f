"""The past of the fleet: what its samples of the last minute or hour come to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, Final, NamedTuple

from fairlead_gateway.admin.samples import Sample, rates, sample_of, spread

POINT_RATES: Final = ("messages_sent", "messages_received", "connections_opened", "disconnections", "errors")


class Window(NamedTuple):
    """How far back, and how finely."""

    seconds: int
    step_seconds: int

    def moments(self, now_ms: int) -> list[int]:
        """When its steps begin (ms)."""
        return [now_ms - second * 1000 for second in range(self.seconds, -1, -self.step_seconds)]


WINDOWS: Final[Mapping[str, Window]] = {"minute": Window(60, 1), "hour": Window(3600, 30)}


def past(samples: Sequence[Sample]) -> dict[str, Any]:
    """``points``, and ``rates`` and ``percentiles`` over all of them."""
    if not samples:
        samples = [sample_of(0, {}, {})]
    first, last = samples[0], samples[-1]
    points = [_point(before, after) for before, after in pairwise(samples)]
    return {"points": points, "rates": rates(first, last), "percentiles": spread(first, last)}


def _point(before: Sample, after: Sample) -> dict[str, Any]:
    per_second = rates(before, after)
    return {
        "at": datetime.fromtimestamp(after.at_ms / 1000, UTC),
        "connections": after.figures.get("total_connections", 0),
        "users": after.figures.get("active_users", 0),
        "sessions": after.figures.get("active_sessions", 0),
        **{name: per_second[name] for name in POINT_RATES},
    }
