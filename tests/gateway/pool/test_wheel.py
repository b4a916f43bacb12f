"""The timer wheel against a plain model: everything comes out once, in the second it is due, not before."""

from __future__ import annotations

import time

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from fairlead_gateway.pool.wheel import Wheel


class WheelAgainstModel(RuleBasedStateMachine):
    """Items with their second in a dictionary; the clock goes forward, and sometimes back."""

    def __init__(self) -> None:
        super().__init__()
        self.wheel: Wheel[int] = Wheel()
        self.now = 1000
        self.turned_to: int | None = None
        self.due: dict[int, int] = {}

    @rule(item=st.integers(0, 9), ahead=st.integers(-5, 40))
    def put(self, item: int, ahead: int) -> None:
        if item in self.due:
            self.wheel.drop(item, self.due[item])
        second = self.wheel.put(item, self.now + ahead)

        expected = self.now + ahead
        assert second == (expected if self.turned_to is None else max(expected, self.turned_to + 1))
        self.due[item] = second

    @rule(item=st.integers(0, 9))
    def drop(self, item: int) -> None:
        self.wheel.drop(item, self.due.pop(item, self.now + 3))

    @rule(passed=st.sampled_from([0, 1, 2, 7, 60, -3]))
    def turn(self, passed: int) -> None:
        self.now += passed
        self.turned_to = self.now

        came_out = self.wheel.turn(self.now)

        expected = sorted(item for item, second in self.due.items() if second <= self.now)
        assert sorted(came_out) == expected
        for item in expected:
            del self.due[item]

    @invariant()
    def order_is_by_second(self) -> None:
        assert all(second > (self.turned_to or 0) or self.turned_to is None for second in self.due.values())


TestWheel = WheelAgainstModel.TestCase
TestWheel.settings = settings(max_examples=30, stateful_step_count=30)


def test_what_is_due_first_comes_out_first() -> None:
    wheel: Wheel[str] = Wheel()
    wheel.turn(0)
    wheel.put("late", 9)
    wheel.put("early", 3)
    wheel.put("between", 5)

    assert wheel.turn(10) == ["early", "between", "late"]


def test_a_clock_that_is_set_ahead_by_ten_years_does_not_stop_the_loop() -> None:
    wheel: Wheel[str] = Wheel()
    wheel.turn(1_700_000_000)
    wheel.put("token", 1_700_000_060)
    began = time.perf_counter()

    assert wheel.turn(2_015_000_000) == ["token"]

    assert time.perf_counter() - began < 0.5


def test_dropping_what_is_not_there_is_harmless() -> None:
    wheel: Wheel[str] = Wheel()

    wheel.drop("nobody", 5)

    assert wheel.turn(10) == []
