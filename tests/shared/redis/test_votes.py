"""Sentinels and nodes of clusters contradict each other at times; what is believed, and what is not."""

from __future__ import annotations

import pytest

from fairlead.redis.address import HostPort
from fairlead.redis.cluster import Layout, believed, layout
from fairlead.redis.sentinel import elected

A, B = ("a", 1), ("b", 2)


@pytest.mark.parametrize(
    ("answers", "configured", "master"),
    [
        ([A, A, A], 3, A),
        ([A, B, B], 3, B),
        ([A, A], 3, A),
        ([A, B], 3, None),
        ([A], 3, None),
        ([A], 1, A),
        ([A], 2, None),
        ([], 3, None),
        ([A, A, B, B], 5, None),
        ([A, A, A, B, B], 5, A),
        ([None, None, A], 3, None),
        ([None, A, A], 3, A),
    ],
)
def test_a_master_is_believed_when_most_who_answer_name_it_and_two_at_least(
    answers: list[HostPort | None], configured: int, master: HostPort | None
) -> None:
    assert elected(answers, configured) == master


def test_the_latest_map_of_a_node_inside_a_whole_cluster_is_believed() -> None:
    old, new, cut_off = Layout(True, 4, []), Layout(True, 5, []), Layout(False, 9, [])

    assert believed([old, new, cut_off]) == new
    assert believed([cut_off]) is None
    assert believed([]) is None


def test_a_node_that_does_not_say_where_it_is_is_where_it_was_asked() -> None:
    info = b"cluster_state:ok\r\ncluster_slots_ok:16384\r\ncluster_current_epoch:7\r\n"
    slots = [[0, 5, [b"", 7000, b"id"]], [6, 9, [None, 7001, b"id"], [b"h9", 1, b"id"]], [10, 11, [b"h2", 7002, b"id"]]]

    told = layout(info, slots, ("asked", 1))

    assert (told.is_ok, told.epoch) == (True, 7)
    assert told.ranges == [(0, 5, ("asked", 7000)), (6, 9, ("asked", 7001)), (10, 11, ("h2", 7002))]
