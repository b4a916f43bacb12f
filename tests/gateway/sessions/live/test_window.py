"""What replicas have seen comes together: each message once, its receivers added up, no more than is wanted."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fairlead_gateway.sessions.live.window import Window

SIGHTINGS = st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from(["r1", "r2", "r3"])), max_size=60)

FORGED = st.lists(
    st.recursive(
        st.none() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)


def seen(
    id: str, replica: str = "r1", receivers: object = 1, at: str = "1", channel: str = "topic:t"
) -> dict[str, Any]:
    return {"kind": "message", "at": at, "replica": replica, "channel": channel, "id": id, "receivers": receivers}


def happened(event: str, at: str = "1") -> dict[str, Any]:
    return {"kind": "event", "at": at, "replica": "r1", "event": event}


def test_a_message_that_several_replicas_hand_out_is_one_with_all_its_receivers() -> None:
    window = Window(10)

    window.add([seen("m", "r1", 3)], 0, 1.0)
    window.add([seen("m", "r2", 4), seen("n", "r2", 1)], 0, 1.0)
    window.add([seen("m", "r2", 4)], 0, 1.0)
    items, dropped = window.take()

    assert [(item["id"], item["receivers"]) for item in items] == [("m", 7), ("n", 1)]
    assert dropped == 0


def test_who_comes_late_with_a_message_adds_nothing() -> None:
    window = Window(10)
    window.add([seen("m", "r1")], 0, 1.0)
    window.take()

    window.add([seen("m", "r2")], 0, 1.2)

    assert window.take() == ([], 0)


def test_the_same_id_in_another_channel_is_another_message() -> None:
    window = Window(10)

    window.add([seen("m"), seen("m", channel="user:1")], 0, 1.0)

    assert len(window.take()[0]) == 2


def test_items_of_several_replicas_are_shown_in_the_order_of_their_time() -> None:
    window = Window(10)

    window.add([seen("a", at="3"), happened("x", at="4")], 0, 1.0)
    window.add([happened("y", at="2")], 0, 1.0)

    assert [item["at"] for item in window.take()[0]] == ["2", "3", "4"]


def test_what_replicas_dropped_is_added_up_and_counts_once() -> None:
    window = Window(10)

    window.add([], 5, 1.0)
    window.add([], 7, 1.0)
    window.add([], -3, 1.0)

    assert window.take() == ([], 12)
    assert window.take() == ([], 0)


@given(SIGHTINGS, st.integers(1, 9))
def test_each_message_is_shown_once_and_what_is_more_than_wanted_is_counted(
    sightings: list[tuple[str, str]], rate: int
) -> None:
    window = Window(rate)

    shown: list[str] = []
    dropped = 0
    for number, (id, replica) in enumerate(sightings):
        window.add([seen(id, replica)], 0, 1.0)
        if number % 7 == 6:
            items, more = window.take()
            shown += [item["id"] for item in items]
            dropped += more
    items, more = window.take()
    shown += [item["id"] for item in items]

    assert len(shown) == len(set(shown)) == min(rate, len({id for id, _ in sightings}))
    assert (dropped + more > 0) == (len({id for id, _ in sightings}) > rate)


@given(FORGED)
def test_what_is_no_sighting_is_passed_over(forged: list[object]) -> None:
    window = Window(100)

    window.add(forged, 0, 1.0)
    window.add([seen("m", receivers="many"), seen("m", "r2", -5), {"kind": "message", "id": []}], 0, 1.0)

    assert [(item["id"], item["receivers"]) for item in window.take()[0]] == [("m", 0)]


def test_of_long_ago_nothing_is_remembered() -> None:
    window = Window(1)
    for number in range(50):
        window.add([seen(f"m{number}")], 0, 10.0 * number)
        window.take()

    window.add([seen("m0")], 0, 1000.0)

    assert len(window.take()[0]) == 1
