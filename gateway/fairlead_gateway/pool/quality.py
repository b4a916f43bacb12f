"""How good a connection is, by its last round trip and by how long it has owed an answer (CON-7)."""

from __future__ import annotations

from math import inf
from typing import Final, Literal, NamedTuple, TypeAlias

Quality: TypeAlias = Literal["good", "fair", "poor", "unknown"]


class Grade(NamedTuple):
    """What a connection must keep within to be this good."""

    quality: Quality
    round_trip_ms: float
    late_seconds: float
    """Since the ping that it has yet to answer."""


GRADES: Final = (Grade("good", 150.0, 2.0), Grade("fair", 400.0, 5.0), Grade("poor", inf, inf))
"""The best first: people take 150 ms for at once, and notice 400."""


def quality(round_trip_ms: float | None, late_seconds: float) -> Quality:
    """
    The grade of a connection.

    :param round_trip_ms: between its last ping and the pong; None while there has been none.
    :param late_seconds: how long it has owed a pong; 0 when it owes none.
    """
    if round_trip_ms is None and late_seconds <= GRADES[0].late_seconds:
        return "unknown"
    return next(
        grade.quality
        for grade in GRADES
        if (round_trip_ms or 0.0) <= grade.round_trip_ms and late_seconds <= grade.late_seconds
    )
