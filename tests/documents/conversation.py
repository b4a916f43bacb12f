"""One conversation with two real replicas in which everything is said that the protocol has; all of it is recorded."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from websockets.asyncio.client import ClientConnection

import fairlead
from tests.support.client import Client, Frame, client
from tests.support.redis import Server
from tests.support.replica import Replica, token
from tests.support.rest import rest

FORWARDED = "quote"
TOO_MANY = 6
"""Open questions that are an alert: more than are open at once elsewhere, so that it begins where it is waited for."""

SETTINGS: dict[str, object] = {
    "forwarded_actions": FORWARDED,
    "presence_grace_seconds": 0.5,
    "message_timeout_seconds": 1,
    "alerts": f"questions_open={TOO_MANY - 0.5}/0.1",
    "max_connections_per_user": 50,
}
"""What the replicas must be started with, so that everything can be heard, and soon."""

EVERYTHING: dict[str, Any] = dict.fromkeys(("sessions", "instances", "topics", "tasks", "devices"), ("*",))


class Record(NamedTuple):
    """What clients said, and what they heard, in the order of either."""

    said: list[Frame]
    heard: list[Frame]


class Recorded:
    """A WebSocket that writes down what passes."""

    def __init__(self, websocket: ClientConnection, record: Record) -> None:
        self._websocket = websocket
        self._record = record

    async def send(self, text: str) -> None:
        self._record.said.append(json.loads(text))
        await self._websocket.send(text)

    async def recv(self) -> str | bytes:
        text = await self._websocket.recv()
        self._record.heard.append(json.loads(text))
        return text


@asynccontextmanager
async def recorded(record: Record, url: str, user: str, **grants: Any) -> AsyncIterator[Client]:
    async with client(url, user, **(grants or EVERYTHING)) as raw:
        raw.websocket = Recorded(raw.websocket, record)  # type: ignore[assignment]
        yield raw


async def converse(server: Server, fleet: Sequence[Replica]) -> Record:
    """Say everything once; returns what was said and heard. Afterwards the server has forgotten everything."""
    record = Record([], [])
    async with fairlead.connect(server.url, name="shop") as fl:
        await fl.grant_session("s1", ["ann", "bob"])
        await _talk(record, fleet, fl)
        await _come_back(record, fleet, fl)
        await _ask(record, fleet, fl)
        await _work(record, fleet, fl)
        await _change_instances(record, fleet, fl)
        await _watch(record, fleet, fl)
        await _hear_backends(record, fleet, fl)
        await _err(record, fleet)
    await _forget(record, server, fleet)
    return record


async def _talk(record: Record, fleet: Sequence[Replica], fl: fairlead.Backend) -> None:
    async with (
        recorded(record, fleet[0].url, "ann", **EVERYTHING) as ann,
        recorded(record, fleet[1].url, "bob", **EVERYTHING) as bob,
    ):
        await ann.next()
        await bob.next()
        await ann.ask("ping", timestamp=1)
        await ann.say("ping")
        await ann.ask("subscribe", channels=["topic:prices", "device:456"])
        await ann.ask("join_session", session_id="s1")
        await bob.ask("join_session", session_id="s1")
        await ann.until("session_joined")
        sent = await ann.ask(
            "message", session_id="s1", content={"text": "hello"}, metadata={"lang": "en"}, message_id="m1"
        )
        await ann.ask("message", session_id="s1", content={"text": "hello"}, message_id="m1")
        await bob.until("new_message")
        await ann.until("skipped")
        await ann.ask("message", to="user:bob", content="psst")
        await ann.ask("typing", session_id="s1", is_typing=True)
        await bob.until("typing")
        await bob.ask("read", session_id="s1", message_id=sent["message_id"])
        await ann.until("message_status_update")
        await ann.ask("presence", channel="session:s1")
        await bob.ask("history", channel="session:s1", limit=2)
        await bob.ask("history", channel="session:s1", limit=2, before=1)
        await fl.ai_status("s1", "thinking", "looking it up")
        await ann.until("ai_processing_status")
        await fl.message_status("s1", sent["message_id"], "delivered")
        await ann.until("message_status_update")
        await fl.device_status(456, "offline", message="no answer")
        await ann.until("device_status")
        await fl.send_to_topic("prices", {"type": "tick", "content": 3.14})
        await ann.until("tick")
        await fl.broadcast({"type": "notice", "content": "Back at noon."})
        await ann.until("notice")
        waiting = asyncio.ensure_future(
            fl.send_to_user("ann", {"type": "report_ready", "content": {"report": 7}}, requires_ack=True, ack_timeout=5)
        )
        report = await ann.until("report_ready")
        await ann.ask("ack", message_ids=[report["id"]])
        await waiting
        await ann.ask("ack", channel="user:ann", offset=report["offset"])
        await ann.ask("refresh", token=token("ann", **EVERYTHING))
        await bob.ask("leave_session", session_id="s1")
        await ann.until("session_left")
        await ann.ask("unsubscribe", channels=["topic:prices"])


async def _come_back(record: Record, fleet: Sequence[Replica], fl: fairlead.Backend) -> None:
    await fl.send_to_user("cleo", {"type": "hello", "content": 1})
    async with recorded(record, f"{fleet[0].url}?wait=connect", "cleo", sessions=("*",)) as cleo:
        await cleo.say("connect", recover={}, device_id="phone")
        first = await cleo.until("connection_established")
    position = first["channels"]["user:cleo"]
    await fl.send_to_user("cleo", {"type": "hello", "content": 2})
    await fl.send_to_user("cleo", {"type": "hello", "content": 3})
    recover = {
        "user:cleo": {"offset": position["offset"], "epoch": position["epoch"]},
        "session:s1": {"offset": 0, "epoch": ""},
        "topic:prices": {"offset": 0, "epoch": ""},
    }
    async with recorded(record, f"{fleet[1].url}?wait=connect", "cleo", sessions=("*",)) as cleo:
        await cleo.say("connect", id="c1", recover=recover, device_id="phone")
        greeting = await cleo.until("connection_established")
        await cleo.until(lambda frame: frame.get("content") == 3)
        again = {"user:cleo": {"offset": position["offset"], "epoch": greeting["channels"]["user:cleo"]["epoch"]}}
        await cleo.ask("subscribe", channels=["user:cleo"], recover=again)
        await cleo.ask("ack", channel="user:cleo", offset=greeting["channels"]["user:cleo"]["offset"])
    async with recorded(record, fleet[0].url.replace("/ws", "/ws/chat/session/s1"), "ann") as ann:
        await ann.next()
    async with recorded(record, f"{fleet[0].url}?wait=connect", "") as dan:
        await dan.say("connect", token=token("dan"))
        await dan.until("connection_established")


async def _ask(record: Record, fleet: Sequence[Replica], fl: fairlead.Backend) -> None:
    step = {"step": "plan", "message": "Apply to 10 ports?", "status": "completed", "completed": True, "result": [1, 2]}
    async with recorded(record, fleet[0].url, "ann") as ann, recorded(record, fleet[1].url, "ann") as phone:
        await ann.next()
        await phone.next()
        asking = asyncio.ensure_future(fl.notify_user(step, user_id="ann", task_id="t1", step=1))
        asked = await ann.until("task_step_result")
        await phone.until("task_step_result")
        await ann.ask("list_confirms")
        answer = {"callback_id": asked["callback_id"], "proceed": True, "feedback": "go on"}
        await ann.ask("confirm", **answer)
        await asking
        await ann.ask("confirm", **answer)
        await phone.until("confirm_closed")
        await phone.ask("confirm", callback_id=asked["callback_id"], proceed=False)
        colour = {"type": "object", "properties": {"colour": {"type": "string"}}, "required": ["colour"]}
        form = await fl.begin_ask("ann", "Which colour?", schema=colour)
        await phone.until("task_step_result")
        await ann.ask("confirm", callback_id=form.callback_id, proceed=True, content={})
        await ann.ask("confirm", callback_id=form.callback_id, proceed=True, content={"colour": "red"})
        offered = [{"value": "retry", "label": "Retry"}, {"value": "stop", "label": "Stop", "proceed": False}]
        choice = await fl.begin_ask("ann", "What now?", choices=offered)
        await phone.until("task_step_result")
        await fl.cancel_ask(choice.callback_id)
        await phone.until(lambda frame: frame["type"] == "confirm_closed" and frame["status"] == "cancelled")
        await phone.ask("confirm", callback_id=choice.callback_id, choice="retry")
        await phone.ask("confirm", callback_id="nothing", proceed=True)


async def _work(record: Record, fleet: Sequence[Replica], fl: fairlead.Backend) -> None:
    async with recorded(record, fleet[0].url, "ann") as ann:
        await ann.next()
        await ann.ask("subscribe_task", task_id="t9")
        await fl.update_task("t9", status="running", owner="ann", total_devices=10, message="begun")
        await ann.until("task_update")
        await fl.update_task("t9", progress=70, current_device="switch-01", completed_devices=7, stalled_after=0.2)
        await ann.until(lambda frame: frame["type"] == "task_update" and frame.get("progress") == 70)
        await ann.ask("subscribe_task", task_id="t9")
        await ann.ask("get_state", channel="task:t9")
        await ann.until("task_stalled", 20)
        await ann.ask("cancel", task_id="t9")
        await ann.until("task_cancelled")
        await ann.ask("unsubscribe_task", task_id="t9")


async def _change_instances(record: Record, fleet: Sequence[Replica], fl: fairlead.Backend) -> None:
    await fl.send_patch("counter", {"state.params.count": 41})
    async with recorded(record, fleet[0].url.replace("/ws", "/ws/instance/counter"), "ann") as ann:
        await ann.next()
        await ann.until("snapshot")
        await fl.send_patch("counter", {"state.params.count": 42}, patch_id="p1", unset=["state.tmp"])
        await ann.until("patch")
        await ann.ask("patch", instance="counter", patch={"state.owner": "ann"}, patch_id="p2", base_version=2)
        await ann.ask("patch", instance="counter", patch={"state.owner": "ann"}, patch_id="p2", base_version=2)
        await ann.ask("patch", instance="counter", patch={"state.owner": "bob"}, base_version=2)
        await ann.ask("get_state", channel="instance:counter")
        await fl.set_state("counter", {"state": {}})
        await ann.until("snapshot")


async def _watch(record: Record, fleet: Sequence[Replica], fl: fairlead.Backend) -> None:
    url = fleet[0].url.replace("/ws", "/ws/admin/monitor")
    async with recorded(record, url, "olga", role="admin", **EVERYTHING) as olga:
        await olga.next()
        await olga.ask("watch_live", types=["hello"], channels=["user:*"], events=["user_*"], max_per_second=20)
        await fl.send_to_user("olga", {"type": "hello"})
        await olga.until(lambda frame: shows(frame, "message"))
        async with recorded(record, fleet[1].url, "bob") as bob:
            await bob.next()
            await olga.until("user_status_update")
            await olga.until(lambda frame: shows(frame, "event"))
        await olga.until("stats_update")
        await olga.ask("unwatch_live")
        questions = [await fl.begin_ask("olga", "Is anybody there?") for _ in range(TOO_MANY)]
        alert = await olga.until("alert", 30)
        assert alert["alert"]["rule"] == "questions_open"
        for question in questions:
            await fl.cancel_ask(question.callback_id)


def shows(frame: dict[str, Any], kind: str) -> bool:
    """Whether *frame* shows something of that kind; it may show more that has happened at the same time."""
    return frame["type"] == "live" and kind in {item["kind"] for item in frame["items"]}


async def _hear_backends(record: Record, fleet: Sequence[Replica], fl: fairlead.Backend) -> None:
    async with (
        recorded(record, fleet[0].url, "ann") as ann,
        fl.inbound(group="doc") as inbound,
        rest(fleet[1], "operator") as operator,
    ):
        await ann.next()
        answering = asyncio.ensure_future(_quote(inbound, asyncio.Event()))
        await ann.ask(FORWARDED, symbol="FL")
        await answering
        in_time = asyncio.Event()
        answering = asyncio.ensure_future(_quote(inbound, in_time))
        await ann.ask(FORWARDED, symbol="FL", wait=True)
        in_time.set()
        await ann.until(lambda frame: frame.get("late") is True)
        await answering
        told = {
            "title": "Report",
            "message": "It is ready.",
            "type": "info",
            "action_url": "https://example.org/reports/7",
        }
        await operator.post("/notify", {"user_id": "ann", **told})
        await ann.until("notification")
        waiting = asyncio.ensure_future(
            fl.send_to_user(
                "ann", {"type": "report_ready", "content": {"report": 8}}, requires_ack=True, ack_timeout=1.5
            )
        )
        await ann.until(lambda frame: frame.get("attempt") == 2)
        await waiting


async def _quote(inbound: Any, in_time: asyncio.Event) -> None:
    """Answer one quote; one that says so only when it is too late."""
    async for message in inbound:
        if message.frame.get("action") == FORWARDED:
            if message.frame.get("wait"):
                await in_time.wait()
            await message.reply({"price": 9.5})
            return


async def _err(record: Record, fleet: Sequence[Replica]) -> None:
    async with recorded(record, fleet[0].url, "eve", sessions=("s2",)) as eve:
        await eve.next()
        await eve.ask("subscribe", channels=["session:s1"])
        await eve.ask("message", content="nowhere")
        await eve.ask("dance")
        await eve.ask("get_state", channel="user:eve")


async def _forget(record: Record, server: Server, fleet: Sequence[Replica]) -> None:
    async with recorded(record, fleet[0].url, "ann") as ann:
        await ann.next()
        async with fairlead.connect(server.url) as fl:
            await fl.send_to_user("ann", {"type": "hello"})
        await ann.until("hello")
        server.restart()
        await ann.until("epoch_changed", 30)
