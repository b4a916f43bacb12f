"""The built-in actions: one table, one file a feature."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, NamedTuple, cast

from fairlead_gateway.sessions import frames
from fairlead_gateway.sessions.actions import (
    acks,
    channels,
    confirms,
    history,
    instances,
    live,
    messages,
    presence,
    reads,
    rooms,
    tasks,
    tokens,
)
from fairlead_gateway.sessions.context import Context

Do = Callable[[Context, Any], Awaitable[Mapping[str, Any] | None]]


class Builtin(NamedTuple):
    """An action of the protocol: the shape of its frame and what does it. ``ping`` is answered by the receiver."""

    model: type[frames.Action]
    do: Do


def _row(model: type[frames.Action], do: object) -> Builtin:
    return Builtin(model, cast(Do, do))


BUILTINS: Final[Mapping[str, Builtin]] = {
    "refresh": _row(frames.Refresh, tokens.refresh),
    "subscribe": _row(frames.Subscribe, channels.subscribe),
    "unsubscribe": _row(frames.Unsubscribe, channels.unsubscribe),
    "join_session": _row(frames.JoinSession, rooms.join_session),
    "leave_session": _row(frames.LeaveSession, rooms.leave_session),
    "message": _row(frames.Message, messages.message),
    "typing": _row(frames.Typing, messages.typing),
    "read": _row(frames.Read, reads.read),
    "ack": _row(frames.Ack, acks.ack),
    "confirm": _row(frames.Confirm, confirms.confirm),
    "list_confirms": _row(frames.ListConfirms, confirms.list_confirms),
    "subscribe_task": _row(frames.TaskAction, tasks.subscribe_task),
    "unsubscribe_task": _row(frames.TaskAction, tasks.unsubscribe_task),
    "cancel": _row(frames.TaskAction, tasks.cancel),
    "history": _row(frames.History, history.history),
    "get_state": _row(frames.GetState, instances.get_state),
    "patch": _row(frames.Patch, instances.patch),
    "presence": _row(frames.Presence, presence.presence),
    "watch_live": _row(frames.WatchLive, live.watch_live),
    "unwatch_live": _row(frames.UnwatchLive, live.unwatch_live),
}
"""Everything a client may ask for, beside ``connect`` (the opening) and ``ping``/``pong`` (the heartbeat)."""

RESERVED: Final = frozenset(BUILTINS) | {"connect", "ping", "pong"}
