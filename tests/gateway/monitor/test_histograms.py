"""Histograms add up, and percentiles lie where the values do."""

from __future__ import annotations

from bisect import bisect_left

from hypothesis import given
from hypothesis import strategies as st

from fairlead_gateway.monitor.histograms import BOUNDS, BUCKETS, Histogram, percentiles, quantile

MS = st.floats(0, 20_000)
SHARES = st.floats(0.01, 1)


def histogram(values: list[float]) -> Histogram:
    made = Histogram()
    for value in values:
        made.add(value)
    return made


@given(st.lists(MS, min_size=1), SHARES)
def test_a_quantile_is_in_the_bucket_of_the_value_that_it_stands_for(values: list[float], share: float) -> None:
    counts = histogram(values).counts
    found = quantile(counts, share)

    below = sum(count for count, upper in zip(counts, BOUNDS, strict=False) if upper <= found)
    until = sum(counts[: bisect_left(BOUNDS, found) + 1])
    assert below <= share * len(values) + 1e-6
    assert until >= share * len(values) - 1e-6 or found == BOUNDS[-1]


@given(st.lists(MS), st.lists(SHARES, min_size=2, max_size=2))
def test_a_larger_share_reaches_at_least_as_far(values: list[float], shares: list[float]) -> None:
    counts = histogram(values).counts
    low, high = sorted(shares)

    assert 0 <= quantile(counts, low) <= quantile(counts, high) <= BOUNDS[-1]


@given(st.lists(MS), st.lists(MS))
def test_what_two_count_is_what_one_would_have_counted(some: list[float], others: list[float]) -> None:
    both = [one + other for one, other in zip(histogram(some).counts, histogram(others).counts, strict=True)]

    assert both == histogram([*some, *others]).counts
    assert percentiles(both)["count"] == len(some) + len(others)


def test_values_are_said_in_milliseconds() -> None:
    counts = histogram([float(value) for value in range(1, 101)]).counts

    points = percentiles(counts)

    assert (points["p50"], points["p90"], points["p99"], points["count"]) == (50.0, 90.0, 99.0, 100)


def test_what_is_beyond_the_bounds_is_counted_too() -> None:
    made = histogram([-5.0, 0.0, 0.1, 99_999.0])

    assert (made.counts[0], made.counts[-1], len(made.counts)) == (3, 1, BUCKETS)
    assert made.micros == 100 + 99_999_000
    assert quantile(made.counts, 0.99) == BOUNDS[-1]
    assert percentiles([0] * BUCKETS) == {"p50": 0.0, "p90": 0.0, "p99": 0.0, "count": 0}
