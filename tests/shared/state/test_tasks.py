"""Tasks, as backends speak of them (ST-2, ASK-5)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from redis.asyncio import Redis

import fairlead
from fairlead.errors import Conflict, InvalidJson, InvalidMessage, NotFound, TooLarge
from fairlead.format.control import LookOrder, parse
from fairlead.format.envelope import unseal
from fairlead.names import Names
from fairlead.publishing.publication import TASK_MESSAGES
from fairlead.state.task import MAX_FIELD_BYTES
from fairlead.state.tasks import MAX_WATCHERS, OWNED_TASKS
from tests.shared.publishing.test_publish import listening


@pytest.fixture
async def fl(redis_url: str, prefix: str) -> AsyncIterator[fairlead.Backend]:
    async with fairlead.connect(redis_url, prefix=prefix, name="crm") as fl:
        yield fl


async def said(redis: Redis, names: Names, channel: str) -> list[dict[str, Any]]:
    """The frames in the history of *channel*."""
    entries = await redis.xrange(names.log(channel))
    return [json.loads(unseal(fields[b"d"]).envelope.frame) for _, fields in entries]


# -- what is said ----------------------------------------------------------------------------------


async def test_what_is_said_is_the_whole_state_as_the_source_document_shows_it(
    fl: fairlead.Backend, redis: Redis, names: Names
) -> None:
    await fl.update_task(123, status="running", total_devices=10, completed_devices=0)
    sent = await fl.update_task(123, progress=75, current_device="switch-01", completed_devices=7, room="b 2")

    frame = (await said(redis, names, "task:123"))[-1]
    times = {frame.pop("updated_at"), frame.pop("timestamp")}
    assert frame == {
        "type": "task_update",
        "id": sent.id,
        "from": "service:crm",
        "to": "task:123",
        "channel": "task:123",
        "task_id": "123",
        "status": "running",
        "progress": 75,
        "current_device": "switch-01",
        "total_devices": 10,
        "completed_devices": 7,
        "room": "b 2",
        "version": 2,
    }
    (time,) = times
    assert abs(datetime.fromisoformat(time) - datetime.now(UTC)) < timedelta(seconds=60)
    assert (sent.version, sent.offset, sent.duplicate) == (2, 2, False)


async def test_a_task_is_read_as_it_stands(fl: fairlead.Backend) -> None:
    assert await fl.get_task("t1") is None
    await fl.update_task("t1", status="pending", owner="42", watchers=["43", "44"], step="probe", priority=[1, None])
    await fl.update_task("t1", progress=12.5, message="Größe: 3")

    task = await fl.get_task("t1")

    assert task is not None
    assert (task.id, task.status, task.version, task.owner, task.watchers) == ("t1", "pending", 2, "42", ("43", "44"))
    assert (task.progress, task.step, task.message) == (12.5, "probe", "Größe: 3")
    assert (task.total_devices, task.extra, task.stalled_since) == (None, {"priority": [1, None]}, None)
    assert not task.has_ended


async def test_the_same_message_changes_nothing_the_second_time(fl: fairlead.Backend) -> None:
    first = await fl.update_task("t1", progress=1, message_id="m-1")
    await fl.update_task("t1", progress=2)
    again = await fl.update_task("t1", progress=1, message_id="m-1")

    task = await fl.get_task("t1")
    assert (first.duplicate, again.duplicate, again.offset, again.version) == (False, True, first.offset, 2)
    assert task is not None
    assert task.progress == 2


async def test_an_ephemeral_update_is_in_the_state_and_not_in_the_history(
    fl: fairlead.Backend, redis: Redis, names: Names
) -> None:
    await fl.update_task("t1", progress=1)
    async with listening(redis, names.pubsub("task:t1")) as heard:
        sent = await fl.update_task("t1", progress=2, ephemeral=True)
        delivery = unseal(await heard.get())

    task = await fl.get_task("t1")
    assert (sent.offset, sent.version, sent.receivers, delivery.offset) == (0, 2, 1, 0)
    assert task is not None
    assert task.progress == 2
    assert [frame["progress"] for frame in await said(redis, names, "task:t1")] == [1]


async def test_updates_said_together_are_all_counted(fl: fairlead.Backend) -> None:
    async with fl.batch() as batch:
        for number in range(5):
            await fl.update_task("t1", progress=number, owner="42")

    assert [sent.version for sent in batch.sent] == [1, 2, 3, 4, 5]


async def test_the_history_of_a_task_stays_small(fl: fairlead.Backend, redis: Redis, names: Names) -> None:
    async with fl.batch():
        for number in range(3 * TASK_MESSAGES):
            await fl.update_task("t1", count=number)

    assert await redis.xlen(names.log("task:t1")) == TASK_MESSAGES


async def test_a_state_outlives_its_history_and_a_task_that_has_ended_is_kept_for_a_day(
    fl: fairlead.Backend, redis: Redis, names: Names
) -> None:
    await fl.update_task("t1", progress=1)
    running = await redis.ttl(names.task("t1"))
    await fl.update_task("t1", status="completed")

    assert 6 * 86400 < running <= 7 * 86400
    assert 86000 < await redis.ttl(names.task("t1")) <= 86400


async def test_where_tasks_are_not_durable_their_state_is_kept_all_the_same(
    redis_url: str, prefix: str, redis: Redis, names: Names
) -> None:
    async with fairlead.connect(redis_url, prefix=prefix, durable=("user",)) as fl:
        sent = await fl.update_task("t1", progress=1, message_id="m-1")
        again = await fl.update_task("t1", progress=2, message_id="m-1")
        await fl.update_task("t1", total_devices=3)
        task = await fl.get_task("t1")

    assert (sent.offset, sent.version, again.duplicate) == (0, 1, True)
    assert task is not None
    assert (task.version, task.progress, task.total_devices) == (2, 1, 3)
    assert not await redis.exists(names.log("task:t1"))


# -- how it ends -----------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["completed", "failed", "cancelled"])
async def test_nothing_comes_after_the_end(fl: fairlead.Backend, end: Any) -> None:
    await fl.update_task("t1", status=end)

    again = await fl.update_task("t1", status=end, progress=3)
    for change in ({"status": "running"}, {"progress": 5}, {"owner": "42"}):
        with pytest.raises(Conflict, match=f"has ended as {end}"):
            await fl.update_task("t1", **change)  # type: ignore[arg-type]

    task = await fl.get_task("t1")
    assert again.duplicate
    assert task is not None
    assert (task.status, task.version, task.progress, task.has_ended) == (end, 1, None, True)


async def test_cancelling_is_told_to_watchers_and_to_the_devices_of_the_owner(
    fl: fairlead.Backend, redis: Redis, names: Names
) -> None:
    await fl.update_task("t1", progress=40, owner="42")
    assert not await fl.is_cancelled("t1")

    sent = await fl.cancel_task("t1", by="7")
    again = await fl.cancel_task("t1", by="8")

    watched, own = await said(redis, names, "task:t1"), await said(redis, names, "user:42")
    assert await fl.is_cancelled("t1")
    assert (sent.duplicate, again.duplicate, again.version) == (False, True, sent.version)
    assert [frame["type"] for frame in watched] == ["task_update", "task_cancelled"]
    assert watched[1].items() >= {"task_id": "t1", "user_id": "7", "status": "cancelled", "progress": 40}.items()
    (notice,) = own
    assert notice.items() >= {"type": "task_cancelled", "task_id": "t1", "user_id": "7", "version": 2}.items()
    task = await fl.get_task("t1")
    assert task is not None
    assert task.cancelled_by == "7"


async def test_what_has_ended_or_never_was_cannot_be_cancelled(fl: fairlead.Backend) -> None:
    await fl.update_task("t1", status="completed")

    with pytest.raises(Conflict, match="completed"):
        await fl.cancel_task("t1", by="42")
    with pytest.raises(NotFound):
        await fl.cancel_task("t2", by="42")
    assert not await fl.is_cancelled("t1")
    assert not await fl.is_cancelled("t2")


# -- whose it is -----------------------------------------------------------------------------------


async def test_the_owner_stays_and_is_told_once_where_to_look(fl: fairlead.Backend, redis: Redis, names: Names) -> None:
    async with listening(redis, names.pubsub("user:42")) as heard:
        await fl.update_task("t1", owner="42")
        await fl.update_task("t1", owner="42", progress=5)
        await fl.update_task("t2", owner="42")
        orders = [parse(unseal(await heard.get()).envelope) for _ in range(2)]

    with pytest.raises(Conflict, match="another owner"):
        await fl.update_task("t1", owner="43")
    task = await fl.get_task("t1")
    assert orders == [LookOrder("tasks")] * 2
    assert heard.empty()
    assert task is not None
    assert task.owner == "42"
    assert set(await redis.zrange(names.tasks("42"), 0, -1)) == {b"t1", b"t2"}


async def test_only_so_many_tasks_of_an_owner_are_remembered(fl: fairlead.Backend, redis: Redis, names: Names) -> None:
    async with fl.batch():
        for number in range(OWNED_TASKS + 5):
            await fl.update_task(f"t{number:04}", owner="42")

    assert await redis.zcard(names.tasks("42")) == OWNED_TASKS


async def test_watchers_take_the_place_of_those_before(fl: fairlead.Backend) -> None:
    await fl.update_task("t1", watchers=["1", "2"])
    await fl.update_task("t1", watchers=("3",))
    await fl.update_task("t1", progress=5)

    task = await fl.get_task("t1")
    assert task is not None
    assert task.watchers == ("3",)


# -- what cannot be said ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("task_id", "fields", "why"),
    [
        ("a b", {}, "task id"),
        (True, {}, "task id"),
        ("t", {"status": "done"}, "status must be one of"),
        ("t", {"progress": 101}, "progress"),
        ("t", {"progress": float("nan")}, "progress"),
        ("t", {"progress": "5"}, "progress"),
        ("t", {"progress": True}, "progress"),
        ("t", {"total_devices": -1}, "total_devices"),
        ("t", {"completed_devices": 1.5}, "completed_devices"),
        ("t", {"step": 1.5}, "step"),
        ("t", {"current_device": ["x"]}, "current_device"),
        ("t", {"message": 5}, "message"),
        ("t", {"owner": "a b"}, "owner"),
        ("t", {"watchers": "42"}, "not a string"),
        ("t", {"watchers": ["4 2"]}, "watcher"),
        ("t", {"watchers": [str(number) for number in range(MAX_WATCHERS + 1)]}, "watchers"),
        ("t", {"stalled_after": -1}, "stalled_after"),
        ("t", {"stalled_after": float("inf")}, "stalled_after"),
        ("t", {"version": 5}, "version"),
        ("t", {"@at": 5}, "@at"),
        ("t", {'a":1,"b': 5}, "cannot be a field"),
        ("t", {"message_id": ""}, "id must be"),
    ],
)
async def test_what_is_malformed_is_refused_at_once(
    fl: fairlead.Backend, task_id: Any, fields: dict[str, Any], why: str
) -> None:
    with pytest.raises(InvalidMessage, match=why):
        fl.update_task(task_id, **fields)


async def test_what_cannot_be_carried_is_refused(fl: fairlead.Backend) -> None:
    with pytest.raises(InvalidJson):
        fl.update_task("t", size=float("inf"))
    with pytest.raises(TooLarge):
        fl.update_task("t", message="x" * MAX_FIELD_BYTES)
    await fl.update_task("t", **{f"f{number}": number for number in range(50)})
    with pytest.raises(Conflict, match="at most 64 fields"):
        await fl.update_task("t", **{f"g{number}": number for number in range(50)})
    assert (await fl.update_task("t", f1=5)).version == 2


# -- the blocking face -----------------------------------------------------------------------------


def test_the_blocking_face_does_the_same(redis_url: str, prefix: str) -> None:
    with fairlead.connect_sync(redis_url, prefix=prefix) as fl:
        sent = fl.update_task("t1", progress=5, owner="42")
        with fl.batch() as batch:
            fl.update_task("t1", progress=6, owner="42")
        task = fl.get_task("t1")
        with pytest.raises(Conflict, match="another owner"):
            fl.update_task("t1", owner="43")
        ended = fl.cancel_task("t1", by="42")

        assert (sent.version, [one.version for one in batch.sent], ended.version) == (1, [2], 3)
        assert task is not None
        assert (task.progress, task.owner) == (6, "42")
        assert fl.is_cancelled("t1")
        assert fl.cancel_task("t1", by="42").duplicate
