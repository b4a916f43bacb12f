"""``confirm`` and ``list_confirms``: who may answer what, and what nobody learns about others' questions (ASK-1)."""

from __future__ import annotations

import asyncio
import json
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from redis.asyncio import Redis

import fairlead
from fairlead.names import Names
from fairlead.questions.asks import MAX_PENDING
from fairlead.questions.question import split
from tests.gateway.patience import until
from tests.gateway.running import Client, Gateway, Message, new_user, serving, settings_for
from tests.support.replica import token

pytestmark = pytest.mark.asyncio(loop_scope="module")

PRIVATE = "nobody else shall read this"
FORM = {"type": "object", "properties": {"vlan": {"type": "integer"}}, "required": ["vlan"]}


@asynccontextmanager
async def asking(gateway: Gateway, *to: str, **wording: Any) -> AsyncIterator[asyncio.Task[Any]]:
    """Somebody who waits for an answer of *to* while the block lasts."""
    task = asyncio.create_task(gateway.manager.ask(to, PRIVATE, **wording))
    try:
        yield task
    finally:
        task.cancel()


async def shown(client: Client) -> str:
    return str((await client.hear("task_step_result"))["callback_id"])


async def confirm(client: Client, callback_id: str, **answer: Any) -> Message:
    return await client.ask("confirm", callback_id=callback_id, **answer)


async def audit(gateway: Gateway, callback_id: str) -> list[dict[str, str]]:
    names = Names(gateway.manager.settings.prefix)
    (entries,) = await gateway.manager._parts.asks._shards.ask(("XRANGE", names.audit, "-", "+"))
    facts = [{key.decode(): value.decode() for key, value in fields.items()} for _, fields in entries]
    assert split(callback_id)[1] not in json.dumps(facts)
    return [fact for fact in facts if fact["question"] == split(callback_id)[0]]


async def test_a_client_without_ids_is_answered_as_one_with_them(gateway: Gateway) -> None:
    """The plain client: ``action, callback_id, proceed, feedback`` and nothing else."""
    user = new_user()
    plain = await gateway.connect(user)
    async with asking(gateway, user) as outcome:
        question = await plain.hear("task_step_result")
        await plain.send(
            {"action": "confirm", "callback_id": question["callback_id"], "proceed": True, "feedback": "x"}
        )
        ack = await plain.hear("confirm_ack")
        confirmation = await asyncio.wait_for(outcome, 2)

    assert question["message"] == PRIVATE
    assert (ack["status"], ack["callback_id"], "ref" in ack) == ("accepted", question["callback_id"], False)
    assert ack["answer"] | {"at": ""} == {"proceed": True, "choice": None, "by": user, "at": ""}
    assert (confirmation.proceed, confirmation.feedback) == (True, "x")
    async with asyncio.timeout(2):
        while not gateway.told("question_answered", by=user, proceed=True):
            await asyncio.sleep(0.01)


async def test_who_guesses_learns_nothing(gateway: Gateway) -> None:
    user = new_user()
    anna, eve = await gateway.connect(user), await gateway.connect()
    async with asking(gateway, user):
        callback_id = await shown(anna)
        id_, secret = split(callback_id)
        guesses = [id_, f"{id_}.", f"{id_}.x", f"{id_}.{secret}x", f".{secret}", secrets.token_hex(16) + ".x", "", "*"]
        acks = [await confirm(eve, guess, proceed=True) for guess in guesses]
        known = await confirm(eve, callback_id, proceed=True)

    assert {ack["status"] for ack in acks} == {"unknown"}
    assert all(set(ack) == {"type", "callback_id", "status", "ref", "ok"} for ack in acks)
    assert (known["status"], set(known)) == ("forbidden", {"type", "callback_id", "status", "ref", "ok"})


async def test_who_may_not_answer_learns_not_even_how_it_ended(gateway: Gateway) -> None:
    user = new_user()
    anna, eve = await gateway.connect(user), await gateway.connect()
    async with asking(gateway, user, schema=FORM) as outcome:
        callback_id = await shown(anna)
        await confirm(anna, callback_id, proceed=True, content={"vlan": 7}, feedback="secret words")
        await outcome
    wrong = await confirm(eve, callback_id, content={"vlan": "x"})
    right = await confirm(eve, callback_id, proceed=True, content={"vlan": 8})

    for ack in (wrong, right):
        assert (ack["status"], set(ack)) == ("forbidden", {"type", "callback_id", "status", "ref", "ok"})
    assert eve.unheard == []


async def test_whoever_comes_second_learns_who_decided_and_not_what_was_written(gateway: Gateway) -> None:
    one, other = new_user(), new_user()
    anna, bob = await gateway.connect(one), await gateway.connect(other)
    async with asking(gateway, one, other) as outcome:
        callback_id = await shown(bob)
        await confirm(anna, callback_id, proceed=False, feedback="secret words")
        await outcome
    late = await confirm(bob, callback_id, proceed=True)

    assert (late["status"], late["answer"]["by"], late["answer"]["proceed"]) == ("already_answered", one, False)
    assert "secret words" not in json.dumps([late, *await bob.heard()])
    async with asyncio.timeout(2):
        while len(trail := await audit(gateway, callback_id)) < 4:
            await asyncio.sleep(0.01)
    assert [fact["event"] for fact in trail] == ["requested", "delivered", "answered", "late_answer"]
    assert [fact["by"] for fact in trail[2:]] == [one, other]
    assert [json.loads(fact["decision"])["proceed"] for fact in trail[2:]] == [False, True]


async def test_what_is_over_is_told_before_what_is_wrong(gateway: Gateway) -> None:
    user = new_user()
    anna = await gateway.connect(user)
    async with asking(gateway, user, feedback="required", schema=FORM) as outcome:
        callback_id = await shown(anna)
        invalid = await confirm(anna, callback_id, proceed=True)
        await gateway.manager.cancel_ask(callback_id)
        assert (await outcome).status == "cancelled"
    over = await confirm(anna, callback_id, proceed=True)

    assert (invalid["status"], [fault["field"] for fault in invalid["errors"]]) == (
        "invalid",
        ["feedback", "content.vlan"],
    )
    assert (over["status"], "errors" in over) == ("cancelled", False)


async def test_a_list_holds_ones_own_and_nobody_elses(gateway: Gateway) -> None:
    one, other, role = new_user(), new_user(), f"r{secrets.token_hex(4)}"
    anna = await gateway.connect(bearer=token(one, role=role))
    bob = await gateway.connect(other)
    async with asking(gateway, one, timeout=50), asking(gateway, f"role:{role}", timeout=20), asking(gateway, other):
        mine, ours = await shown(anna), await shown(anna)
        theirs = await shown(bob)

        listed = (await anna.ask("list_confirms"))["confirms"]
        assert {question["callback_id"] for question in listed} == {mine, ours}
        expiries = [question["confirm"]["expires_at"] for question in listed]
        assert expiries == sorted(expiries), "the most urgent first"
        assert [question["callback_id"] for question in (await bob.ask("list_confirms"))["confirms"]] == [theirs]


async def test_an_answer_that_is_no_answer_is_refused_and_the_question_stays_open(gateway: Gateway) -> None:
    user = new_user()
    anna = await gateway.connect(user)
    async with asking(gateway, user) as outcome:
        callback_id = await shown(anna)
        refused = [
            await confirm(anna, callback_id, **wrong)
            for wrong in (
                {"proceed": "yes"},
                {"proceed": 1},
                {"proceed": True, "feedback": 5},
                {"proceed": True, "choice": []},
                {"proceed": True, "content": [1]},
                {"proceed": True, "choice": "x" * 129},
            )
        ]
        invalid = [
            await confirm(anna, callback_id, **wrong)
            for wrong in (
                {},
                {"proceed": True, "choice": "stop"},
                {"proceed": True, "choice": "other"},
                {"proceed": True, "content": {"a": 1}},
                {"proceed": True, "feedback": "x" * 8193},
            )
        ]
        missing = await anna.ask("confirm", proceed=True)
        long = await confirm(anna, "x" * 129, proceed=True)
        await anna.socket.send('{"action":"confirm","id":"s","callback_id":"a","proceed":true,"feedback":"\\ud800"}')
        surrogate = await anna.hear("error")
        assert not outcome.done()
        assert (await confirm(anna, callback_id, proceed=True))["status"] == "accepted"

    assert {answer["code"] for answer in (*refused, missing, long)} == {"invalid_message"}
    assert {ack["status"] for ack in invalid} == {"invalid"}
    assert all(ack["errors"] for ack in invalid)
    assert surrogate["code"] == "invalid_json"
    assert PRIVATE not in json.dumps([*refused, *invalid, missing, long, surrogate])


async def test_a_question_for_nobody_here_reaches_nobody_here(gateway: Gateway) -> None:
    eve = await gateway.connect()
    async with asking(gateway, new_user()), asking(gateway, "role:nobody"):
        await asyncio.sleep(0.1)
        assert await eve.heard() == []


async def test_who_reads_slowly_is_shown_however_many_questions_there_are(redis_url: str) -> None:
    user, role, text = new_user(), f"r-{new_user()}", "x" * 31_000
    settings = settings_for(redis_url, max_outbox_bytes=100_000)
    async with serving(settings) as own, fairlead.connect(redis_url, prefix=settings.prefix) as fl:
        for to in (user, f"role:{role}"):
            for _ in range(MAX_PENDING):
                await fl.begin_ask(to, text)
        slow = socket.create_connection(("127.0.0.1", own.port))
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
        slow.setblocking(False)
        client = await own.connect(bearer=token(user, role=role), sock=slow, max_queue=1, max_size=None)
        client.socket.transport.pause_reading()  # type: ignore[attr-defined]
        (connection,) = own.manager._parts.replica.pool
        waiting = connection.socket._transport.get_write_buffer_size
        await until(lambda: waiting() > settings.max_outbox_bytes or own.told("disconnection"))
        client.socket.transport.resume_reading()  # type: ignore[attr-defined]

        shown = {(await client.hear("task_step_result"))["callback_id"] for _ in range(2 * MAX_PENDING)}
        listed = (await client.ask("list_confirms"))["confirms"]

        assert {one["callback_id"] for one in listed} == shown
        assert own.told("disconnection") == []


async def test_who_comes_to_a_role_is_shown_what_the_role_has_yet_to_answer(gateway: Gateway) -> None:
    user, old, new = new_user(), f"r-{new_user()}", f"r-{new_user()}"
    async with asking(gateway, user), asking(gateway, f"role:{old}"), asking(gateway, f"role:{new}"):
        witness = await gateway.connect(bearer=token(new_user(), role=new))
        wanted = await shown(witness)
        client = await gateway.connect(bearer=token(user, role=old))
        for _ in range(2):
            await shown(client)

        assert (await client.ask("refresh", token=token(user, role=new)))["ok"] is True
        assert await shown(client) == wanted
        assert (await confirm(client, wanted, proceed=True))["status"] == "accepted"
        assert (await client.ask("refresh", token=token(user, role=new)))["ok"] is True
        assert [one for one in await client.heard() if one["type"] == "task_step_result"] == []


async def test_a_question_that_somebody_damaged_harms_no_other(gateway: Gateway, redis_url: str) -> None:
    user, names = new_user(), Names(gateway.manager.settings.prefix)
    client = await gateway.connect(user)
    async with asking(gateway, user):
        damaged = await shown(client)
        async with Redis.from_url(redis_url) as redis:
            await redis.hdel(names.ask(split(damaged)[0]), "asked")
        async with asking(gateway, user, idempotency_key=user):
            whole = await shown(client)

            reply = await client.ask("list_confirms")
            lost = await client.ask("confirm", callback_id=damaged, proceed=True)

    assert [one["callback_id"] for one in reply["confirms"]] == [whole]
    assert lost["type"] == "confirm_ack"
