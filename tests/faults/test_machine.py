"""Whatever happens to a channel, in whatever order: nothing lost without notice, nothing twice, no hole (I1-I3)."""

from __future__ import annotations

from tests.faults.machine import work

EXAMPLES = 60


def test_nothing_is_lost_whatever_happens(redis_url: str) -> None:
    work(redis_url, EXAMPLES)
