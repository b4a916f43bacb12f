"""Questions to people, across replicas: asked by any process, answered on any replica, one outcome (ASK-1 to ASK-5)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import fairlead
from fairlead.backend.backend import Backend
from tests.support.client import Client, Frame, connected
from tests.support.replica import Replica

STEP = {"step": "plan", "message": "Apply to 10 ports?", "status": "completed", "completed": True, "result": {"n": 10}}


@asynccontextmanager
async def waiting(asking: Any) -> AsyncIterator[asyncio.Task[fairlead.UserConfirmation]]:
    """Somebody who waits for an answer while the block lasts."""
    task = asyncio.create_task(asking)
    try:
        yield task
    finally:
        task.cancel()


async def question(client: Client) -> Frame:
    """The next question that *client* is shown."""
    return await client.until("task_step_result")


async def test_a_plain_client_answers_a_backend_on_another_replica(fleet: list[Replica], backend: Backend) -> None:
    async with (
        connected(fleet[0].url, "anna") as anna,
        connected(fleet[1].url, "anna") as other,
        waiting(backend.notify_user(STEP, "anna", "t-1", 1)) as answer,
    ):
        asked = await question(anna)
        shown = await question(other)
        await anna.say("confirm", callback_id=asked["callback_id"], proceed=True, feedback="go")
        ack = await anna.until("confirm_ack")
        closed = await other.until("confirm_closed")
        confirmation = await asyncio.wait_for(answer, 2)

    assert shown["callback_id"] == asked["callback_id"]
    flat = {name: asked[name] for name in ("task_id", "step", "message", "status", "completed", "result")}
    assert flat == {
        "task_id": "t-1",
        "step": 1,
        "message": "Apply to 10 ports?",
        "status": "completed",
        "completed": True,
        "result": {"n": 10},
    }
    assert asked["confirm"]["kind"] == "confirmation"
    assert ack["status"] == "accepted"
    assert (closed["status"], closed["by"]) == ("answered", "anna")
    assert (confirmation.proceed, confirmation.feedback, confirmation.by_human) == (True, "go", True)
    assert (confirmation.responded_by, confirmation.callback_id) == ("anna", asked["callback_id"])


async def test_a_question_is_shown_again_to_who_connects_later(fleet: list[Replica], backend: Backend) -> None:
    async with waiting(backend.ask("bob", "Go on?")) as answer:
        async with asyncio.timeout(5):
            while await backend._shards.ask(("ZCARD", backend._names.asks("user:bob"))) == [0]:
                await asyncio.sleep(0.01)
        async with connected(fleet[1].url, "bob") as bob:
            asked = await question(bob)
            ack = await bob.ask("confirm", callback_id=asked["callback_id"], proceed=False, feedback="no")
            confirmation = await asyncio.wait_for(answer, 2)
            assert (ack["type"], ack["ok"], ack["status"]) == ("confirm_ack", True, "accepted")

    assert (confirmation.proceed, confirmation.feedback) == (False, "no")


async def test_whoever_has_a_role_may_answer_and_all_others_are_told(fleet: list[Replica], backend: Backend) -> None:
    async with (
        connected(fleet[0].url, "carol", role="ops") as carol,
        connected(fleet[1].url, "dan", role="ops") as dan,
        connected(fleet[1].url, "eve") as eve,
        waiting(backend.ask(["role:ops"], "Reboot?", severity="danger")) as answer,
    ):
        asked = await question(carol)
        await question(dan)
        refused = await eve.ask("confirm", callback_id=asked["callback_id"], proceed=True)
        ack = await dan.ask("confirm", callback_id=asked["callback_id"], proceed=True)
        late = await carol.ask("confirm", callback_id=asked["callback_id"], proceed=False)
        closed = await carol.until("confirm_closed")
        confirmation = await asyncio.wait_for(answer, 2)

    assert [frame["status"] for frame in (refused, ack, late)] == ["forbidden", "accepted", "already_answered"]
    assert (closed["by"], confirmation.responded_by) == ("dan", "dan")


async def test_nobody_answers_and_the_dialog_is_closed(fleet: list[Replica], backend: Backend) -> None:
    async with connected(fleet[0].url, "fred") as fred:
        confirmation = await backend.ask("fred", "Go on?", timeout=1)
        closed = await fred.until("confirm_closed")
        late = await fred.ask("confirm", callback_id=confirmation.callback_id, proceed=False)

    assert (confirmation.proceed, confirmation.status, confirmation.by_human) == (True, "timed_out", False)
    assert closed["status"] == "timed_out"
    assert late["status"] == "expired"


async def test_more_people_are_asked_when_nobody_answers(fleet: list[Replica], backend: Backend) -> None:
    asking = backend.ask("gina", "Go on?", timeout=20, escalate=[(1.0, ["role:lead"])])
    async with connected(fleet[0].url, "hugo", role="lead") as hugo, waiting(asking) as answer:
        asked = await question(hugo)
        await hugo.ask("confirm", callback_id=asked["callback_id"], proceed=True)
        confirmation = await asyncio.wait_for(answer, 2)

    assert confirmation.responded_by == "hugo"


async def test_a_form_is_checked_before_it_counts(fleet: list[Replica], backend: Backend) -> None:
    schema = {"type": "object", "properties": {"vlan": {"type": "integer", "minimum": 1}}, "required": ["vlan"]}
    async with connected(fleet[0].url, "ida") as ida, waiting(backend.ask("ida", "Which?", schema=schema)) as answer:
        asked = await question(ida)
        wrong = await ida.ask("confirm", callback_id=asked["callback_id"], proceed=True, content={"vlan": "x"})
        right = await ida.ask("confirm", callback_id=asked["callback_id"], proceed=True, content={"vlan": 7})
        confirmation = await asyncio.wait_for(answer, 2)

    assert asked["confirm"]["schema"] == schema
    assert (wrong["status"], wrong["ok"], wrong["errors"][0]["field"]) == ("invalid", False, "content.vlan")
    assert (right["status"], confirmation.content) == ("accepted", {"vlan": 7})


async def test_backends_hear_what_is_asked_and_what_comes_of_it(fleet: list[Replica], backend: Backend) -> None:
    wanted = ["question_asked", "question_answered", "question_cancelled"]
    asking = backend.ask("jon", "Go on?", task_id="t-9")
    async with backend.events(group="asked", types=wanted) as events:
        async with connected(fleet[0].url, "jon") as jon, waiting(asking) as answer:
            asked = await question(jon)
            await jon.ask("confirm", callback_id=asked["callback_id"], proceed=True)
            await asyncio.wait_for(answer, 2)
            begun = await backend.begin_ask("jon", "And now?")
            await backend.cancel_ask(begun.callback_id)

        heard: list[Any] = []
        async with asyncio.timeout(10):
            async for event in events:
                heard += [event]
                if {one.name for one in heard} == set(wanted):
                    break

    first = next(event for event in heard if event.name == "question_answered")
    assert asked["callback_id"].startswith(first.facts["question"])
    assert (first.facts["task_id"], first.facts["by"], first.facts["proceed"]) == ("t-9", "jon", True)
    assert sorted(event.name for event in heard) == sorted([*wanted, "question_asked"])


async def test_nobody_is_asked_for_a_task_that_was_cancelled(fleet: list[Replica], backend: Backend) -> None:
    await backend.update_task("t-gone", status="running", owner="kim")
    await backend.cancel_task("t-gone", by="kim")
    async with connected(fleet[0].url, "kim") as kim:
        confirmation = await backend.notify_user(STEP, "kim", "t-gone", 1)
        pending = (await kim.ask("list_confirms"))["confirms"]

    assert (confirmation.proceed, confirmation.status, pending) == (False, "cancelled", [])
    assert not [frame for frame in kim.frames if frame["type"] == "task_step_result"]


async def test_who_guesses_a_key_learns_nothing_of_the_answer(fleet: list[Replica], backend: Backend) -> None:
    async with connected(fleet[0].url, "lea") as lea, connected(fleet[1].url, "mallory") as mallory:
        async with waiting(backend.ask("lea", "Refund?", idempotency_key="refund 7")) as answer:
            asked = await question(lea)
            await lea.ask("confirm", callback_id=asked["callback_id"], proceed=False)
            await asyncio.wait_for(answer, 2)
        guessed = asked["callback_id"].partition(".")[0] + ".guessed"
        unknown = await mallory.ask("confirm", callback_id=guessed, proceed=True)
        forbidden = await mallory.ask("confirm", callback_id=asked["callback_id"], proceed=True)

    assert (unknown["status"], forbidden["status"]) == ("unknown", "forbidden")
    assert "answer" not in unknown and "answer" not in forbidden
