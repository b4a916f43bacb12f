"""Which of the dead have a successor: one that began after them at the same place."""

from __future__ import annotations

import pytest

from fairlead_gateway.admin.overview import replaced
from fairlead_gateway.facts.statistics import Said


def at(place: int, began: int, heard: int, *, is_alive: bool = False) -> Said:
    gauges = {"place": place, "began_ms": began, "heard_ms": heard}
    return Said(is_alive, 0.0, not is_alive, {}, gauges)


DEAD = at(1, 10, 100)

FLEETS = {
    "nobody came": ({"a": DEAD}, set()),
    "one came": ({"a": DEAD, "b": at(1, 101, 200, is_alive=True)}, {"a"}),
    "one was there already": ({"a": DEAD, "b": at(1, 99, 200, is_alive=True)}, set()),
    "one came elsewhere": ({"a": DEAD, "b": at(2, 101, 200, is_alive=True)}, set()),
    "two died and one came": ({"a": DEAD, "c": at(1, 10, 101), "b": at(1, 150, 200, is_alive=True)}, {"a"}),
    "two died and two came": (
        {"a": DEAD, "c": at(1, 10, 140), "b": at(1, 120, 200, is_alive=True), "d": at(1, 150, 200, is_alive=True)},
        {"a", "c"},
    ),
    "who came has died": ({"a": DEAD, "b": at(1, 101, 200)}, {"a"}),
    "who came has died and another came": (
        {"a": DEAD, "b": at(1, 101, 200), "c": at(1, 201, 300, is_alive=True)},
        {"a", "b"},
    ),
    "where it was is not known": ({"a": Said(False, 0, True, {}, {}), "b": at(1, 1, 2, is_alive=True)}, set()),
}


@pytest.mark.parametrize(("fleet", "expected"), FLEETS.values(), ids=FLEETS)
def test_each_newcomer_takes_the_place_of_one_that_died_before(fleet: dict[str, Said], expected: set[str]) -> None:
    assert replaced(fleet) == expected
