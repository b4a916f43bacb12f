"""An example of each frame of the protocol, by its name in the AsyncAPI document; each fits its schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

Example: TypeAlias = dict[str, Any]

_AT: Final = "2026-01-31T12:00:00.000Z"
_ID: Final = "01a1f7c2-6d52-7a31-9c04-3b1f6f0a2b11"
_CONNECTION: Final = "01a1f7c2-51b0-7d8a-8f12-5a9d0c4e7733"
_EPOCH: Final = "6f1c.9a2b"
_TOKEN: Final = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI0MiJ9.…"
_CALLBACK: Final = "9b1c7d0e5f2a4b6c8d0e1f2a3b4c5d6e.kQ2vX8yT0b3mN5pR7sU9wA"
_STANDING: Final = {"offset": 21, "epoch": _EPOCH, "recovered": True}


def _said(action: str, **fields: Any) -> list[Example]:
    return [{"action": action, "id": "7", **fields}]


def _replied(**fields: Any) -> list[Example]:
    return [{"type": "reply", "ref": "7", "ok": True, **fields}]


def _told(type: str, channel: str, sender: str = "system", offset: int = 22, **fields: Any) -> list[Example]:
    place = {"session_id": channel[8:]} if channel.startswith("session:") else {}
    numbered = {"offset": offset} if offset else {}
    head = {"type": type, "id": _ID, "from": sender, "to": channel}
    return [{**numbered, **head, **place, **fields, "timestamp": _AT, "channel": channel}]


_TASK: Final[Example] = {"task_id": "t1", "status": "running", "progress": 40, "message": "two of five", "owner": "42"}
_STEP: Final[Example] = {
    "result": {"ports": 10},
    "completed": True,
    "message": "Apply to 10 ports?",
    "status": "completed",
    "error_code": None,
    "error_message": None,
}
_QUESTION: Final[Example] = {
    "type": "task_step_result",
    "callback_id": _CALLBACK,
    "task_id": "t1",
    "step": 1,
    "step_result": {"step": "plan", **_STEP},
    **_STEP,
    "confirm": {
        "kind": "confirmation",
        "message": "Apply to 10 ports?",
        "severity": "warning",
        "choices": [
            {"value": "proceed", "label": "Proceed", "proceed": True},
            {"value": "stop", "label": "Stop", "proceed": False},
        ],
        "feedback": "optional",
        "created_at": _AT,
        "expires_at": "2026-01-31T12:02:00.000Z",
        "server_time": _AT,
        "on_timeout": "stop",
    },
}
_GREETING: Final[Example] = {
    "type": "connection_established",
    "connection_id": _CONNECTION,
    "user_id": "42",
    "session_id": None,
    "instance": None,
    "replica": "gateway-1-8f12",
    "server_time": _AT,
    "heartbeat": {"interval": 30, "timeout": 60},
    "channels": {"user:42": _STANDING, "session:s1": {"recovered": False, "code": "forbidden"}},
}
_FIGURES: Final[Example] = {
    "total_connections": 12,
    "active_connections": 12,
    "messages_sent": 4711,
    "messages_received": 815,
    "disconnections": 3,
    "errors": 0,
    "active_users": 9,
    "active_sessions": 4,
    "total_user_connections": 12,
    "total_session_connections": 7,
}

EXAMPLES: Final[Mapping[str, list[Example]]] = {
    # What a client says.
    "say.connect": _said("connect", token=_TOKEN, recover={"user:42": {"offset": 17, "epoch": _EPOCH, "id": _ID}}),
    "say.ping": _said("ping", timestamp=1769860800000),
    "say.pong": [{"action": "pong"}],
    "say.refresh": _said("refresh", token=_TOKEN),
    "say.subscribe": _said("subscribe", channels=["topic:prices", "instance:counter"]),
    "say.unsubscribe": _said("unsubscribe", channels=["topic:prices"]),
    "say.join_session": _said("join_session", session_id="s1"),
    "say.leave_session": _said("leave_session", session_id="s1"),
    "say.message": [
        *_said("message", session_id="s1", content="Hello", message_id="m-1"),
        *_said("message", to="user:43", content={"text": "Hello"}, message_type="chat"),
    ],
    "say.typing": [{"action": "typing", "session_id": "s1", "is_typing": True}],
    "say.read": _said("read", session_id="s1", message_id=_ID),
    "say.ack": [*_said("ack", message_ids=[_ID]), *_said("ack", channel="user:42", offset=22)],
    "say.confirm": _said("confirm", callback_id=_CALLBACK, proceed=True, feedback="go on"),
    "say.list_confirms": _said("list_confirms"),
    "say.subscribe_task": _said("subscribe_task", task_id="t1"),
    "say.unsubscribe_task": _said("unsubscribe_task", task_id="t1"),
    "say.cancel": _said("cancel", task_id="t1"),
    "say.history": [
        *_said("history", channel="session:s1", limit=2),
        *_said("history", channel="session:s1", limit=2, before=21),
    ],
    "say.get_state": _said("get_state", channel="instance:counter"),
    "say.patch": _said("patch", instance="counter", patch={"clicks.total": 3}, patch_id="p-1", base_version=2),
    "say.presence": _said("presence", channel="session:s1"),
    "say.watch_live": _said("watch_live", types=["new_message"], max_per_second=20),
    "say.unwatch_live": _said("unwatch_live"),
    "say.of_your_own": _said("book_table", guests=4),
    # What it is answered.
    "reply.connect": [{**_GREETING, "ref": "7", "ok": True}],
    "reply.ping": [{"type": "pong", "timestamp": 1769860800000, "server_time": _AT, "ref": "7"}],
    "reply.refresh": _replied(expires_at=1769864400, removed=[]),
    "reply.subscribe": _replied(channels={"topic:prices": {}, "instance:counter": {"offset": 3, "epoch": _EPOCH}}),
    "reply.unsubscribe": _replied(channels=["topic:prices"]),
    "reply.join_session": _replied(session_id="s1", channels={"session:s1": {"offset": 4, "epoch": _EPOCH}}),
    "reply.leave_session": _replied(session_id="s1"),
    "reply.message": _replied(message_id="42/m-1", channel="session:s1", offset=5, epoch=_EPOCH, status="sent"),
    "reply.typing": _replied(session_id="s1"),
    "reply.read": _replied(session_id="s1", message_id=_ID, status="read", duplicate=False),
    "reply.ack": _replied(acknowledged={_ID: "delivered"}),
    "reply.confirm": [
        {
            "type": "confirm_ack",
            "callback_id": _CALLBACK,
            "status": "accepted",
            "answer": {"proceed": True, "choice": None, "by": "42", "at": _AT},
            "ref": "7",
            "ok": True,
        }
    ],
    "reply.list_confirms": _replied(confirms=[_QUESTION]),
    "reply.subscribe_task": _replied(
        task_id="t1", task={"type": "task_update", **_TASK, "version": 3}, channels={"task:t1": {}}
    ),
    "reply.unsubscribe_task": _replied(task_id="t1"),
    "reply.cancel": _replied(task_id="t1", status="cancelled", version=4, duplicate=False),
    "reply.history": _replied(
        channel="session:s1",
        epoch=_EPOCH,
        offset=22,
        messages=[
            *_told("new_message", "session:s1", "user:42", 21, message_type="text", content="Hello"),
            *_told("new_message", "session:s1", "user:43", 22, message_type="text", content="Good morning"),
        ],
        more=True,
        before=21,
    ),
    "reply.get_state": _replied(
        instance="counter", channel="instance:counter", document={"clicks": {"total": 2}}, version=2, timestamp=_AT
    ),
    "reply.patch": _replied(instance="counter", channel="instance:counter", version=3, offset=3, epoch=_EPOCH),
    "reply.presence": _replied(
        channel="session:s1", users=[{"user_id": "42", "connections": 2, "since": _AT}], count=1
    ),
    "reply.watch_live": _replied(max_per_second=20, content=False, replicas=2),
    "reply.unwatch_live": _replied(),
    "reply.of_your_own": _replied(table=12),
    # What it is told.
    "push.connection_established": [_GREETING],
    "push.error": [
        {
            "type": "error",
            "ref": "7",
            "code": "forbidden",
            "message": "your token and memberships do not allow topic:prices",
            "detail": {"channels": ["topic:prices"]},
        }
    ],
    "push.ping": [{"type": "ping"}],
    "push.skipped": [{"offset": 23, "type": "skipped", "channel": "session:s1"}],
    "push.epoch_changed": [
        {
            "type": "epoch_changed",
            "channel": "user:42",
            "epoch": "6f1c.9a2c",
            "offset": 0,
            "recovered": False,
            "timestamp": _AT,
        }
    ],
    "push.live": [
        {
            "type": "live",
            "items": [{"kind": "event", "at": _AT, "replica": "gateway-1-8f12", "event": "user_connected"}],
            "dropped": 0,
        }
    ],
    "push.new_message": _told("new_message", "session:s1", "user:43", message_type="text", content="Hello"),
    "push.typing": _told("typing", "session:s1", "user:43", 0, user_id="43", is_typing=True),
    "push.session_joined": _told("session_joined", "session:s1", "user:43", 0, user_id="43", connection_id=_CONNECTION),
    "push.session_left": _told("session_left", "session:s1", "user:43", 0, user_id="43", connection_id=_CONNECTION),
    "push.user_status_update": _told(
        "user_status_update", "session:s1", offset=0, user_id="43", status="offline", last_seen=_AT
    ),
    "push.message_status_update": _told(
        "message_status_update", "user:42", "user:43", session_id="s1", message_id=_ID, status="read", user_id="43"
    ),
    "push.ai_processing_status": _told(
        "ai_processing_status", "session:s1", "ai", 0, status="thinking", message="reads the plan"
    ),
    "push.patch": _told(
        "patch",
        "instance:counter",
        "user:42",
        instance="counter",
        patch={"clicks.total": 3},
        patch_id="p-1",
        base_version=2,
        version=3,
    ),
    "push.snapshot": _told(
        "snapshot", "instance:counter", instance="counter", document={"clicks": {"total": 3}}, version=3
    ),
    "push.task_update": _told("task_update", "task:t1", **_TASK, version=3, updated_at=_AT),
    "push.task_stalled": _told("task_stalled", "task:t1", task_id="t1", version=3, since=_AT),
    "push.task_cancelled": _told(
        "task_cancelled", "user:42", task_id="t1", user_id="42", status="cancelled", version=4
    ),
    "push.device_status": _told("device_status", "device:456", device_id=456, status="online"),
    "push.task_step_result": _told(channel="user:42", **_QUESTION),
    "push.confirm_closed": _told(
        "confirm_closed", "user:42", callback_id=_CALLBACK, status="answered", by="43", at=_AT
    ),
    "push.late_reply": _told(
        "reply", "user:42", "service:bot", ref="7", late=True, connection_id=_CONNECTION, ok=True, table=12
    ),
    "push.message_refused": _told(
        "error",
        "user:42",
        "service:bot",
        ref=None,
        code="not_found",
        message="there is no such table",
        detail={"table": 12},
        message_id=_ID,
    ),
    "push.notification": _told(
        "notification",
        "user:42",
        "service:crm",
        requires_ack=True,
        notification={
            "id": "n-1",
            "title": "Report",
            "message": "It is ready.",
            "type": "success",
            "action_url": "/reports/7",
            "auto_close": False,
            "timestamp": _AT,
        },
    ),
    "push.stats_update": _told(
        "stats_update",
        "admins",
        offset=0,
        **_FIGURES,
        at=_AT,
        rates={"messages_sent": 12.5},
        percentiles={"delivery_ms": {"p50": 1.2, "p90": 2.5, "p99": 6.0, "count": 750}},
        replicas=[{"replica": "gateway-1-8f12", "is_alive": True, **_FIGURES}],
        alerts=0,
    ),
    "push.alert": _told(
        "alert",
        "admins",
        offset=0,
        alert={"id": "a-1", "rule": "not_ready", "severity": "warning", "state": "firing", "since": _AT},
    ),
    "push.of_your_own": _told("report_ready", "user:42", "service:crm", content={"report": 7}),
}
