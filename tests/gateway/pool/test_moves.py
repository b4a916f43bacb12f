"""Turns of clients that leave an ending replica: everybody once, evenly, in an order that nobody can foresee."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from fairlead_gateway.pool.moves import moves

COUNTS = st.integers(0, 500)
WINDOWS = st.floats(0, 600)
SEEDS = st.integers().map(Random)


@given(COUNTS, WINDOWS, SEEDS)
def test_everybody_moves_once_within_the_window(count: int, window: float, random: Random) -> None:
    turns = moves(range(count), window, random)

    assert sorted(turn.who for turn in turns) == list(range(count))
    assert all(0 <= turn.at <= window * (1 + 1e-9) for turn in turns)
    assert [turn.at for turn in turns] == sorted(turn.at for turn in turns)


@given(COUNTS, st.floats(0.1, 600), SEEDS, st.integers(1, 20))
def test_every_part_of_the_window_has_its_share(count: int, window: float, random: Random, parts: int) -> None:
    turns = moves(range(count), window, random)

    for part in range(parts):
        start, end = part * window / parts, (part + 1) * window / parts
        assert abs(sum(start <= turn.at < end for turn in turns) - count / parts) <= 2


@given(COUNTS, WINDOWS, SEEDS)
def test_nobody_waits_longer_than_a_tenth_of_the_window_or_a_second(count: int, window: float, random: Random) -> None:
    assert all(0 <= turn.delay_ms <= min(1000, window * 100) for turn in moves(range(count), window, random))
