"""What a replica reports of itself each second."""

from __future__ import annotations

from typing import Final

from fairlead_gateway.admin.metrics import Parts
from fairlead_gateway.facts.statistics import GAUGE
from fairlead_gateway.monitor import ConnectionMonitor

PEOPLE: Final = (
    "total_connections",
    "active_connections",
    "active_users",
    "active_sessions",
    "total_user_connections",
    "total_session_connections",
)
"""Of the ten figures those that are not counters."""


def vitals(parts: Parts, monitor: ConnectionMonitor) -> dict[str, int]:
    """Counters by name, and how much there is now (see `GAUGE`)."""
    stats = monitor.get_stats()
    now = {name: stats[name] for name in PEOPLE} | {
        "moves": parts.replica.pool.moves,
        "queued_bytes": parts.dispatcher.backlog_bytes,
        "queued_entries": parts.streams.waiting,
        "is_ready": int(all(parts.readiness().values())),
        "silent_seconds": int(parts.links.silent_seconds),
    }
    return parts.replica.counters.flat() | {GAUGE + name: value for name, value in now.items()}
