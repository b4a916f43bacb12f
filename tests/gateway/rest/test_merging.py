"""A page of what several replicas have is a page as if one of them had it all."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fairlead_gateway.rest.connections import merged

ids = st.integers(0, 2**32).map(lambda n: f"{n:08x}-0000-7000-8000-000000000000")


def shown(id: str, replica: int) -> dict[str, Any]:
    moment = "2026-07-01T00:00:00Z"
    who = {"connection_id": id, "user_id": "42", "session_id": None, "instance": None, "connected_at": moment}
    pings = {"last_ping": None, "last_pong": None, "round_trip_ms": None, "is_alive": True}
    return {**who, **pings, "replica": f"r{replica}", "address": "", "metadata": {}, "quality": "good"}


def answer(here: list[str], replica: int, before: str, limit: int) -> dict[str, Any]:
    """What a replica with connections *here* answers."""
    some = sorted((id for id in here if not before or id < before), reverse=True)
    return {"connections": [shown(id, replica) for id in some[:limit]], "is_all": len(some) <= limit}


@given(st.lists(st.lists(ids, max_size=12, unique=True), max_size=4), st.integers(1, 5), st.integers(1, 5))
def test_following_the_cursor_gives_everybody_once_in_order(fleet: list[list[str]], limit: int, least: int) -> None:
    # Some replica may give fewer than were asked for.
    gives = [min(limit, least + number) for number in range(len(fleet))]
    everybody = sorted({id for here in fleet for id in here}, reverse=True)
    fleet = [[id for id in here if not any(id in other for other in fleet[:n])] for n, here in enumerate(fleet)]
    seen: list[str] = []
    before = ""
    for _ in range(100):
        page, before = merged([answer(here, n, before, gives[n]) for n, here in enumerate(fleet)], limit)
        assert len(page) <= limit
        seen += [one.connection_id for one in page]
        if not before:
            break

    assert seen == everybody


def test_what_makes_no_sense_in_an_answer_is_left_out() -> None:
    good = shown("00000001-0000-7000-8000-000000000000", 1)
    nonsense: list[Any] = [{"connections": [5, {}, good, {**good, "quality": "superb"}], "is_all": True}]
    nonsense += [{}, {"connections": None, "is_all": "?"}, {"connections": {"a": 1}}]

    page, cursor = merged(nonsense, 10)

    assert [one.connection_id for one in page] == [good["connection_id"]]
    assert cursor == ""
