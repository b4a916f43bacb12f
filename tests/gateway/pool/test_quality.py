"""A connection is as good as its round trip, and as its silence."""

from __future__ import annotations

from itertools import pairwise

import pytest

from fairlead_gateway.pool.quality import GRADES, Quality, quality
from tests.gateway.pool.sockets import connection


@pytest.mark.parametrize(
    ("round_trip_ms", "late_seconds", "grade"),
    [
        (None, 0, "unknown"),
        (None, 2, "unknown"),
        (None, 2.1, "fair"),
        (None, 5.1, "poor"),
        (0, 0, "good"),
        (150, 0, "good"),
        (150.1, 0, "fair"),
        (400, 0, "fair"),
        (400.1, 0, "poor"),
        (60_000, 0, "poor"),
        (10, 3, "fair"),
        (10, 60, "poor"),
    ],
)
def test_the_table_of_grades(round_trip_ms: float | None, late_seconds: float, grade: Quality) -> None:
    assert quality(round_trip_ms, late_seconds) == grade


def test_each_grade_forgives_more_than_the_one_before() -> None:
    for better, worse in pairwise(GRADES):
        assert better.round_trip_ms < worse.round_trip_ms and better.late_seconds < worse.late_seconds


def test_a_connection_owes_an_answer_from_its_ping_on() -> None:
    one = connection()
    before = one.quality(1000.0)
    one.last_ping = 1000.0
    asked = one.quality(1001.0), one.quality(1003.0), one.quality(1010.0)
    one.last_pong = 1010.02

    assert (before, asked) == ("unknown", ("unknown", "fair", "poor"))
    assert one.quality(1030.0) == "poor", "the answer took ten seconds"
    one.last_ping, one.last_pong = 1030.0, 1030.02
    assert one.quality(1031.0) == "good"
