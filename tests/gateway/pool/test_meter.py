"""The meter never lets through more than the rate and the burst, and never asks to wait in vain."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead_gateway.pool.meter import BURST_SECONDS, Meter

RATES = st.sampled_from([0.1, 1.0, 10.0, 50.0])
GAPS = st.lists(st.floats(0, 3), min_size=1, max_size=15)
SIZES = st.integers(0, 20_000)


@given(RATES, GAPS)
def test_no_more_messages_pass_than_rate_times_time_and_the_burst(rate: float, gaps: list[float]) -> None:
    meter = Meter()
    now, passed, first = 1000.0, 0, 1000.0

    for gap in gaps:
        now += gap
        for _ in range(25):
            passed += meter.spend(now, 0, 1 / rate, 0.0) == 0.0

    assert passed <= rate * (now - first) + max(1.0, rate * BURST_SECONDS) + 1e-6


@given(RATES, st.lists(st.tuples(st.floats(0, 3), SIZES), min_size=1, max_size=60))
def test_no_more_bytes_pass_than_rate_times_time_and_the_burst(rate: float, spends: list[tuple[float, int]]) -> None:
    meter = Meter()
    now, passed, largest = 1000.0, 0, 0

    for gap, size in spends:
        now += gap
        if meter.spend(now, size, 0.0, 1 / rate) == 0.0:
            passed += size
            largest = max(largest, size)

    assert passed <= rate * (now - 1000.0) + max(rate * BURST_SECONDS, largest) + 1e-3


@given(RATES, GAPS)
def test_a_refused_spend_costs_nothing(rate: float, gaps: list[float]) -> None:
    modest, insistent = Meter(), Meter()
    now = 1000.0

    for gap in gaps:
        now += gap
        answer = modest.spend(now, 1, 1 / rate, 1 / 1000)
        assert insistent.spend(now, 1, 1 / rate, 1 / 1000) == answer
        while modest.spend(now, 1, 1 / rate, 1 / 1000) == 0.0:
            insistent.spend(now, 1, 1 / rate, 1 / 1000)
        for _ in range(10):
            assert insistent.spend(now, 1, 1 / rate, 1 / 1000) > 0.0


@given(RATES, RATES, st.lists(SIZES, min_size=1, max_size=100))
def test_after_the_wait_that_was_named_the_same_spend_passes(
    per_s: float, bytes_per_s: float, sizes: list[int]
) -> None:
    meter, now = Meter(), 1000.0

    for size in sizes:
        wait = meter.spend(now, size, 1 / per_s, 1 / bytes_per_s)
        if wait:
            now += wait + 0.001
            assert meter.spend(now, size, 1 / per_s, 1 / bytes_per_s) == 0.0


def test_a_quiet_client_may_send_four_seconds_worth_at_once() -> None:
    meter = Meter()

    passed = [meter.spend(1000.0, 10, 1 / 50, 0.0) == 0.0 for _ in range(201)]

    assert passed == [True] * 200 + [False]


def test_one_message_larger_than_the_burst_passes_when_nothing_else_was_sent() -> None:
    meter = Meter()

    assert meter.spend(1000.0, 50_000, 0.0, 1 / 1000) == 0.0
    assert meter.spend(1000.0, 1, 0.0, 1 / 1000) == pytest.approx(46.001)


def test_without_limits_everything_passes() -> None:
    meter = Meter()

    assert not any(meter.spend(1000.0, 65_536, 0.0, 0.0) for _ in range(1000))


def test_errors_are_counted_by_the_minute() -> None:
    meter = Meter()

    assert not any(meter.err(1000.0, 5) for _ in range(5))
    assert meter.err(1000.0, 5)
    assert not meter.err(1030.0, 5)
