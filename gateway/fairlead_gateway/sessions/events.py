"""EventBus: what happened on this replica, told to whoever asked to hear it (MSG-6)."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any, Final

import structlog

from fairlead_gateway.sessions.tasks import Tasks

log = structlog.get_logger(__name__)

Facts = dict[str, Any]
EventHandler = Callable[[Facts], Awaitable[object] | object]

EVENTS: Final = (
    "connection",
    "disconnection",
    "user_connected",
    "user_disconnected",
    "session_joined",
    "session_left",
    "message_received",
    "message_acknowledged",
    "message_read",
    "typing_status_changed",
    "question_answered",
    "question_timed_out",
    "question_cancelled",
    "task_cancelled",
    "task_stalled",
    "error",
)
"""What the gateway itself says; applications may emit names of their own."""


class EventBus:
    """Handlers by event name. A handler that fails is logged and harms nobody else."""

    def __init__(self, tasks: Tasks) -> None:
        self._tasks = tasks
        self._handlers: dict[str, list[EventHandler]] = {}

    def on(self, event: str, handler: EventHandler) -> None:
        """Call *handler* (plain or async) with a dictionary of facts each time *event* happens here."""
        self._handlers.setdefault(event, []).append(handler)

    def off(self, event: str, handler: EventHandler) -> None:
        """Call *handler* no more."""
        handlers = self._handlers.get(event, [])
        if handler in handlers:
            handlers.remove(handler)

    def emit(self, event: str, **facts: Any) -> None:
        """Tell everybody; async handlers run as tasks of the replica, in no order."""
        for handler in tuple(self._handlers.get(event, ())):
            try:
                result = handler({"event": event, **facts})
            except Exception:
                log.exception("event handler failed", about=event)
                continue
            if inspect.isawaitable(result):
                self._tasks.start(_finish(result), name=f"event {event}")


async def _finish(result: Awaitable[object]) -> None:
    await result
