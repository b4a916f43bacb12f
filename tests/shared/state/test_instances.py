"""The state of instances in Redis: patched, replaced, folded, in conflict, and gone (ST-1)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from itertools import count
from typing import Any

import pytest
from redis.asyncio import Redis

import fairlead
from fairlead.backend.backend import Backend
from fairlead.errors import Conflict, InvalidJson, InvalidMessage, TooLarge, Unavailable
from fairlead.format.envelope import unseal
from fairlead.names import Names
from fairlead.publishing.sent import Fate
from fairlead.state import instances
from fairlead.state.instances import FOLD_BYTES, FOLD_PATCHES, PATCH, STATE_TTL_SECONDS, Instance
from fairlead.sync.backend import SyncBackend

CHANNEL = "instance:counter"


@pytest.fixture
async def backend(redis_url: str, prefix: str) -> AsyncIterator[Backend]:
    async with fairlead.connect(redis_url, prefix=prefix, name="tests") as backend:
        yield backend


async def said(redis: Redis, names: Names) -> list[dict[str, Any]]:
    """What the channel of the instance has been told, without what differs from run to run."""
    frames = [json.loads(unseal(entry[b"d"]).envelope.frame) for _, entry in await redis.xrange(names.log(CHANNEL))]
    assert all(frame.pop("timestamp") for frame in frames)
    return frames


async def patches_kept(redis: Redis, names: Names) -> int:
    return sum(field.isdigit() for field in await redis.hkeys(names.instance_state("counter")))


# -- patches -----------------------------------------------------------------------------------------


async def test_nobody_has_written_to_it(backend: Backend) -> None:
    assert await backend.get_instance("counter") == Instance("counter", 0, {})


async def test_patches_change_the_document_and_are_told_with_their_versions(
    backend: Backend, redis: Redis, names: Names
) -> None:
    first = await backend.send_patch("counter", {"state.params.count": 41, "tmp": [1]})
    second = await backend.send_patch("counter", {"state.params.count": 42}, "p-2", unset=["tmp"])

    assert [(sent.version, sent.offset, sent.duplicate) for sent in (first, second)] == [(1, 1, False), (2, 2, False)]
    assert await backend.get_instance("counter") == Instance("counter", 2, {"state": {"params": {"count": 42}}})
    assert (await said(redis, names))[1] == {
        "type": "patch",
        "id": "patch:p-2",
        "from": "service:tests",
        "to": CHANNEL,
        "instance": "counter",
        "patch": {"state.params.count": 42},
        "patch_id": "p-2",
        "unset": ["tmp"],
        "channel": CHANNEL,
        "base_version": 1,
        "version": 2,
    }


@pytest.mark.parametrize("ids", [("p-1", "p-1"), (1, 1), (1, "1")])
async def test_a_patch_id_that_was_seen_changes_nothing(
    backend: Backend, redis: Redis, names: Names, ids: tuple[str | int, str | int]
) -> None:
    first = await backend.send_patch("counter", {"a": 1}, ids[0])
    await backend.send_patch("counter", {"a": 2})

    again = await backend.send_patch("counter", {"a": 3}, ids[1], base_version=0)

    assert (again.duplicate, again.version, again.offset, again.epoch) == (True, 1, first.offset, first.epoch)
    assert (await backend.get_instance("counter")).document == {"a": 2}
    assert len(await said(redis, names)) == 2


async def test_a_message_with_the_id_of_a_patch_does_not_stand_in_its_way(backend: Backend) -> None:
    await backend.send_to_instance("counter", {"type": "x"}, message_id="p-1")
    await backend.send_patch("counter", {"a": 0})
    await backend.send_to_instance("counter", {"type": "x"}, message_id="patch:p-2")

    assert (await backend.send_patch("counter", {"a": 1}, "p-1")).version == 2
    sent = await backend.send_patch("counter", {"a": 2}, "p-2")
    assert (sent.version, sent.offset, sent.duplicate) == (3, 5, False)


async def test_what_redis_has_after_a_second_try_was_ours() -> None:
    assert PATCH.read([7, b"e.t", 1, 0, 3, 0], 2) == Fate(7, "e.t", False, 0, 3)
    assert PATCH.read([7, b"e.t", 1, 0, 3, 0], 1) == Fate(7, "e.t", True, 0, 3)
    assert PATCH.read([7, b"e.t", 0, 2, 3, 1], 1) == Fate(7, "e.t", False, 2, 3, True)


@pytest.mark.parametrize(
    ("patch", "options"),
    [
        ({}, {}),
        ({"a..b": 1}, {}),
        ({"a": 1}, {"unset": "a"}),
        ({"a": 1}, {"unset": ["a"]}),
        ({"a": 1}, {"patch_id": ""}),
        ({"a": 1}, {"patch_id": "p" * 123}),
        ({"a": 1}, {"patch_id": True}),
        ({"a": 1}, {"patch_id": 2**63}),
        ({"a": 1}, {"base_version": True}),
        ({"a": 1}, {"base_version": "7"}),
        ({"a": json.loads("[" * 65 + "]" * 65)}, {}),
    ],
)
async def test_what_is_no_patch_is_refused_before_redis(
    backend: Backend, patch: dict[str, object], options: dict[str, Any]
) -> None:
    with pytest.raises(InvalidMessage):
        backend.send_patch("counter", patch, **options).close()


async def test_a_value_may_be_sixty_four_deep_behind_a_path_of_thirty_two_segments(backend: Backend) -> None:
    value = json.loads("[" * 64 + "]" * 64)

    await backend.send_patch("counter", {".".join("a" * 32): value})

    document: Any = (await backend.get_instance("counter")).document
    for _ in range(32):
        document = document["a"]
    assert document == value
    await backend.set_state("counter", (await backend.get_instance("counter")).document)


async def test_what_cannot_be_carried_is_refused_before_redis(backend: Backend) -> None:
    with pytest.raises(InvalidJson):
        backend.send_patch("counter", {"a": float("nan")}).close()
    with pytest.raises(TooLarge):
        backend.send_patch("counter", {"a": "x" * 1_000_000}).close()
    with pytest.raises(InvalidMessage):
        backend.send_patch("no id", {"a": 1}).close()


# -- conflicts ---------------------------------------------------------------------------------------


async def test_a_conflict_tells_the_version_and_what_was_missed_and_changes_nothing(
    backend: Backend, redis: Redis, names: Names
) -> None:
    for number in range(3):
        await backend.send_patch("counter", {"a": number}, number)

    with pytest.raises(Conflict, match="version 3") as conflict:
        await backend.send_patch("counter", {"b": 1}, "p-b", base_version=1)

    detail = conflict.value.detail
    assert detail["version"] == 3
    assert [(patch["version"], patch["patch"], patch["patch_id"]) for patch in detail["patches"]] == [
        (2, {"a": 1}, 1),
        (3, {"a": 2}, 2),
    ]
    assert len(await said(redis, names)) == 3
    assert (await backend.send_patch("counter", {"b": 1}, "p-b", base_version=3)).version == 4


@pytest.mark.parametrize("base_version", [-1, 7, 2**60])
async def test_a_version_that_the_instance_was_never_at_is_a_conflict_without_patches(
    backend: Backend, base_version: int
) -> None:
    await backend.send_patch("counter", {"a": 1})

    with pytest.raises(Conflict) as conflict:
        await backend.send_patch("counter", {"a": 2}, base_version=base_version)

    assert conflict.value.detail == {"version": 1, "patches": None}


async def test_what_was_missed_is_not_told_when_it_is_too_much(backend: Backend) -> None:
    await backend.send_patch("counter", {"a": 1})
    for number in range(3):
        await backend.send_patch("counter", {f"b{number}": "x" * (FOLD_BYTES // 3)})

    with pytest.raises(Conflict) as conflict:
        await backend.send_patch("counter", {"a": 2}, base_version=0)

    assert conflict.value.detail == {"version": 4, "patches": None}


async def test_of_writers_who_say_what_they_have_read_none_overwrites_another(redis_url: str, prefix: str) -> None:
    tries = count()

    async def add_one(backend: Backend) -> None:
        while True:
            read = await backend.get_instance("counter")
            next(tries)
            try:
                await backend.send_patch(
                    "counter", {"count": read.document.get("count", 0) + 1}, base_version=read.version
                )
                return
            except Conflict:
                continue

    async with fairlead.connect(redis_url, prefix=prefix) as one, fairlead.connect(redis_url, prefix=prefix) as other:
        await asyncio.gather(*(add_one(backend) for backend in (one, other) for _ in range(20)))

        assert await one.get_instance("counter") == Instance("counter", 40, {"count": 40})
    assert next(tries) > 40, "there were conflicts"


# -- another document --------------------------------------------------------------------------------


async def test_a_document_takes_the_place_of_the_other_and_is_told_whole(
    backend: Backend, redis: Redis, names: Names
) -> None:
    await backend.send_patch("counter", {"a": 1})

    sent = await backend.set_state("counter", {"b": [1.5, None]})
    with pytest.raises(Conflict):
        await backend.set_state("counter", {}, base_version=1)
    await backend.send_patch("counter", {"b.1": "ü"}, base_version=2)

    assert (sent.version, sent.offset) == (2, 2)
    assert await backend.get_instance("counter") == Instance("counter", 3, {"b": [1.5, "ü"]})
    snapshot = (await said(redis, names))[1]
    assert (snapshot["type"], snapshot["document"], snapshot["version"]) == ("snapshot", {"b": [1.5, None]}, 2)
    assert snapshot["instance"] == "counter"


@pytest.mark.parametrize("document", [[], "x", None, json.loads('{"a":' * 97 + "1" + "}" * 97)])
async def test_what_is_no_document_is_refused_before_redis(backend: Backend, document: Any) -> None:
    with pytest.raises(InvalidMessage):
        backend.set_state("counter", document).close()


# -- folding -----------------------------------------------------------------------------------------


async def test_many_patches_are_folded_and_nobody_sees_a_difference(
    backend: Backend, redis: Redis, names: Names
) -> None:
    for number in range(FOLD_PATCHES - 1):
        await backend.send_patch("counter", {f"a.{number}": number}, number)
    before = await patches_kept(redis, names)
    sent = await backend.send_patch("counter", {"b": 1})
    after = await patches_kept(redis, names)

    expected = {"a": {str(number): number for number in range(FOLD_PATCHES - 1)}, "b": 1}
    assert (before, after, sent.version) == (FOLD_PATCHES - 1, 0, FOLD_PATCHES)
    assert await backend.get_instance("counter") == Instance("counter", FOLD_PATCHES, expected)
    assert await redis.hget(names.instance_state("counter"), "bytes") == b"0"
    assert (await backend.send_patch("counter", {"b": 2}, 3)).duplicate, "ids are remembered beyond"
    with pytest.raises(Conflict) as conflict:
        await backend.send_patch("counter", {"b": 2}, base_version=5)
    assert conflict.value.detail["patches"] is None


async def test_large_patches_are_folded_sooner(backend: Backend, redis: Redis, names: Names) -> None:
    kept = []
    for number in range(8):
        await backend.send_patch("counter", {"a": "x" * (FOLD_BYTES // 4), "b": number})
        kept.append(await patches_kept(redis, names))

    assert 0 in kept and max(kept) < 4
    assert (await backend.get_instance("counter")).document["b"] == 7


async def test_who_comes_too_late_to_fold_changes_nothing(backend: Backend, redis: Redis, names: Names) -> None:
    await backend.send_patch("counter", {"a": 1})
    query = instances.standing(names, "counter")
    late = query.read([await redis.hgetall(names.instance_state("counter"))])
    await backend.send_patch("counter", {"a": 2})
    early = query.read([await redis.hgetall(names.instance_state("counter"))])

    done = [await backend._shards.run_all([instances.fold(names, standing)]) for standing in (early, late, early)]

    assert done == [[1], [0], [0]]
    assert await backend.get_instance("counter") == Instance("counter", 2, {"a": 2})


async def test_patches_go_on_while_somebody_folds(backend: Backend) -> None:
    await asyncio.gather(*(backend.send_patch("counter", {f"n{number}": number}) for number in range(1000)))

    assert await backend.get_instance("counter") == Instance("counter", 1000, {f"n{n}": n for n in range(1000)})


async def test_a_document_that_has_become_too_large_takes_no_patches_until_it_is_replaced(backend: Backend) -> None:
    async def fill() -> None:
        for number in range(10):
            await backend.send_patch("counter", {f"part{number}": "x" * 200_000})

    with pytest.raises(TooLarge, match="set_state"):
        await fill()
    version = (await backend.get_instance("counter")).version
    with pytest.raises(TooLarge):
        await backend.send_patch("counter", {}, unset=["part0"])
    await backend.set_state("counter", {"part0": 1})

    assert 5 <= version < 10
    assert (await backend.send_patch("counter", {"part1": 1})).version == version + 2


# -- what Redis forgets, or never knew ---------------------------------------------------------------


async def test_a_state_is_kept_for_a_while_after_its_last_change(redis_url: str, redis: Redis, names: Names) -> None:
    key = names.instance_state("counter")
    async with fairlead.connect(redis_url, prefix=names.prefix, state_ttl_seconds=100) as brief:
        await brief.send_patch("counter", {"a": 1})
        assert 90 < await redis.ttl(key) <= 100
        async with fairlead.connect(redis_url, prefix=names.prefix) as other:
            await other.set_state("counter", {"a": 1})
    assert STATE_TTL_SECONDS - 10 < await redis.ttl(key) <= STATE_TTL_SECONDS


async def test_a_state_that_is_gone_begins_anew_whatever_is_left_of_it(
    backend: Backend, redis: Redis, names: Names
) -> None:
    for version in (1, 2):
        await backend.send_patch("counter", {"a": version}, version)
    await redis.delete(names.instance_state("counter"))

    sent = await backend.send_patch("counter", {"b": 1}, 2)

    assert (sent.version, sent.duplicate, sent.offset) == (1, False, 3)
    assert await backend.get_instance("counter") == Instance("counter", 1, {"b": 1})
    assert (await backend.send_patch("counter", {"b": 2}, 1)).version == 2


@pytest.mark.parametrize(
    "damage",
    [
        {"document": "{"},
        {"document": "[]"},
        {"2": ""},
        {"2": '{"patch":{"a..b":1}}'},
        {"2": "{}"},
        {"version": 9},
        {"7": "{}"},
    ],
)
async def test_what_was_damaged_is_said_to_be_and_can_be_replaced(
    backend: Backend, redis: Redis, names: Names, damage: dict[str, Any]
) -> None:
    for number in range(2):
        await backend.send_patch("counter", {"a": number})
    await redis.hset(names.instance_state("counter"), mapping=damage)

    with pytest.raises(Unavailable, match="damaged"):
        await backend.get_instance("counter")
    await backend.set_state("counter", {"a": 7})

    assert (await backend.get_instance("counter")).document == {"a": 7}


@pytest.mark.parametrize("damage", [{"version": "x"}, {"folded": "-1"}, {"version": 2**60}])
async def test_numbers_that_are_none_are_damage_too(
    backend: Backend, redis: Redis, names: Names, damage: dict[str, Any]
) -> None:
    await backend.send_patch("counter", {"a": 1})
    await redis.hset(names.instance_state("counter"), mapping=damage)

    with pytest.raises(Unavailable, match="damaged"):
        await backend.get_instance("counter")


async def test_without_offsets_it_works_the_same(redis_url: str, redis: Redis, names: Names) -> None:
    async with fairlead.connect(redis_url, prefix=names.prefix, durable=()) as backend:
        sent = [await backend.send_patch("counter", {"a": number}, number // 2) for number in range(4)]
        with pytest.raises(Conflict):
            await backend.send_patch("counter", {"a": 7}, base_version=1)

        assert [(one.version, one.offset, one.duplicate) for one in sent] == [
            (1, 0, False),
            (1, 0, True),
            (2, 0, False),
            (2, 0, True),
        ]
        assert await backend.get_instance("counter") == Instance("counter", 2, {"a": 2})
    assert not await redis.exists(names.log(CHANNEL), names.meta(CHANNEL), names.seen(CHANNEL))


# -- together, and blocking --------------------------------------------------------------------------


async def test_in_a_batch_a_conflict_raises_at_the_end_and_folding_is_done(
    backend: Backend, redis: Redis, names: Names
) -> None:
    async with backend.batch() as batch:
        for number in range(FOLD_PATCHES):
            await backend.send_patch("counter", {f"n{number}": number})
    assert [sent.version for sent in batch.sent] == list(range(1, FOLD_PATCHES + 1))
    assert await patches_kept(redis, names) == 0

    with pytest.raises(Conflict):
        async with backend.batch() as batch:
            await backend.send_patch("counter", {"a": 1}, base_version=1)
            await backend.send_patch("counter", {"b": 1})
    assert batch.sent[1].version == FOLD_PATCHES + 1


async def test_the_blocking_face_does_the_same(redis_url: str, redis: Redis, names: Names) -> None:
    def work(fl: SyncBackend) -> None:
        for number in range(FOLD_PATCHES + 1):
            assert fl.send_patch("counter", {"count": number}, number).version == number + 1
        assert fl.send_patch("counter", {"count": 0}, 0).duplicate
        with pytest.raises(Conflict) as conflict:
            fl.send_patch("counter", {}, base_version=FOLD_PATCHES, unset=["count"])
        assert conflict.value.detail["patches"][0]["patch"] == {"count": FOLD_PATCHES}
        assert fl.get_instance("counter") == Instance("counter", FOLD_PATCHES + 1, {"count": FOLD_PATCHES})
        with fl.batch():
            for number in range(FOLD_PATCHES):
                fl.send_patch("counter", {"count": number})
        fl.set_state("counter", {"done": True})
        assert fl.get_instance("counter").document == {"done": True}
        assert (fl.list_active_instances(), fl.instance_counts()) == ([], {})

    with fairlead.connect_sync(redis_url, prefix=names.prefix) as fl:
        await asyncio.to_thread(work, fl)
    assert await patches_kept(redis, names) == 0


# -- who watches -------------------------------------------------------------------------------------


async def test_the_instances_of_replicas_that_live_are_summed(backend: Backend, redis: Redis, names: Names) -> None:
    await redis.zadd(names.replicas, {"r1": 2**52, "r2": 2**52, "r3": 2**52, "forged": 2**52, "dead": 1})
    for replica, counts in {
        "r1": '{"demo":2,"counter":1}',
        "r2": '{"demo":3}',
        "forged": '{"no id":1,"x":"y"}',
        "dead": '{"gone":1}',
    }.items():
        await redis.set(names.replica_instances(replica), counts)

    assert await backend.instance_counts() == {"demo": 5, "counter": 1}
    assert await backend.list_active_instances() == ["counter", "demo"]
