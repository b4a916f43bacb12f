"""``confirmations``: asked, awaited, answered and taken back over HTTP, by whom it is permitted (ASK-1 to ASK-4)."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from fairlead.questions.question import split
from tests.gateway.patience import until, until_asked
from tests.gateway.rest.calling import calling
from tests.gateway.running import Client, Gateway, new_user
from tests.support.rest import Rest

pytestmark = pytest.mark.asyncio(loop_scope="module")

FORM = {"type": "object", "properties": {"vlan": {"type": "integer"}}, "required": ["vlan"]}


async def ask(gateway: Gateway, *to: str, **more: Any) -> dict[str, Any]:
    async with calling(gateway, "operator", "olga") as operator:
        question: dict[str, Any] = await operator.post(
            "/confirmations", {"responders": list(to), "message": "go on?", **more}
        )
    return question


async def shown(client: Client) -> dict[str, Any]:
    return await client.hear("task_step_result")


async def trail(gateway: Gateway, question: str) -> list[dict[str, str]]:
    names = gateway.manager._parts.replica.names
    (entries,) = await gateway.manager._parts.asks._shards.ask(("XRANGE", names.audit, "-", "+"))
    facts = [{key.decode(): value.decode() for key, value in fields.items()} for _, fields in entries]
    assert split(question)[1] not in json.dumps(facts)
    return [fact for fact in facts if fact.get("question") == split(question)[0]]


async def test_what_is_asked_over_http_is_shown_on_sockets_and_its_answer_is_awaited(gateway: Gateway) -> None:
    user = new_user()
    client = await gateway.connect(user)
    question = await ask(gateway, user, severity="warning", timeout=60)
    seen = await shown(client)

    async with calling(gateway, "operator") as operator:
        waiting = asyncio.create_task(operator.get(f"/confirmations/{question['callback_id']}", wait=20))
        await client.ask("confirm", callback_id=seen["callback_id"], proceed=True, feedback="fine")
        found = await asyncio.wait_for(waiting, 5)

    assert question["callback_id"] == seen["callback_id"]
    assert (question["status"], question["kind"], question["responders"]) == (
        "pending",
        "confirmation",
        [f"user:{user}"],
    )
    assert (question["severity"], question["answer"], question["schema"]) == ("warning", None, None)
    assert (found["status"], found["answer"]["by"], found["answer"]["feedback"]) == ("answered", user, "fine")
    assert (found["answer"]["source"], found["answer"]["on_behalf"]) == ("ws", False)


async def test_every_kind_of_question(gateway: Gateway) -> None:
    choices = [{"value": "a", "label": "A"}, {"value": "b", "label": "B", "proceed": False}]
    choice = await ask(gateway, new_user(), choices=choices, feedback="none")
    form = await ask(gateway, "role:ops", schema=FORM, on_timeout="stop")
    step = await ask(gateway, new_user(), task_id="t1", step=3, step_result={"step": "s", "result": {"x": 1}})
    again = await ask(gateway, "role:ops", idempotency_key="once")

    assert (choice["kind"], [one["value"] for one in choice["choices"]]) == ("choice", ["a", "b"])
    assert (form["kind"], form["schema"]["required"], form["responders"]) == ("form", ["vlan"], ["role:ops"])
    assert (step["task_id"], step["step"]) == ("t1", 3)
    assert (await ask(gateway, "role:ops", idempotency_key="once"))["callback_id"] == again["callback_id"]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"responders": []}, "responders"),
        ({"responders": ["a b"]}, "responder"),
        ({"responders": ["session:s1"]}, "cannot be asked"),
        ({"message": 5}, "message"),
        ({"step": 1}, "task_id"),
        ({"step_result": {}}, "step"),
        ({"schema": {"type": "array"}}, "flat"),
        ({"choices": []}, "choices"),
        ({"choices": [{"value": "a"}]}, "label"),
        ({"choices": [{"value": "a", "label": "A", "proceed": "yes"}]}, "proceed"),
        ({"require_online": 1}, "require_online"),
        ({"severity": "mild"}, "severity"),
        ({"severity": "danger", "on_timeout": "proceed"}, "danger"),
        ({"timeout": 0.1}, "timeout"),
        ({"escalate": [{"after_seconds": 9, "to": ["x"]}], "timeout": 5}, "escalate"),
        ({"idempotency_key": ""}, "idempotency_key"),
        ({"kind": "form"}, "kind"),
    ],
)
async def test_what_cannot_be_asked_is_refused_in_words(gateway: Gateway, wrong: dict[str, Any], says: str) -> None:
    async with calling(gateway, "operator") as operator:
        status, problem = await operator.ask("POST", "/confirmations", {"responders": ["x"], "message": "?", **wrong})

    assert (status, problem["title"]) == (422, "invalid_message")
    assert says in problem["detail"]


# -- who may answer --------------------------------------------------------------------------------


async def test_whoever_was_asked_answers_with_a_plain_token_and_no_other_does(gateway: Gateway) -> None:
    user = new_user()
    client = await gateway.connect(user)
    path = f"/confirmations/{(await ask(gateway, user))['callback_id']}"
    await shown(client)

    async with calling(gateway, "", "eve") as eve:
        assert await eve.refused("GET", path) == (404, "not_found"), "as one that there never was"
        assert await eve.refused("POST", f"{path}/answer", {"proceed": True}) == (403, "forbidden")
    for role in ("viewer", "operator"):
        async with calling(gateway, role, "eve") as eve:
            assert await eve.refused("POST", f"{path}/answer", {"proceed": True}) == (403, "forbidden")
    async with calling(gateway, "", user) as asked:
        assert (await asked.get(path))["status"] == "pending"
        first = await asked.post(f"{path}/answer", {"proceed": False, "feedback": "no"})
        again = await asked.post(f"{path}/answer", {"proceed": False, "feedback": "no"})
        status, other = await asked.ask("POST", f"{path}/answer", {"proceed": True})

    assert (first["status"], again["status"]) == ("accepted", "duplicate")
    assert (status, other["title"], other["answer"]["by"]) == (409, "conflict", user)
    closed = await client.hear("confirm_closed")
    assert (closed["status"], closed["by"], "on_behalf" in closed) == ("answered", user, False)


async def test_the_same_answer_by_socket_and_over_http_is_one(gateway: Gateway) -> None:
    user = new_user()
    client = await gateway.connect(user)
    callback_id = (await ask(gateway, user))["callback_id"]
    await client.ask("confirm", callback_id=callback_id, proceed=True)

    async with calling(gateway, "", user) as asked:
        path = f"/confirmations/{callback_id}/answer"
        assert (await asked.post(path, {"proceed": True}))["status"] == "duplicate"
        assert await asked.refused("POST", path, {"proceed": True, "feedback": "?"}) == (409, "conflict")


async def test_an_administrator_answers_in_the_place_of_who_was_asked_and_that_is_told(gateway: Gateway) -> None:
    user = new_user()
    client = await gateway.connect(user)
    callback_id = (await ask(gateway, user))["callback_id"]
    await shown(client)

    async with calling(gateway, "admin", "root") as admin:
        done = await admin.post(f"/confirmations/{callback_id}/answer", {"proceed": True, "source": "dashboard"})
        found = await admin.get(f"/confirmations/{callback_id}")

    assert done["answer"]["by"] == "root"
    answer = found["answer"]
    assert (answer["by"], answer["source"], answer["on_behalf"]) == ("root", "dashboard", True)
    closed = await client.hear("confirm_closed")
    assert (closed["by"], closed["on_behalf"]) == ("root", True)

    async def is_audited() -> bool:
        return any(fact["event"] == "answered" for fact in await trail(gateway, callback_id))

    await until_asked(is_audited)
    (entry,) = [fact for fact in await trail(gateway, callback_id) if fact["event"] == "answered"]
    assert (entry["by"], entry["source"], json.loads(entry["decision"])["on_behalf"]) == ("root", "dashboard", True)
    assert [fact["by"] for fact in await trail(gateway, callback_id) if fact["event"] == "asked"] == ["olga"]


async def test_an_administrator_who_was_asked_answers_as_himself(gateway: Gateway) -> None:
    callback_id = (await ask(gateway, "role:admin"))["callback_id"]

    async with calling(gateway, "admin", "root") as admin:
        await admin.post(f"/confirmations/{callback_id}/answer", {"proceed": True})
        found = await admin.get(f"/confirmations/{callback_id}")

    assert found["answer"]["on_behalf"] is False


async def test_an_answer_that_is_not_what_was_asked_for_says_what_is(gateway: Gateway) -> None:
    user = new_user()
    path = f"/confirmations/{(await ask(gateway, user, schema=FORM))['callback_id']}/answer"

    async with calling(gateway, "", user) as asked:
        status, problem = await asked.ask("POST", path, {"proceed": True, "content": {"vlan": "seven"}})
        assert (await asked.post(path, {"proceed": True, "content": {"vlan": 7}}))["status"] == "accepted"

    assert (status, [one["field"] for one in problem["errors"]]) == (422, ["content.vlan"])


async def test_what_is_over_is_gone(gateway: Gateway) -> None:
    user = new_user()
    late, taken_back = [(await ask(gateway, user, timeout=1))["callback_id"] for _ in range(2)]
    async with calling(gateway, "operator") as operator, calling(gateway, "", user) as asked:
        assert await operator.ask("DELETE", f"/confirmations/{split(taken_back)[0]}") == (204, None)
        assert await operator.ask("DELETE", f"/confirmations/{taken_back}") == (204, None), "again"
        found = await operator.get(f"/confirmations/{late}", wait=10)
        assert (found["status"], found["answer"], found["on_timeout"]) == ("timed_out", None, "stop")
        for one in (late, taken_back):
            assert await asked.refused("POST", f"/confirmations/{one}/answer", {"proceed": True}) == (410, "expired")
        assert await operator.refused("DELETE", f"/confirmations/{late}") == (410, "expired")
        for nothing in ("none", "0" * 32, f"{'0' * 32}.x", f"{split(late)[0]}.wrong"):
            assert await operator.refused("GET", f"/confirmations/{nothing}") == (404, "not_found")
            assert await operator.refused("DELETE", f"/confirmations/{nothing}") == (404, "not_found")
            assert (await asked.refused("POST", f"/confirmations/{nothing}/answer", {"proceed": True}))[0] == 404


async def test_what_was_answered_is_not_taken_back(gateway: Gateway) -> None:
    user = new_user()
    path = f"/confirmations/{(await ask(gateway, user))['callback_id']}"
    async with calling(gateway, "", user) as asked, calling(gateway, "operator") as operator:
        await asked.post(f"{path}/answer", {"proceed": True})
        assert await operator.refused("DELETE", path) == (409, "conflict")


# -- who sees what -----------------------------------------------------------------------------------


async def everything(api: Rest, **query: Any) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = await api.get("/confirmations", cursor=cursor, **query)
        assert len(page["items"]) <= query.get("limit", 500)
        items += page["items"]
        if not (cursor := page["cursor"]):
            return items


async def test_viewers_see_all_of_the_fleet_without_what_would_let_anybody_answer(gateway: Gateway) -> None:
    users = [new_user() for _ in range(12)]
    asked = [await ask(gateway, user, "role:ops") for user in users]
    public = {split(one["callback_id"])[0] for one in asked}

    async with calling(gateway, "viewer") as viewer:
        items = await everything(viewer, limit=5)
        seen = await viewer.get(f"/confirmations/{items[0]['callback_id']}")
    async with calling(gateway, "operator") as operator:
        full = await everything(operator)

    ids = [item["callback_id"] for item in items]
    assert public <= set(ids) and len(ids) == len(set(ids))
    assert not [id for id in ids if "." in id]
    assert seen["callback_id"] == ids[0]
    assert {one["callback_id"] for one in asked} <= {item["callback_id"] for item in full}
    async with calling(gateway, "viewer") as viewer:
        assert (await viewer.refused("POST", f"/confirmations/{ids[0]}/answer", {"proceed": True}))[0] == 404


async def test_users_see_their_own_and_operators_those_of_one(gateway: Gateway) -> None:
    user, other = new_user(), new_user()
    own = await ask(gateway, user, other)
    of_role = await ask(gateway, f"role:{user}-role")
    await ask(gateway, other)

    async with calling(gateway, f"{user}-role", user) as asked:
        mine = await asked.get("/confirmations")
        assert await asked.refused("GET", "/confirmations", user_id=other) == (403, "forbidden")
    async with calling(gateway, "viewer") as viewer:
        of_user = await viewer.get("/confirmations", user_id=user)

    assert {item["callback_id"] for item in mine["items"]} == {own["callback_id"], of_role["callback_id"]}
    (seen,) = [item for item in mine["items"] if item["callback_id"] == own["callback_id"]]
    assert seen["responders"] == [f"user:{user}"], "who else was asked is nobody's business"
    assert [item["callback_id"] for item in of_user["items"]] == [split(own["callback_id"])[0]]


async def test_what_was_written_is_for_operators(gateway: Gateway) -> None:
    user = new_user()
    callback_id = (await ask(gateway, user, schema=FORM))["callback_id"]
    async with calling(gateway, "", user) as asked:
        await asked.post(
            f"/confirmations/{callback_id}/answer", {"proceed": True, "feedback": "psst", "content": {"vlan": 7}}
        )
    told = {}
    for role in ("", "viewer", "operator"):
        async with calling(gateway, role, user) as caller:
            told[role] = (await caller.get(f"/confirmations/{callback_id}"))["answer"]
    decided = {}
    for role in ("viewer", "operator"):
        async with calling(gateway, role, user) as caller:
            entries = (await caller.get("/audit"))["items"]
        facts = [entry["facts"] for entry in entries if entry["event"] == "answered"]
        (decided[role],) = [fact["decision"] for fact in facts if fact["question"] == split(callback_id)[0]]

    assert (json.loads(decided["viewer"]), "psst" in decided["operator"]) == (
        {"proceed": True, "choice": "proceed"},
        True,
    )
    assert [(told[role]["feedback"], told[role]["content"]) for role in told] == [
        (None, None),
        (None, None),
        ("psst", {"vlan": 7}),
    ]


async def test_a_cursor_that_is_none_is_refused(gateway: Gateway) -> None:
    async with calling(gateway, "viewer") as viewer:
        for cursor in ("x", "128", "-1", "9999:x", "1e1"):
            assert await viewer.refused("GET", "/confirmations", cursor=cursor) == (422, "invalid_message")


async def test_whoever_waits_and_leaves_is_waited_for_no_more(gateway: Gateway) -> None:
    callback_id = (await ask(gateway, new_user()))["callback_id"]
    replies = gateway.manager._parts._replies
    before = len(replies._waiting)
    async with calling(gateway, "operator") as operator:
        waiting = asyncio.create_task(operator.get(f"/confirmations/{callback_id}", wait=30))
        await until(lambda: len(replies._waiting) == before + 1)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)

    await until(lambda: len(replies._waiting) == before)
