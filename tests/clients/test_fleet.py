"""Both clients before real replicas: tokens that end, lines that break, questions, documents, acknowledgements."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgpack
import pytest

import fairlead
from fairlead.backend.backend import Backend
from fairlead.format.codec import MAX_DEPTH
from fairlead_gateway.access.claims import GRANTS
from fairlead_gateway.access.minting import Wish, mint
from tests.clients.drivers import Driver, Fault
from tests.support.cable import Cable
from tests.support.client import connected
from tests.support.npm import tools
from tests.support.replica import SECRET, Replica, replicas, token

SECONDS = 30.0
OUTDATED_SECONDS = 7200
MSGPACK = "@msgpack/msgpack@3.1.3"


@pytest.fixture(scope="module")
def fleet_prefix() -> str:
    return f"t{uuid4().hex[:12]}"


@pytest.fixture(scope="module")
def fleet(redis_url: str, fleet_prefix: str) -> Iterator[list[Replica]]:
    with replicas(2, redis_url, fleet_prefix, rate_messages_per_second=0, history_size=64) as fleet:
        yield fleet


@pytest.fixture
async def backend(redis_url: str, fleet_prefix: str) -> AsyncIterator[Backend]:
    async with fairlead.connect(redis_url, prefix=fleet_prefix, name="tests", history_size=64) as backend:
        yield backend


@pytest.fixture
async def cable(fleet: list[Replica]) -> AsyncIterator[Cable]:
    """The way to the first replica."""
    async with Cable(fleet[0].port) as cable:
        yield cable


@pytest.fixture
def user() -> str:
    return f"u{uuid4().hex[:10]}"


@pytest.fixture
def codec(client_kind: str) -> Path:
    """What the client speaks msgpack with; Python brings its own."""
    if client_kind == "python":
        return Path(msgpack.__file__)
    return tools((MSGPACK,)) / "node_modules" / "@msgpack" / "msgpack" / "dist.esm" / "index.mjs"


def url(cable: Cable) -> str:
    return f"ws://127.0.0.1:{cable.port}/ws"


def contents(client: Driver, type: str = "note") -> list[Any]:
    return [one["content"] for one in client.messages(type=type)]


def states(client: Driver) -> list[str]:
    return [one["state"] for one in client.all("state")]


def reached(version: int, change: dict[str, Any]) -> bool:
    return bool(change["version"] >= version)


async def say(backend: Backend, user: str, *numbers: int) -> None:
    for number in numbers:
        await backend.send_to_user(user, {"type": "note", "content": number})


async def open(client: Driver, url: str, user: str, **options: Any) -> None:
    """A client that hears everything."""
    await client.make(url, token=token(user), **options)
    await client.hear()
    await client.do("connect")


# -- tokens ------------------------------------------------------------------------------------------


@pytest.mark.rules("T1")
async def test_a_token_that_ends_is_replaced_on_the_open_connection(
    client: Driver, fleet: list[Replica], user: str
) -> None:
    async def source(reason: str) -> str:
        return token(user, ttl_seconds=3600 if len(client.all("token")) > 2 else 2)

    await client.make(fleet[0].url, token=source)
    await client.do("connect")
    for _ in range(2):
        await client.until("token", reason="expires")
    await client.do("request", "subscribe", {"channels": ["topic:prices"]})

    assert states(client) == ["connecting", "open"]
    assert client.all("error") == []


@pytest.mark.rules("R1", "O2")
async def test_a_token_that_has_ended_is_refused_and_replaced(client: Driver, fleet: list[Replica], user: str) -> None:
    wish = Wish(user, grants=dict.fromkeys(GRANTS, ("*",)))

    async def source(reason: str) -> str:
        return token(user) if reason == "refused" else mint(SECRET, wish, time.time() - OUTDATED_SECONDS)

    await client.make(fleet[0].url, token=source)
    await client.do("connect")

    assert client.all("token")[-1] == {"reason": "refused"}
    assert await client.get("user_id") == user


@pytest.mark.rules("O3", "R1", "S2")
async def test_without_a_token_it_is_refused_at_once(client: Driver, fleet: list[Replica]) -> None:
    await client.make(fleet[0].url, token=None)

    with pytest.raises(Fault, match="token missing"):
        await client.do("connect")


# -- lines that break --------------------------------------------------------------------------------


@pytest.mark.rules("P5", "P6", "R1")
async def test_who_was_offline_is_told_everything_in_order(
    client: Driver, cable: Cable, backend: Backend, user: str
) -> None:
    await open(client, url(cable), user, open_timeout=0.5)
    await say(backend, user, 1, 2)
    await client.message(content=2)
    cable.up.block()
    cable.cut()
    await say(backend, user, 3, 4, 5)
    await client.until("state", state="waiting", word="no_greeting")
    cable.clear()
    await client.message(content=5)
    await say(backend, user, 6)
    await client.message(content=6)

    assert contents(client) == [1, 2, 3, 4, 5, 6]
    recovered = client.all("recovered")
    assert [(one["channel"], one["recovered"], one["missed"]) for one in recovered] == [(f"user:{user}", True, 3)]


@pytest.mark.rules("H2", "P1")
async def test_a_line_that_swallows_everything_is_left(
    client: Driver, cable: Cable, backend: Backend, user: str
) -> None:
    await open(client, url(cable), user, heartbeat=0.3, pong_timeout=0.6, open_timeout=1)
    await say(backend, user, 1)
    await client.message(content=1)
    cable.down.block()
    await say(backend, user, 2, 3)
    await client.until("state", state="waiting", word="half_open")
    cable.clear()
    await client.message(content=3)

    assert contents(client) == [1, 2, 3]


@pytest.mark.rules("A2")
async def test_what_was_said_twice_is_stored_once(
    client: Driver, fleet: list[Replica], cable: Cable, user: str
) -> None:
    await open(client, url(cable), user)
    async with connected(fleet[1].url, f"{user}-friend") as friend:
        cable.down.block()
        sending = client.begin("message", f"user:{user}-friend", {"n": 1})
        first = await friend.until("new_message")
        cable.cut()
        cable.clear()
        reply = await sending
        await client.do("message", f"user:{user}-friend", {"n": 2})
        second = await friend.until("new_message")

    assert (first["content"], second["content"]) == ({"n": 1}, {"n": 2})
    assert second["offset"] == first["offset"] + 1
    assert (reply["duplicate"], reply["message_id"], reply["offset"]) == (True, first["id"], first["offset"])


@pytest.mark.rules("P5", "P7")
async def test_history_that_ran_out_is_told(client: Driver, fleet: list[Replica], backend: Backend, user: str) -> None:
    first = await backend.send_to_user(user, {"type": "note", "content": 0})
    async with backend.batch():
        for number in range(1, 200):
            await backend.send_to_user(user, {"type": "note", "content": number})
    held = {f"user:{user}": {"offset": first.offset, "epoch": first.epoch, "id": first.id}}
    await open(client, fleet[0].url, user, positions=held)
    told = await client.until("recovered")
    await say(backend, user, 200)
    await client.message(content=200)

    assert (told["channel"], told["recovered"]) == (f"user:{user}", False)
    assert contents(client) == [200]


# -- questions ---------------------------------------------------------------------------------------


@pytest.mark.rules("Q1")
async def test_a_backend_asks_and_the_client_answers(
    client: Driver, fleet: list[Replica], backend: Backend, user: str
) -> None:
    await client.make(fleet[0].url, token=token(user))
    await client.show_questions()
    await client.do("connect")
    asking = asyncio.create_task(backend.ask(user, "Go on?", choices=[{"value": "all", "label": "All"}], timeout=60))
    shown = await client.until("question")
    await client.answer(shown["callback_id"], {"proceed": True, "choice": "all"})

    answer = await asyncio.wait_for(asking, SECONDS)

    assert (shown["message"], shown["kind"], shown["choices"][0]["value"]) == ("Go on?", "choice", "all")
    assert 0 < shown["remaining"] <= 60
    assert (answer.proceed, answer.choice, answer.responded_by) == (True, "all", user)
    assert client.all("error") == client.all("taken_back") == []


@pytest.mark.rules("Q2")
async def test_a_question_that_is_answered_elsewhere_is_taken_back(
    client: Driver, fleet: list[Replica], backend: Backend, user: str
) -> None:
    await client.make(fleet[0].url, token=token(user))
    await client.show_questions()
    await client.do("connect")
    async with connected(fleet[1].url, user) as other:
        asking = asyncio.create_task(backend.ask(user, "Go on?", timeout=60))
        shown = await client.until("question")
        seen = await other.until("task_step_result")
        await other.ask("confirm", callback_id=seen["callback_id"], proceed=False)
        answer = await asyncio.wait_for(asking, SECONDS)
        taken = await client.until("taken_back")

    assert (answer.proceed, shown["callback_id"]) == (False, seen["callback_id"])
    assert (taken["callback_id"], taken["status"], taken["by"]) == (shown["callback_id"], "answered", user)


@pytest.mark.rules("Q3")
async def test_a_question_that_ended_while_the_line_was_down_is_taken_back(
    client: Driver, cable: Cable, backend: Backend, user: str
) -> None:
    await client.make(url(cable), token=token(user), open_timeout=0.5)
    await client.show_questions()
    await client.do("connect")
    asked = await backend.begin_ask(user, "Go on?", timeout=60)
    await client.until("question")
    cable.up.block()
    cable.cut()
    await backend.cancel_ask(asked.callback_id)
    cable.clear()

    assert (await client.until("taken_back"))["callback_id"] == asked.callback_id


# -- documents ---------------------------------------------------------------------------------------


@pytest.mark.rules("I1", "P5")
async def test_a_mirror_is_in_step_with_two_writers_across_a_broken_line(
    client: Driver, cable: Cable, backend: Backend, redis_url: str, fleet_prefix: str, user: str
) -> None:
    name = f"i-{user}"
    await client.make(url(cable), token=token(user))
    await client.watch(name)
    await client.do("connect")
    await backend.send_patch(name, {"of": "both"})
    await client.do("open", on=f"instance:{name}")

    async def write(writer: Backend, who: str) -> None:
        for number in range(1, 101):
            await writer.send_patch(name, {f"{who}.count": number, f"last.{number % 7}": who})

    async with fairlead.connect(redis_url, prefix=fleet_prefix, name="other") as other:
        writing = asyncio.gather(write(backend, "ann"), write(other, "bob"))
        for version in (60, 120):
            await client.until("change", SECONDS, where=partial(reached, version))
            cable.cut()
            await client.until("recovered", SECONDS, channel=f"instance:{name}")
        await writing
    async with asyncio.timeout(SECONDS):
        while client.all("change")[-1]["version"] < 201:
            await asyncio.sleep(0.02)

    final = await backend.get_instance(name)
    assert final is not None
    assert await client.get("document", on=f"instance:{name}") == final.document
    assert final.document["ann"]["count"] == final.document["bob"]["count"] == 100
    versions = [one["version"] for one in client.all("change")]
    assert versions == sorted(set(versions))
    assert states(client).count("open") == 3


@pytest.mark.rules("I2")
async def test_a_patch_of_ones_own_is_applied_once(
    client: Driver, fleet: list[Replica], backend: Backend, user: str
) -> None:
    name = f"i-{user}"
    await client.make(fleet[0].url, token=token(user))
    await client.watch(name)
    await client.do("connect")
    await client.do("open", on=f"instance:{name}")
    reply = await client.do("patch", {"a.b": 1}, on=f"instance:{name}")
    await client.until("change", version=reply["version"])

    with pytest.raises(Fault, match="conflict"):
        await client.do("patch", {"a.b": 2}, on=f"instance:{name}", base_version=reply["version"] - 1)
    assert await client.get("document", on=f"instance:{name}") == {"a": {"b": 1}}


# -- messages ----------------------------------------------------------------------------------------


@pytest.mark.rules("M2")
async def test_the_sender_learns_that_a_message_was_delivered(
    client: Driver, fleet: list[Replica], backend: Backend, user: str
) -> None:
    await open(client, fleet[0].url, user, device_id="tablet-1")

    receipt = await backend.send_to_user(user, {"type": "note", "content": 1}, requires_ack=True, ack_timeout=20)

    assert receipt.status == "delivered"
    assert contents(client) == [1]


@pytest.mark.rules("C1", "C2", "A2")
async def test_a_conversation(client: Driver, fleet: list[Replica], user: str) -> None:
    room, session = f"session:{user}", user
    await open(client, fleet[0].url, user)
    await client.do("join", on=room)
    async with connected(fleet[1].url, f"{user}-friend") as friend:
        await friend.ask("join_session", session_id=session)
        await client.do("typing", True, on=room)
        await friend.until(lambda frame: frame["type"].startswith("typing") or frame.get("is_typing") is True)
        sent = await client.do("send", "hi", on=room)
        heard = await friend.until("new_message")
        await friend.ask("read", session_id=session, message_id=heard["id"])
        read = await client.message(type="message_status_update")
        await friend.ask("message", session_id=session, content="hello")
        said = await client.message(type="new_message")
        members = await client.do("members", on=room)

    assert (heard["content"], heard["id"], heard["from"]) == ("hi", sent["message_id"], f"user:{user}")
    assert (read["message_id"], read["status"]) == (sent["message_id"], "read")
    assert (said["content"], said["offset"]) == ("hello", sent["offset"] + 1)
    assert {one["user_id"] for one in members} == {user, f"{user}-friend"}


@pytest.mark.rules("C4")
async def test_a_room_is_opened_with_what_was_said_in_it(
    client: Driver, fleet: list[Replica], backend: Backend, user: str
) -> None:
    room = f"session:{user}"
    for number in range(1, 8):
        await backend.send_to_session(user, {"type": "note", "content": number})
    await open(client, fleet[0].url, user)
    with pytest.raises(Fault, match="join session"):
        await client.do("history", room)
    joined = await client.do("join", on=room)
    pages = [await client.do("history", on=room, limit=3)]
    while pages[-1]["more"]:
        pages.append(await client.do("history", room, limit=3, before=pages[-1]["before"]))
    await backend.send_to_session(user, {"type": "note", "content": 8})
    live = await client.message(content=8)

    assert [[one["content"] for one in page["messages"]] for page in pages] == [[5, 6, 7], [2, 3, 4], [1]]
    assert joined["channels"][room] == {name: pages[0][name] for name in ("offset", "epoch")}
    assert (live["offset"], contents(client)) == (8, [8])


@pytest.mark.rules("C4")
async def test_a_page_has_messages_as_deep_as_they_may_be(
    client: Driver, fleet: list[Replica], backend: Backend, user: str
) -> None:
    content: list[Any] = []
    for _ in range(MAX_DEPTH - 2):
        content = [content]
    await backend.send_to_session(user, {"type": "deep", "content": content})
    await open(client, fleet[0].url, user)
    await client.do("join", on=f"session:{user}")

    page = await client.do("history", on=f"session:{user}", timeout=5)

    assert [one["content"] for one in page["messages"]] == [content]


@pytest.mark.rules("C3", "C1")
async def test_a_task(client: Driver, cable: Cable, backend: Backend, user: str) -> None:
    task = f"t-{user}"
    await backend.update_task(task, status="running", owner=user, progress=10)
    await open(client, url(cable), user)
    await client.hear("*", on=f"task:{task}", label="task")
    await client.do("watch", on=f"task:{task}")
    await backend.update_task(task, progress=20)
    await client.message(label="task", progress=20)
    cable.cut()
    await backend.update_task(task, progress=30)
    await client.message(label="task", progress=30)
    await client.do("cancel", on=f"task:{task}")
    await client.message(label="task", status="cancelled")

    versions = [one["version"] for one in client.messages("task")]
    assert versions == sorted(versions)
    assert (await client.get("state", on=f"task:{task}"))["status"] == "cancelled"
    assert await backend.is_cancelled(task)


@pytest.mark.rules("O1", "P6", "M4")
async def test_msgpack_carries_the_same(client: Driver, cable: Cable, backend: Backend, user: str, codec: Path) -> None:
    strange: dict[str, Any] = {"größe": ["Ω", None, True, -1.5, 2**40, {"deep": {"er": []}}], "": "empty"}
    await open(client, url(cable), user, codec=codec)
    await client.do("join", on=f"session:{user}")
    sent = await client.do("send", strange, on=f"session:{user}")
    await backend.send_to_user(user, {"type": "note", "content": strange})
    await client.message(content=strange)
    cable.up.block()
    cable.cut()
    await backend.send_to_user(user, {"type": "note", "content": strange | {"again": 1}})
    cable.clear()
    again = await client.message(content=strange | {"again": 1})
    await backend.send_to_session(user, {"type": "note", "content": "live"})
    live = await client.message(content="live")

    assert again["offset"] == 2
    assert live["offset"] == sent["offset"] + 1
    assert client.all("error") == []
