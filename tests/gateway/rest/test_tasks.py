"""``tasks``: listed for viewers, shown to who may watch, changed by operators, cancelled by them and by owners."""

from __future__ import annotations

from typing import Any

import pytest

from tests.gateway.rest.calling import calling
from tests.gateway.running import Gateway, new_session, new_user

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOBODYS: dict[str, Any] = {"topics": ["none"]}
"""Claims that open no task."""


async def test_a_task_is_begun_changed_and_shown(gateway: Gateway) -> None:
    owner, id = new_user(), new_session()
    client = await gateway.connect(owner)
    await client.ask("subscribe_task", task_id=id)
    async with calling(gateway, "operator", "olga") as operator:
        begun = await operator.ask(
            "PUT", f"/tasks/{id}", {"owner": owner, "progress": 5, "step": 1, "extra": {"x": [1]}}
        )
        again = await operator.ask("PUT", f"/tasks/{id}", {"message": "half", "message_id": "m"})
        same = await operator.ask("PUT", f"/tasks/{id}", {"message": "half", "message_id": "m"})
        task = await operator.get(f"/tasks/{id}")

    seen = await client.hear("task_update")
    assert (seen["from"], seen["progress"], seen["x"]) == ("service:olga", 5, [1])
    assert (begun[0], begun[1]["version"], again[1]["version"], same[1]["duplicate"]) == (200, 1, 2, True)
    assert task == {
        "task_id": id,
        "status": "running",
        "progress": 5,
        "step": 1,
        "message": "half",
        "owner": owner,
        "current_device": None,
        "total_devices": None,
        "completed_devices": None,
        "watchers": [],
        "cancelled_by": None,
        "stalled_since": None,
        "version": 2,
        "extra": {"x": [1]},
        "updated_at": task["updated_at"],
    }


async def test_who_may_see_a_task(gateway: Gateway) -> None:
    owner, friend, id = new_user(), new_user(), new_session()
    await gateway.manager.update_task(id, owner=owner, watchers=[friend])

    seen = {}
    for role, user in (("", owner), ("", friend), ("", "eve"), ("viewer", "eve")):
        async with calling(gateway, role, user, **NOBODYS) as caller:
            seen[role or user] = (await caller.ask("GET", f"/tasks/{id}"))[0]

    assert seen == {owner: 200, friend: 200, "eve": 403, "viewer": 200}
    async with calling(gateway, "viewer") as viewer:
        assert await viewer.refused("GET", f"/tasks/{new_session()}") == (404, "not_found")


async def test_tasks_that_have_not_ended_are_listed_each_once(gateway: Gateway) -> None:
    ids = [new_session() for _ in range(15)]
    for number, id in enumerate(ids):
        await gateway.manager.update_task(id, status="pending" if number % 2 else "running", stalled_after=0)
    for id, status in zip(ids, ("completed", "failed"), strict=False):
        await gateway.manager.update_task(id, status=status)  # type: ignore[arg-type]

    found, cursor = [], ""
    async with calling(gateway, "viewer") as viewer:
        while True:
            page = await viewer.get("/tasks", limit=4, cursor=cursor)
            assert len(page["items"]) <= 4
            found += page["items"]
            if not (cursor := page["cursor"]):
                break

    listed = [task["task_id"] for task in found]
    assert len(listed) == len(set(listed))
    assert set(ids) & set(listed) == set(ids[2:])


async def test_a_task_whose_state_is_gone_is_listed_no_more(gateway: Gateway) -> None:
    id = new_session()
    replica = gateway.manager._parts.replica
    await gateway.manager.update_task(id)
    await replica.lane.call("DEL", replica.names.task(id))

    async with calling(gateway, "viewer") as viewer:
        assert id not in [task["task_id"] for task in (await viewer.get("/tasks", limit=500))["items"]]

    assert await replica.lane.call("ZSCORE", replica.names.tasks_going_on(id), id) is None


async def test_who_may_cancel_a_task(gateway: Gateway) -> None:
    owner, friend = new_user(), new_user()
    answers = {}
    for role, user in (("", owner), ("", friend), ("viewer", "vic"), ("operator", "olga")):
        id = new_session()
        await gateway.manager.update_task(id, owner=owner, watchers=[friend])
        async with calling(gateway, role, user, **NOBODYS) as caller:
            answers[user] = (await caller.ask("POST", f"/tasks/{id}/cancel"))[0]
            if answers[user] == 200:
                again = await caller.post(f"/tasks/{id}/cancel")
                assert (again["status"], again["duplicate"]) == ("cancelled", True)
                task = await gateway.manager._parts.replica.task_states.ask(id)
                assert task is not None and (task.status, task.cancelled_by) == ("cancelled", user)

    assert answers == {owner: 200, friend: 403, "vic": 403, "olga": 200}


async def test_cancelling_closes_its_questions_and_tells_its_owner(gateway: Gateway) -> None:
    owner, id = new_user(), new_session()
    client = await gateway.connect(owner)
    async with calling(gateway, "operator") as operator:
        await operator.ask("PUT", f"/tasks/{id}", {"owner": owner})
        asked = await operator.post("/confirmations", {"responders": [owner], "message": "?", "task_id": id})
        await operator.post(f"/tasks/{id}/cancel")
        assert (await operator.get(f"/confirmations/{asked['callback_id']}", wait=5))["status"] == "cancelled"
        assert await operator.refused("PUT", f"/tasks/{id}", {"progress": 1}) == (409, "conflict")

    assert (await client.hear("task_cancelled"))["task_id"] == id
    assert (await client.hear("confirm_closed"))["status"] == "cancelled"


@pytest.mark.parametrize(
    "wrong",
    [
        {"status": "done"},
        {"progress": 101},
        {"progress": "half"},
        {"progress": "5"},
        {"progress": True},
        {"total_devices": "1"},
        {"total_devices": -1},
        {"owner": "a b"},
        {"watchers": ["a b"]},
        {"stalled_after": -1},
        {"extra": {"version": 1}},
        {"extra": {"status": "x"}},
        {"extra": {"self": 1}},
        {"extra": {"task_id": 1}},
        {"extra": {"a b": 1}},
        {"field": 1},
    ],
)
async def test_what_a_task_cannot_be_is_refused(gateway: Gateway, wrong: dict[str, Any]) -> None:
    async with calling(gateway, "operator") as operator:
        assert await operator.refused("PUT", f"/tasks/{new_session()}", wrong) == (422, "invalid_message")


async def test_a_task_that_there_is_not_cannot_be_cancelled(gateway: Gateway) -> None:
    async with calling(gateway, "operator") as operator:
        assert await operator.refused("POST", f"/tasks/{new_session()}/cancel") == (404, "not_found")
