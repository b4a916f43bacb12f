"""What real replicas say fits what `/asyncapi.json` says of it; each kind of frame is provoked, and looked at."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from jsonschema import Draft7Validator
from redis.asyncio import Redis

import fairlead
from fairlead.backend.backend import Backend
from fairlead.names import Names
from fairlead_gateway.rest.frames import YOUR_OWN
from tests.support.client import Client, Frame, client, connected
from tests.support.replica import Replica, replicas, token
from tests.support.rest import rest

EXEMPT = {
    # Said to sockets of servers that are not ours, which cannot be pinged; see tests/gateway/test_embedding.py.
    "push.ping",
}

OF_THE_APPLICATION = {"colour", "model"}
"""Fields that this test gives to frames that may have such."""

SETTINGS: dict[str, Any] = {
    "rate_messages_per_second": 0,
    "message_timeout_seconds": 1,
    "presence_grace_seconds": 0.2,
    "forwarded_actions": "book_table",
    "alerts": "questions_open=0/0",
}


@pytest.fixture(scope="module")
def fleet_prefix() -> str:
    return "described"


@pytest.fixture(scope="module")
def pair(redis_url: str, fleet_prefix: str) -> Iterator[list[Replica]]:
    with replicas(2, redis_url, fleet_prefix, **SETTINGS) as pair:
        yield pair


class Described:
    """The document as a replica serves it, and the frames that were held against it."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._components = document["components"]
        self.seen: set[str] = set()

    @property
    def answers_and_pushes(self) -> set[str]:
        return {key for key in self._components["messages"] if not key.startswith("say.")}

    def look_at(self, frame: Frame, action: str = "") -> None:
        """Fail where *frame*, the answer to *action* if that is given, is not as it is described."""
        key = self._key(frame, action)
        schema = {"$ref": f"#/components/schemas/{key}", "components": self._components}
        faults = [f"{list(one.absolute_path)}: {one.message}" for one in Draft7Validator(schema).iter_errors(frame)]
        assert not faults, f"{key}: {faults}\n{json.dumps(frame)}"
        if not key.endswith(YOUR_OWN):
            assert self._unknown(key, frame) <= OF_THE_APPLICATION, f"{key} does not say so:\n{json.dumps(frame)}"
        self.seen.add(key)

    def _key(self, frame: Frame, action: str) -> str:
        if frame["type"] == "error":
            return "push.message_refused" if "channel" in frame else "push.error"
        if frame.get("late"):
            return "push.late_reply"
        kind, name = ("reply", action) if action else ("push", frame["type"])
        known = f"{kind}.{name}" in self._components["messages"]
        return f"{kind}.{name}" if known else f"{kind}.{YOUR_OWN}"

    def _unknown(self, key: str, frame: Frame) -> set[str]:
        schema = self._components["schemas"][key]
        variants = (schema, *schema.get("anyOf", ()))
        return set(frame) - {name for variant in variants for name in variant.get("properties", ())}


async def document_of(replica: Replica) -> dict[str, Any]:
    async with httpx2.AsyncClient(timeout=10) as http:
        document: dict[str, Any] = (await http.get(f"{replica.http}/asyncapi.json")).json()
    return document


class Watched:
    """A client of which every frame is held against the document."""

    def __init__(self, described: Described, raw: Client) -> None:
        self._described = described
        self._raw = raw

    async def ask(self, action: str, **fields: Any) -> Frame:
        answer = await self._raw.ask(action, **fields)
        self._described.look_at(answer, action)
        return answer

    async def say(self, action: str, **fields: Any) -> None:
        await self._raw.say(action, **fields)

    async def until(self, type: str, **facts: Any) -> Frame:
        return await self._raw.until(lambda frame: facts.items() <= frame.items() and frame["type"] == type, 20)

    def look(self) -> None:
        """Hold everything that came, but the answers, against the document."""
        for frame in self._raw.frames:
            self._described.look_at(frame)


@asynccontextmanager
async def watched(described: Described, url: str, user: str, **options: Any) -> AsyncIterator[Watched]:
    async with connected(url, user, **options) as raw:
        one = Watched(described, raw)
        yield one
        one.look()


@pytest.fixture
async def fl(redis_url: str, fleet_prefix: str) -> AsyncIterator[Backend]:
    async with fairlead.connect(redis_url, prefix=fleet_prefix, name="bot") as fl:
        yield fl


async def test_every_frame_is_as_it_is_described(
    pair: list[Replica], fl: Backend, redis: Redis, fleet_prefix: str
) -> None:
    described = Described(await document_of(pair[0]))
    here, there = (replica.url for replica in pair)

    async with (
        watched(described, f"{here}/admin/monitor", "op", role="admin") as operator,
        watched(described, f"{here}/chat/session/s1", "ann") as ann,
        watched(described, there, "bob") as bob,
    ):
        await operator.ask("watch_live")
        await talk(described, ann, bob, fl, there)
        await states(ann, bob, fl)
        await ask_people(ann, bob, fl, operator)
        await backends(ann, fl, pair[0])
        await epochs(ann, fl, redis, Names(fleet_prefix))
        await operator.until("live")
        await operator.until("stats_update")
        await operator.ask("unwatch_live")
    await come_back(described, there)

    assert described.answers_and_pushes - described.seen == EXEMPT


async def talk(described: Described, ann: Watched, bob: Watched, fl: Backend, there: str) -> None:
    """Sessions and people."""
    await bob.ask("subscribe", channels=["topic:presence"])
    await bob.ask("join_session", session_id="s1")
    await ann.until("session_joined", user_id="bob")
    stored = await ann.ask("message", session_id="s1", content="hello", message_id="m-1", metadata={"a": 1})
    assert (await ann.ask("message", session_id="s1", content="hello", message_id="m-1"))["duplicate"]
    await ann.until("skipped")
    await bob.until("new_message")
    await bob.ask("typing", session_id="s1")
    await ann.until("typing")
    await bob.ask("read", session_id="s1", message_id=stored["message_id"])
    await ann.ask("read", session_id="s1", message_id=stored["message_id"])
    await ann.until("message_status_update")
    await fl.message_status("s1", stored["message_id"], "delivered", model="m")
    await fl.ai_status("s1", "thinking", "for a moment", model="m")
    await ann.until("ai_processing_status")
    await bob.ask("presence", channel="session:s1")
    assert (await bob.ask("history", channel="session:s1"))["messages"]
    async with watched(described, there, "cyd") as cyd:
        await cyd.ask("join_session", session_id="s1")
        await cyd.ask("ping", timestamp=1)
        await cyd.ask("refresh", token=token("cyd"))
    await bob.until("user_status_update", user_id="cyd", status="offline")
    await bob.ask("leave_session", session_id="s1")
    await ann.until("session_left", user_id="bob")
    await bob.ask("unsubscribe", channels=["topic:presence"])
    await fl.send_to_user("bob", {"type": "report_ready", "content": 7}, message_id="r-1")
    message = await bob.until("report_ready")
    await bob.ask("ack", message_ids=["r-1"])
    await bob.ask("ack", channel="user:bob", offset=message["offset"])
    await bob.ask("no_such_action")
    await bob.ask("subscribe", channels=["user:ann"])


async def states(ann: Watched, bob: Watched, fl: Backend) -> None:
    """Instances, tasks, devices."""
    await ann.ask("subscribe", channels=["instance:i", "device:7"])
    await ann.ask("patch", instance="i", patch={"a.b": 1})
    await ann.until("patch")
    await bob.ask("subscribe", channels=["instance:i"])
    await bob.until("snapshot", version=1)
    await fl.set_state("i", {"a": 2})
    await ann.until("snapshot", version=2)
    await fl.send_patch("i", {"b": 1}, unset=["a"])
    assert (await ann.ask("patch", instance="i", patch={"a": 3}, base_version=1))["code"] == "conflict"
    await ann.ask("get_state", channel="instance:i")
    await ann.ask("get_state", channel="instance:none")
    await fl.device_status(7, "online", message="up")
    await ann.until("device_status")

    await bob.ask("subscribe_task", task_id="none")
    await fl.update_task("t", owner="ann", progress=5, message="begun", stalled_after=0.1, total_devices=3, step="one")
    await ann.ask("subscribe_task", task_id="t")
    await ann.until("task_stalled")
    await fl.update_task("t", progress=6, colour="red")
    await ann.until("task_update", progress=6)
    await ann.ask("get_state", channel="task:t")
    await ann.ask("cancel", task_id="t")
    await ann.until("task_cancelled", channel="task:t")
    await ann.until("task_cancelled", channel="user:ann")
    await ann.ask("get_state", channel="task:t")
    await ann.ask("unsubscribe_task", task_id="t")


async def ask_people(ann: Watched, bob: Watched, fl: Backend, operator: Watched) -> None:
    """Questions."""
    step = {"step": "plan", "message": "Apply?", "status": "completed", "completed": True}
    asking = asyncio.create_task(fl.notify_user(step, user_id="ann", task_id="t2", step=1, timeout=60))
    first = (await ann.until("task_step_result"))["callback_id"]
    await operator.until("alert")
    await ann.ask("list_confirms")
    await bob.ask("confirm", callback_id=first, proceed=True)
    await ann.ask("confirm", callback_id=first, choice="nowhere")
    await ann.ask("confirm", callback_id=first, proceed=True, feedback="yes")
    await ann.until("confirm_closed", callback_id=first)
    assert (await asking).by_human
    form = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    second = await fl.begin_ask(["ann", "bob"], "How many?", schema=form, timeout=60)
    await bob.until("task_step_result", callback_id=second.callback_id)
    await bob.ask("confirm", callback_id=second.callback_id, proceed=True, content={"n": "x"})
    await fl.cancel_ask(second.callback_id)
    await bob.until("confirm_closed", callback_id=second.callback_id)


async def backends(ann: Watched, fl: Backend, replica: Replica) -> None:
    """What backends answer, in time and too late, and notifications."""
    async with fl.inbound("bot", from_start=True) as feed:
        asking = asyncio.create_task(ann.ask("book_table", guests=4))
        await (await _asked(feed, "book_table")).reply({"table": 12})
        assert (await asking)["table"] == 12
        assert (await ann.ask("book_table", guests=5))["code"] == "handler_timeout"
        await (await _asked(feed, "book_table")).reply({"colour": "red"})
        await ann.until("reply", late=True)
        await ann.ask("message", session_id="s1", content="is anybody here?")
        said = await _asked(feed, "message")
        await said.reply({"content": "yes", "model": "m"})
        await said.error("not_found", "nobody", name="x")
        await ann.until("error", code="not_found")
    async with rest(replica, role="operator") as api:
        await api.post("/notify", {"user_id": "ann", "title": "Report", "message": "ready", "type": "success"})
    await ann.until("notification")


async def _asked(feed: Any, action: str) -> Any:
    async with asyncio.timeout(10):
        while (heard := await anext(feed)).action != action or heard.user_id != "ann":
            pass
        return heard


async def epochs(ann: Watched, fl: Backend, redis: Redis, names: Names) -> None:
    """Redis forgets a channel."""
    await fl.send_to_user("ann", {"type": "before"})
    await ann.until("before")
    await redis.delete(names.log("user:ann"), names.meta("user:ann"), names.seen("user:ann"))
    await fl.send_to_user("ann", {"type": "after"})
    await ann.until("epoch_changed", channel="user:ann")


async def come_back(described: Described, url: str) -> None:
    """The greeting that answers ``connect``, with what was missed, and what may not be heard."""
    positions = {"user:ann": {"offset": 0, "epoch": "x"}, "topic:presence": {"offset": 0, "epoch": ""}}
    async with client(url) as raw:
        one = Watched(described, raw)
        recover = {**positions, "user:bob": {"offset": 0, "epoch": ""}}
        greeting = await one.ask("connect", token=token("ann"), recover=recover, device_id="d1")
        assert greeting["channels"]["user:bob"] == {"recovered": False, "code": "forbidden"}
        one.look()
