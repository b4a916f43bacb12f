"""EventBus: what happened on this replica, told to whoever asked to hear it (MSG-6)."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

import structlog

from fairlead_gateway.access.identity import matches
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
    "question_asked",
    "question_answered",
    "question_timed_out",
    "question_cancelled",
    "question_undeliverable",
    "task_cancelled",
    "task_stalled",
    "error",
)
"""What the gateway itself says; applications may emit names of their own."""

ANY: Final = "*"
"""Asked for, it stands for every event."""

Tell = Callable[[str, Mapping[str, Any]], None]
"""Tells backends of an event."""


class EventBus:
    """
    Handlers by event name. A handler that fails is logged and harms nobody else.

    :param tell: tells backends of events, too.
    :param told: of which, by name or with a ``*``.
    """

    def __init__(self, tasks: Tasks, tell: Tell | None = None, told: Sequence[str] = ()) -> None:
        self._tasks = tasks
        self._tell = tell
        self._told = told
        self._is_told: dict[str, bool] = {}
        self._handlers: dict[str, list[EventHandler]] = {}

    def on(self, event: str, handler: EventHandler) -> None:
        """Call *handler* (plain or async) with a dictionary of facts each time *event* happens here; ``*`` is any."""
        self._handlers.setdefault(event, []).append(handler)

    def off(self, event: str, handler: EventHandler) -> None:
        """Call *handler* no more."""
        handlers = self._handlers.get(event, [])
        if handler in handlers:
            handlers.remove(handler)

    def emit(self, event: str, **facts: Any) -> None:
        """Tell everybody; async handlers run as tasks of the replica, in no order."""
        if self._tell is not None and self._tells(event):
            try:
                self._tell(event, facts)
            except Exception:
                log.exception("event not told to backends", about=event)
        for handler in (*self._handlers.get(event, ()), *self._handlers.get(ANY, ())):
            try:
                result = handler({"event": event, **facts})
            except Exception:
                log.exception("event handler failed", about=event)
                continue
            if inspect.isawaitable(result):
                self._tasks.start(_finish(result), name=f"event {event}")

    def _tells(self, event: str) -> bool:
        if event not in self._is_told:
            self._is_told[event] = any(matches(pattern, event) for pattern in self._told)
        return self._is_told[event]


async def _finish(result: Awaitable[object]) -> None:
    await result
