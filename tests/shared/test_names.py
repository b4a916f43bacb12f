from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.errors import InvalidMessage
from fairlead.names import KINDS, PARTITIONS, Names, channel, checked_channel, id_of, is_id, kind_of, partition_of

NAMES = Names("fl")
IDS = st.text(alphabet="abcAZ019_-.:@", min_size=1, max_size=128)
CHANNELS = st.builds(channel, st.sampled_from(KINDS), IDS) | st.just("broadcast")


def keys_of(channel: str) -> list[str]:
    keys = [NAMES.log(channel), NAMES.meta(channel), NAMES.seen(channel), NAMES.here(channel), NAMES.awaited(channel)]
    if kind_of(channel) == "session":
        keys.append(NAMES.members(id_of(channel)))
    if kind_of(channel) == "user":
        keys += [NAMES.conns(id_of(channel)), NAMES.cursor(id_of(channel))]
    return [*keys, NAMES.ack(channel, "m-1")]


@given(CHANNELS, CHANNELS)
def test_two_names_never_map_to_one_key_or_pubsub_channel(one: str, other: str) -> None:
    if one == other:
        assert len(set(keys_of(one))) == len(keys_of(one))
        return

    assert not set(keys_of(one)) & set(keys_of(other))
    assert NAMES.pubsub(one) != NAMES.pubsub(other)


@given(CHANNELS, st.text(max_size=128), CHANNELS, st.text(max_size=128))
def test_no_message_id_reaches_a_key_of_another_channel(one: str, its_id: str, other: str, others_id: str) -> None:
    assert NAMES.ack(one, its_id) not in {*keys_of(other), NAMES.ack(other, others_id)} or (one, its_id) in (
        (other, "m-1"),
        (other, others_id),
    )


@given(CHANNELS)
def test_no_channel_touches_a_key_of_the_fleet(channel: str) -> None:
    fleet = {NAMES.replicas, NAMES.sweeping, NAMES.layout, NAMES.ingress, NAMES.ingress_rejected}
    shared = fleet | {NAMES.term(partition_of(channel)), NAMES.online(partition_of(channel)), NAMES.replies("w")}

    assert not shared & set(keys_of(channel))


@given(CHANNELS)
def test_all_keys_of_a_channel_share_one_hash_tag(channel: str) -> None:
    tag = f"fl:{{{partition_of(channel)}}}:"

    assert all(key.startswith(tag) for key in [*keys_of(channel), NAMES.pubsub(channel)])
    assert 0 <= partition_of(channel) < PARTITIONS


@given(CHANNELS)
def test_a_channel_is_its_kind_and_its_id(channel: str) -> None:
    assert checked_channel(channel) == channel
    assert channel in (kind_of(channel), f"{kind_of(channel)}:{id_of(channel)}")


@pytest.mark.parametrize(
    "bad",
    ["", "user", "user:", "robot:1", "user:a b", "user:ä", "user:a\n", "user:{1}", "user:*", f"user:{'a' * 129}", 7],
)
def test_anything_else_is_not_a_channel(bad: object) -> None:
    with pytest.raises(InvalidMessage):
        checked_channel(bad)


@given(st.text())
def test_an_id_holds_nothing_that_redis_or_a_pattern_could_read(text: str) -> None:
    if is_id(text):
        assert not set(text) & set("*?[]{}\\^ \r\n\t\0")
        assert 1 <= len(text) <= 128


@pytest.mark.parametrize("prefix", ["", "a:b", "{a}", "a b", "a" * 33, "a*"])
def test_a_prefix_cannot_break_the_keys(prefix: str) -> None:
    with pytest.raises(ValueError, match="prefix"):
        Names(prefix)


def test_partitions_are_counted_with_the_crc_of_redis_cluster() -> None:
    assert partition_of("123456789") == 0x31C3 % PARTITIONS
