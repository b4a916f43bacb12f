"""What a replica reports of itself each second."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from fairlead_gateway.dispatch.dispatcher import MessageDispatcher
from fairlead_gateway.facts.statistics import GAUGE
from fairlead_gateway.facts.streams import Streams
from fairlead_gateway.monitor import ConnectionMonitor
from fairlead_gateway.sessions.replica import Replica

PEOPLE: Final = (
    "total_connections",
    "active_connections",
    "active_users",
    "active_sessions",
    "total_user_connections",
    "total_session_connections",
)
"""Of the ten figures those that are not counters."""


def vitals(
    replica: Replica,
    monitor: ConnectionMonitor,
    dispatcher: MessageDispatcher,
    streams: Streams,
    is_ready: Callable[[], bool],
    silent_seconds: float,
) -> dict[str, int]:
    """Counters by name, and how much there is now (see `GAUGE`)."""
    stats = monitor.get_stats()
    now = {name: stats[name] for name in PEOPLE} | {
        "moves": replica.pool.moves,
        "queued_bytes": dispatcher.backlog_bytes,
        "queued_entries": streams.waiting,
        "is_ready": int(is_ready()),
        "silent_seconds": int(silent_seconds),
    }
    return replica.counters.flat() | {GAUGE + name: value for name, value in now.items()}
