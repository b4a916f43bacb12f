"""Watching tasks and cancelling them: who may, and who is told (ST-2, ASK-5)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

import fairlead
from fairlead.errors import Unavailable
from fairlead.names import Names
from fairlead.state import tasks
from fairlead_gateway.pool.formats import MSGPACK_SUBPROTOCOL
from tests.gateway.patience import until
from tests.gateway.running import Client, Gateway, new_session, new_user, serving, settings_for
from tests.support.replica import token

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fl(gateway: Gateway, redis_url: str) -> AsyncIterator[fairlead.Backend]:
    async with fairlead.connect(redis_url, prefix=gateway.manager.settings.prefix, name="worker") as fl:
        yield fl


def new_task() -> str:
    return new_session().replace("s-", "t-")


async def person(gateway: Gateway, user: str = "", *, role: str = "", tasks: tuple[str, ...] = ()) -> Client:
    """A client whose claims allow the tasks that are named, and nothing else."""
    user = user or new_user()
    return await gateway.connect(bearer=token(user, role=role, tasks=tasks, topics=("none",)))


# -- watching --------------------------------------------------------------------------------------


async def test_a_subscriber_gets_the_state_and_then_what_changes(gateway: Gateway, fl: fairlead.Backend) -> None:
    task, user = new_task(), new_user()
    await fl.update_task(task, progress=10, owner=user, total_devices=4)
    client = await person(gateway, user)

    reply = await client.ask("subscribe_task", task_id=task)
    state = await client.hear("task_update")
    sent = await fl.update_task(task, progress=20, current_device="switch-01")
    change = await client.hear("task_update")

    assert reply["task"] == state
    assert state.items() >= {"task_id": task, "status": "running", "progress": 10, "version": 1}.items()
    assert "offset" not in state
    assert change.items() >= {"id": sent.id, "from": "service:worker", "progress": 20, "total_devices": 4}.items()
    assert (change["version"], change["offset"]) == (2, sent.offset)


async def test_the_frames_of_the_source_document_are_enough(gateway: Gateway, fl: fairlead.Backend) -> None:
    number, user = int(new_task()[2:], 16) % 2**40, new_user()
    await fl.update_task(number, progress=75, owner=user)
    client = await person(gateway, user)

    await client.send({"type": "subscribe_task", "task_id": number})

    assert (await client.hear("task_update")).items() >= {"task_id": str(number), "progress": 75}.items()


async def test_a_task_may_be_watched_before_its_first_word(gateway: Gateway, fl: fairlead.Backend) -> None:
    task = new_task()
    client = await person(gateway, tasks=(task,))

    assert (await client.ask("subscribe_task", task_id=task))["task"] is None
    await fl.update_task(task, progress=1)

    assert (await client.hear("task_update"))["version"] == 1


async def test_only_who_watches_is_told(gateway: Gateway, fl: fairlead.Backend) -> None:
    task, user = new_task(), new_user()
    await fl.update_task(task, owner=user)
    watching, idle, other = [await person(gateway, user) for _ in range(3)]
    await watching.ask("subscribe_task", task_id=task)
    await other.ask("subscribe_task", task_id=task)
    await other.ask("unsubscribe_task", task_id=task)
    await watching.hear("task_update")
    await other.hear("task_update")

    await fl.update_task(task, progress=5)

    assert (await watching.hear("task_update"))["progress"] == 5
    assert await idle.heard() == []
    assert await other.heard() == []


async def test_every_way_to_a_task_begins_with_its_state(gateway: Gateway, fl: fairlead.Backend) -> None:
    task, user = new_task(), new_user()
    await fl.update_task(task, owner=user, progress=5)
    position = {f"task:{task}": {"offset": 0, "epoch": "of before"}}

    by_subscribe = await person(gateway, user)
    await by_subscribe.ask("subscribe", channels=[f"task:{task}"])
    back = await gateway.open("/ws?wait=connect", bearer=token(user, topics=("none",)))
    await back.say("connect", recover=position)

    assert (await by_subscribe.hear("task_update"))["progress"] == 5
    assert (await back.hear("task_update"))["progress"] == 5


@pytest.mark.parametrize("task_id", ["a b", "", None, True, ["x"], 1.5, "x" * 129])
async def test_what_is_no_task_id_is_refused(gateway: Gateway, task_id: Any) -> None:
    client = await person(gateway)

    for action in ("subscribe_task", "unsubscribe_task", "cancel"):
        assert (await client.ask(action, task_id=task_id))["code"] == "invalid_message"


async def test_where_tasks_are_not_durable_the_state_still_comes_first(redis_url: str) -> None:
    task, user = new_task(), new_user()
    settings = settings_for(redis_url, durable=("user", "session"))
    async with (
        serving(settings) as own,
        fairlead.connect(redis_url, prefix=settings.prefix, durable=settings.durable) as fl,
    ):
        await fl.update_task(task, owner=user, progress=5)
        client = await person(own, user)
        assert (await client.ask("subscribe_task", task_id=task))["channels"] == {f"task:{task}": {}}
        await fl.update_task(task, progress=6)

        assert [(await client.hear("task_update"))["progress"] for _ in range(2)] == [5, 6]


async def test_who_speaks_msgpack_has_the_same(gateway: Gateway, fl: fairlead.Backend) -> None:
    task, user = new_task(), new_user()
    await fl.update_task(task, owner=user, progress=12.5, message="Größe")
    client = await gateway.connect(user, subprotocols=[MSGPACK_SUBPROTOCOL])

    await client.ask("subscribe_task", task_id=task)

    assert (await client.hear("task_update")).items() >= {"progress": 12.5, "message": "Größe"}.items()


# -- who may ---------------------------------------------------------------------------------------

NO, YES = "forbidden", "reply"

MAY: dict[str, tuple[dict[str, Any], str, str]] = {
    "the owner": ({"user": "owner"}, YES, YES),
    "a watcher": ({"user": "watcher"}, YES, NO),
    "a stranger": ({}, NO, NO),
    "a stranger with the role": ({"role": "admin"}, NO, NO),
    "a claim": ({"tasks": ("{task}",)}, YES, NO),
    "a pattern": ({"tasks": ("*",)}, YES, NO),
    "another claim": ({"tasks": ("other-*",)}, NO, NO),
    "a claim and the role": ({"tasks": ("*",), "role": "admin"}, YES, YES),
    "a claim and another role": ({"tasks": ("*",), "role": "clerk"}, YES, NO),
    "another claim and the role": ({"tasks": ("other-*",), "role": "admin"}, NO, NO),
}


@pytest.mark.parametrize("who", MAY)
async def test_who_may_watch_and_who_may_cancel(gateway: Gateway, fl: fairlead.Backend, who: str) -> None:
    given, may_watch, may_cancel = MAY[who]
    task, people = new_task(), {"owner": new_user(), "watcher": new_user()}
    await fl.update_task(task, owner=people["owner"], watchers=[people["watcher"]])
    client = await person(
        gateway,
        people.get(given.get("user", ""), ""),
        role=given.get("role", ""),
        tasks=tuple(pattern.format(task=task) for pattern in given.get("tasks", ())),
    )

    watched = await client.ask("subscribe_task", task_id=task)
    cancelled = await client.ask("cancel", task_id=task)

    assert watched.get("code", watched["type"]) == may_watch
    assert cancelled.get("code", cancelled["type"]) == may_cancel
    assert await fl.is_cancelled(task) is (may_cancel == YES)


async def test_nobody_learns_whether_a_task_exists_that_is_not_theirs(gateway: Gateway, fl: fairlead.Backend) -> None:
    task = new_task()
    await fl.update_task(task, owner=new_user())
    client = await person(gateway)

    for action in ("subscribe_task", "cancel"):
        there, nowhere = [await client.ask(action, task_id=one) for one in (task, task + "x")]
        assert there["code"] == nowhere["code"] == "forbidden"
        assert there["message"] == nowhere["message"].replace(task + "x", task)


async def test_a_watcher_speaks_in_no_task(gateway: Gateway, fl: fairlead.Backend) -> None:
    task, user = new_task(), new_user()
    await fl.update_task(task, owner=user)
    client = await person(gateway, user)

    assert (await client.ask("message", to=f"task:{task}", content="hello"))["code"] == "forbidden"


# -- cancelling ------------------------------------------------------------------------------------


async def test_cancelling_is_told_to_all_who_watch_and_to_every_device_of_the_owner(
    gateway: Gateway, fl: fairlead.Backend
) -> None:
    task, user, friend = new_task(), new_user(), new_user()
    await fl.update_task(task, owner=user, watchers=[friend], progress=30)
    asking, idle, watching = await person(gateway, user), await person(gateway, user), await person(gateway, friend)
    await watching.ask("subscribe_task", task_id=task)

    reply = await asking.ask("cancel", user_id="somebody", task_id=task)
    again = await asking.ask("cancel", task_id=task)

    assert reply.items() >= {"task_id": task, "status": "cancelled", "duplicate": False, "version": 2}.items()
    assert again.items() >= {"status": "cancelled", "duplicate": True, "version": 2}.items()
    news = await watching.hear("task_cancelled")
    assert news.items() >= {"task_id": task, "user_id": user, "from": f"user:{user}", "progress": 30}.items()
    for device in (asking, idle):
        notice = await device.hear("task_cancelled")
        assert notice.items() >= {"task_id": task, "user_id": user, "channel": f"user:{user}"}.items()
        assert await device.heard() == []
    (event,) = gateway.told("task_cancelled", task_id=task)
    assert event == {"event": "task_cancelled", "task_id": task, "user_id": user, "owner": user}
    with pytest.raises(fairlead.Conflict):
        await fl.update_task(task, progress=31)


async def test_what_has_ended_cannot_be_cancelled(gateway: Gateway, fl: fairlead.Backend) -> None:
    task, user = new_task(), new_user()
    await fl.update_task(task, owner=user, status="completed")

    error = await (await person(gateway, user)).ask("cancel", task_id=task)

    assert (error["code"], error["detail"]) == ("conflict", {"status": "completed"})


async def test_who_is_cancelled_by_two_at_once_is_cancelled_once(gateway: Gateway, fl: fairlead.Backend) -> None:
    task, user = new_task(), new_user()
    await fl.update_task(task, owner=user)
    devices = [await person(gateway, user) for _ in range(4)]

    replies = await asyncio.gather(*(device.ask("cancel", task_id=task) for device in devices))

    assert sorted(reply["duplicate"] for reply in replies) == [False, True, True, True]
    assert len(gateway.told("task_cancelled", task_id=task)) == 1


async def test_the_questions_of_a_cancelled_task_are_closed(gateway: Gateway, fl: fairlead.Backend) -> None:
    task, user = new_task(), new_user()
    await fl.update_task(task, owner=user)
    client = await person(gateway, user)
    asking = asyncio.create_task(fl.ask(f"user:{user}", "Go on?", task_id=task))
    await client.hear("task_step_result")

    await client.ask("cancel", task_id=task)

    assert (await client.hear("confirm_closed"))["status"] == "cancelled"
    assert (await asyncio.wait_for(asking, 5)).status == "cancelled"


async def test_backends_are_told_of_an_end_that_was_left_half_done(
    gateway: Gateway, fl: fairlead.Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, user = new_task(), new_user()
    await fl.update_task(task, owner=user)
    client = await person(gateway, user)

    async def away(task_id: str) -> int:
        raise Unavailable("redis cannot be reached")

    with monkeypatch.context() as broken:
        broken.setattr(gateway.manager._parts.replica.questions, "cancel_of_task", away)
        first = await client.ask("cancel", task_id=task)
    again = await client.ask("cancel", task_id=task)
    await until(lambda: gateway.told("task_cancelled", task_id=task))

    assert (first["code"], again["status"], again["duplicate"]) == ("unavailable", "cancelled", True)
    (event,) = gateway.told("task_cancelled", task_id=task)
    assert (event["user_id"], event["owner"]) == (user, user)


async def test_what_a_backend_that_died_left_undone_of_a_cancel_is_done_by_a_replica(
    gateway: Gateway, fl: fairlead.Backend
) -> None:
    task, user, names = new_task(), new_user(), Names(gateway.manager.settings.prefix)
    await fl.update_task(task, owner=user)
    client = await person(gateway, user)
    asking = asyncio.create_task(fl.ask(user, "Go on?", task_id=task))
    await client.hear("task_step_result")

    await fl._publisher.publish(f"task:{task}", tasks.cancel(names, task, user))

    assert (await client.hear("task_cancelled"))["status"] == "cancelled"
    assert (await client.hear("confirm_closed"))["status"] == "cancelled"
    assert (await asyncio.wait_for(asking, 5)).status == "cancelled"
    await until(lambda: gateway.told("task_cancelled", task_id=task))


async def test_an_embedding_application_says_the_same(gateway: Gateway, fl: fairlead.Backend) -> None:
    task, user = new_task(), new_user()
    client = await person(gateway, user)

    sent = await gateway.manager.update_task(task, progress=5, owner=user)
    await client.ask("subscribe_task", task_id=task)

    assert sent.version == 1
    assert (await client.hear("task_update"))["progress"] == 5
