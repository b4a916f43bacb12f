"""What a replica reports of itself each second."""

from __future__ import annotations

import socket
import time
from typing import Final
from zlib import crc32

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


def place(host: str, port: int) -> int:
    """Where a replica serves, as a figure: who comes after it on the same machine and port has the same."""
    return crc32(f"{host}:{port}".encode())


def vitals(parts: Parts, monitor: ConnectionMonitor) -> dict[str, int]:
    """Counters by name, and how much there is now (see `GAUGE`)."""
    stats = monitor.get_stats()
    now = {name: stats[name] for name in PEOPLE} | {
        "moves": parts.replica.pool.moves,
        "queued_bytes": parts.dispatcher.backlog_bytes,
        "queued_entries": parts.streams.waiting,
        "is_ready": int(all(parts.readiness().values())),
        "silent_seconds": int(parts.links.silent_seconds),
        "place": place(socket.gethostname(), parts.replica.settings.port),
        "began_ms": parts.began_ms,
        "heard_ms": int(time.time() * 1000),
    }
    return parts.replica.counters.flat() | {GAUGE + name: value for name, value in now.items()}
