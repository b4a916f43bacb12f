"""Where a key lives: the same for everybody, and little of it moves when a shard is added."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.names import PARTITIONS, Names
from fairlead.redis.places import SLOTS, Ring, SlotMap, slot_of, tag_of

KEYS = st.text(st.sampled_from("{}ab1:"), max_size=12)


@pytest.mark.parametrize(
    ("key", "tag"),
    [
        ("fl:{17}:user:42", "17"),
        ("fl:{fleet}:replicas", "fleet"),
        ("fl:ingress", "fl:ingress"),
        ("a{}b", "a{}b"),
        ("a{b", "a{b"),
        ("}a{b}{c}", "b"),
        ("a{{b}}", "{b"),
        ("", ""),
    ],
)
def test_the_tag_is_what_redis_cluster_takes_for_it(key: str, tag: str) -> None:
    assert tag_of(key) == tag


@given(KEYS)
def test_a_key_lives_where_its_tag_lives(key: str) -> None:
    assert 0 <= slot_of(key) < SLOTS
    assert slot_of(f"{{{tag_of(key)}}}") == slot_of(key) or "}" in tag_of(key) or not tag_of(key)


def test_slots_are_counted_as_the_specification_counts_them() -> None:
    assert slot_of("123456789") == slot_of("a{123456789}b") == 0x31C3


def test_everything_of_a_channel_lives_in_one_place() -> None:
    names, ring = Names("fl"), Ring({name: name for name in "abc"})

    for channel in (f"user:{number}" for number in range(200)):
        keys = (*names.of_durable(channel), names.pubsub(channel), names.here(channel), names.awaited(channel))
        assert len({ring.find(key) for key in keys}) == 1


def test_the_rule_is_one_that_any_language_can_follow() -> None:
    """The shard whose SHA-1 of "<name> <tag>" is greatest; a change here would move everything of every fleet."""
    ring = Ring({name: name for name in ("h1:6379/0", "h2:6379/0", "h3:6379/0")})

    assert [ring.find(f"fl:{{{tag}}}:x")[1] for tag in (0, 1, 2, 3, 17, "fleet")] == ["1", "1", "1", "1", "3", "1"]


def test_shares_are_alike_and_a_new_shard_takes_its_share_from_all() -> None:
    three = Ring({f"h{n}:6379/0": n for n in range(3)})
    four = Ring({f"h{n}:6379/0": n for n in range(4)})
    tags = [f"{{{n}}}" for n in range(4000)]

    before, after = [three.find(tag) for tag in tags], [four.find(tag) for tag in tags]

    assert all(1100 < count < 1600 for count in Counter(before).values())
    moved = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert 800 < len(moved) < 1200
    assert {new for _, new in moved} == {3}


def test_the_order_in_which_shards_are_named_does_not_matter() -> None:
    assert Ring({"a": 1, "b": 2}).partitions == Ring({"b": 2, "a": 1}).partitions


def test_a_slot_map_knows_what_it_was_told_and_nothing_else() -> None:
    places: SlotMap[str] = SlotMap()
    assert places.partitions == [None] * PARTITIONS
    assert places.find("x") is None

    places.adopt([(8192, 16383, "b"), (0, 8000, "a")])

    assert places.find("{17}") == ("a" if slot_of("17") <= 8000 else "b" if slot_of("17") >= 8192 else None)
    assert list(places) == ["a", "b"]
    assert set(places.partitions) <= {"a", "b", None}
    places.adopt([(0, 16383, "c")])
    assert set(places.partitions) == {"c"}
