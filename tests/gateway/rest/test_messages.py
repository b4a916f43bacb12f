"""``broadcast``, ``messages`` and ``patch``: what is sent over HTTP, and in whose name."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.gateway.rest.calling import calling
from tests.gateway.running import Gateway, new_session, new_user

pytestmark = pytest.mark.asyncio(loop_scope="module")

HELLO = {"type": "hello", "content": {"n": 1}, "metadata": {"m": 2}}


async def test_a_message_reaches_a_user_a_session_everybody(gateway: Gateway) -> None:
    user, session = new_user(), new_session()
    client = await gateway.connect(user)
    await client.ask("join_session", session_id=session)

    async with calling(gateway, "operator", "olga") as operator:
        to_user = await operator.post(f"/users/{user}/messages", {"message": HELLO})
        first = await client.hear("hello")
        to_session = await operator.post(f"/sessions/{session}/messages", {"message": HELLO})
        second = await client.hear("hello")
        to_all = await operator.post("/broadcast", {"message": HELLO})
        third = await client.hear("hello")

    assert (first["from"], first["content"], first["metadata"]) == ("service:olga", {"n": 1}, {"m": 2})
    assert (first["id"], first["offset"]) == (to_user["id"], to_user["offset"])
    assert {"epoch", "duplicate", "receivers", "status"} < set(to_user)
    assert (to_user["receivers"], to_user["duplicate"], to_user["status"]) == (1, False, "sent")
    assert (second["session_id"], second["id"]) == (session, to_session["id"])
    assert (third["to"], to_all["offset"], to_all["epoch"]) == ("broadcast", 0, "")


async def test_sent_again_under_its_id_it_is_not_said_again(gateway: Gateway) -> None:
    user = new_user()
    client = await gateway.connect(user)
    async with calling(gateway, "operator") as operator:
        sent = [
            await operator.post(f"/users/{user}/messages", {"message": HELLO, "message_id": "mine"}) for _ in range(3)
        ]

    assert [one["duplicate"] for one in sent] == [False, True, True]
    assert {(one["id"], one["offset"], one["epoch"]) for one in sent} == {("mine", sent[0]["offset"], sent[0]["epoch"])}
    await client.hear("hello")
    assert [one["type"] for one in await client.heard()].count("hello") == 0


async def test_an_acknowledgement_is_waited_for(gateway: Gateway) -> None:
    user = new_user()
    client = await gateway.connect(user)
    path, wish = f"/users/{user}/messages", {"message": HELLO, "requires_ack": True}
    async with calling(gateway, "operator") as operator:
        sending = asyncio.create_task(operator.post(path, {**wish, "message_id": "m-1", "ack_timeout": 10}))
        seen = await client.hear("hello")
        await client.ask("ack", message_ids=[seen["id"]])
        delivered = await asyncio.wait_for(sending, 5)
        again = await operator.post(path, {**wish, "message_id": "m-1"})
        expired = await operator.post(path, {**wish, "ack_timeout": 0.3})

    assert seen["requires_ack"] is True
    assert (delivered["status"], again["status"], again["duplicate"], expired["status"]) == (
        *("delivered", "delivered", True),
        "expired",
    )


@pytest.mark.parametrize(
    ("wrong", "status", "says"),
    [
        ({}, 422, "message"),
        ({"message": "hello"}, 422, "message"),
        ({"message": {}}, 422, "type"),
        ({"message": {"type": "x" * 65}}, 422, "type"),
        ({"message": {"type": "x", "from": "user:42"}}, 422, "service:caller"),
        ({"message": {"type": "x", "from": "system"}}, 422, "service:caller"),
        ({"message": {"type": "x", "id": 5}}, 422, "id"),
        ({"message": HELLO, "message_id": ""}, 422, "message_id"),
        ({"message": HELLO, "message_id": "a\nb"}, 422, "id"),
        ({"message": HELLO, "requires_ack": True, "ack_timeout": 31}, 422, "ack_timeout"),
        ({"message": HELLO, "requires_ack": True, "ack_timeout": 0}, 422, "ack_timeout"),
        ({"message": HELLO, "to": "user:1"}, 422, "to"),
        ({"message": {"type": "x", "content": "y" * 999_990}}, 413, "at most"),
    ],
)
async def test_what_cannot_be_sent_is_refused_in_words(
    gateway: Gateway, wrong: dict[str, Any], status: int, says: str
) -> None:
    async with calling(gateway, "operator") as operator:
        for path in ("/broadcast", "/users/42/messages", "/sessions/s1/messages"):
            found, problem = await operator.ask("POST", path, wrong)
            assert (found, says in problem["detail"]) == (status, True), problem


async def test_fields_that_are_ours_cannot_be_given(gateway: Gateway) -> None:
    user = new_user()
    client = await gateway.connect(user)
    async with calling(gateway, "operator") as operator:
        await operator.post(f"/users/{user}/messages", {"message": {**HELLO, "channel": "x", "to": "y", "offset": 99}})
    seen = await client.hear("hello")

    assert (seen["channel"], seen["to"], seen["offset"]) == (f"user:{user}", f"user:{user}", 1)


async def test_a_nested_message_is_refused_where_it_is_too_deep(gateway: Gateway) -> None:
    deep: Any = 1
    for _ in range(150):
        deep = [deep]
    async with calling(gateway, "operator") as operator:
        assert await operator.refused("POST", "/broadcast", {"message": {"type": "x", "content": deep}}) == (
            400,
            "invalid_json",
        )


# -- instances ---------------------------------------------------------------------------------------


async def test_an_instance_is_patched_and_a_conflict_tells_what_was_missed(gateway: Gateway) -> None:
    name = new_session()
    client = await gateway.connect(path=f"/ws/instance/{name}")
    path = f"/instances/{name}/patch"
    async with calling(gateway, "operator", "olga") as operator:
        first = await operator.post(path, {"patch": {"a.b": 1, "c": 2}, "patch_id": "p1"})
        again = await operator.post(path, {"patch": {"a.b": 1, "c": 2}, "patch_id": "p1"})
        second = await operator.post(path, {"patch": {}, "unset": ["c"], "base_version": 1})
        status, problem = await operator.ask("POST", path, {"patch": {"a.b": 3}, "base_version": 1})

    seen = await client.hear("patch")
    assert (first["version"], again["version"], again["duplicate"], second["version"]) == (1, 1, True, 2)
    assert (seen["from"], seen["patch"], seen["version"], seen["offset"]) == (
        *("service:olga", {"a.b": 1, "c": 2}, 1),
        first["offset"],
    )
    assert (await gateway.manager.get_instance(name)).document == {"a": {"b": 1}}
    assert (status, problem["title"], problem["version"], len(problem["patches"])) == (409, "conflict", 2, 1)


@pytest.mark.parametrize(
    "wrong",
    [{}, {"patch": 1}, {"patch": {"": 1}}, {"patch": {}, "unset": "c"}, {"patch": {"a": 1}, "base_version": "x"}],
)
async def test_a_patch_that_is_none_is_refused(gateway: Gateway, wrong: dict[str, Any]) -> None:
    async with calling(gateway, "operator") as operator:
        assert (await operator.refused("POST", "/instances/i/patch", wrong))[0] == 422
