"""Now and then a batch leaves at once; in a storm they leave at a steady pace."""

from __future__ import annotations

import pytest

from fairlead_gateway.pool.pace import AT_ONCE, Pace

GAP = 0.005


def test_batches_after_a_quiet_moment_leave_at_once() -> None:
    pace = Pace(GAP)

    assert [pace.wait(1.0) for _ in range(AT_ONCE)] == [0] * AT_ONCE
    assert [pace.wait(2.0) for _ in range(AT_ONCE)] == [0] * AT_ONCE


def test_a_storm_is_spaced_a_gap_apart() -> None:
    pace = Pace(GAP)
    waits = [pace.wait(1.0) for _ in range(AT_ONCE + 4)]

    assert waits[AT_ONCE:] == pytest.approx([GAP, 2 * GAP, 3 * GAP, 4 * GAP])


def test_one_batch_a_gap_never_waits() -> None:
    pace = Pace(GAP)

    assert not any(pace.wait(1 + number * GAP * 1.01) for number in range(1000))
