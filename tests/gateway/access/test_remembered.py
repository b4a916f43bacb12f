"""What is remembered, and for how long."""

from __future__ import annotations

from fairlead_gateway.access.remembered import Remembered


def test_an_answer_is_kept_until_its_end() -> None:
    kept: Remembered[str, int] = Remembered(2)
    kept.keep("a", 1, until=10)

    assert (kept.get("a", 9.9), kept.get("a", 10), len(kept)) == (1, None, 0)


def test_the_least_used_answer_makes_room() -> None:
    kept: Remembered[str, int] = Remembered(2)
    kept.keep("a", 1, until=10)
    kept.keep("b", 2, until=10)
    kept.get("a", 0)

    kept.keep("c", 3, until=10)

    assert (kept.get("a", 0), kept.get("b", 0), kept.get("c", 0)) == (1, None, 3)


def test_any_number_of_strangers_leave_no_more_than_the_bound() -> None:
    kept: Remembered[int, bool] = Remembered(100)
    for stranger in range(10_000):
        kept.keep(stranger, False, until=1)

    assert len(kept) == 100


def test_forgetting_leaves_nothing() -> None:
    kept: Remembered[str, int] = Remembered(2)
    kept.keep("a", 1, until=10)

    kept.forget()

    assert kept.get("a", 0) is None
