"""What the routes work with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry

from fairlead.questions import Questions
from fairlead.receipts import Receipts
from fairlead.sends import Sends
from fairlead.sent import Sent
from fairlead_gateway.access.tickets import Tickets
from fairlead_gateway.admin.alarm import Alarm
from fairlead_gateway.admin.overseer import Overseer
from fairlead_gateway.admin.servers import Server
from fairlead_gateway.admin.surveys import Surveys
from fairlead_gateway.facts.statistics import Statistics
from fairlead_gateway.monitor import ConnectionMonitor
from fairlead_gateway.sessions.replica import Replica


@dataclass(frozen=True, slots=True)
class Api:
    """The parts of a replica that its HTTP interface works with; built once, in `fairlead_gateway.manager`."""

    replica: Replica
    surveys: Surveys
    overseer: Overseer
    statistics: Statistics
    tickets: Tickets
    monitor: ConnectionMonitor
    sends: Sends[Coroutine[Any, Any, Sent]]
    questions: Questions
    metrics: CollectorRegistry
    """Of this replica alone; see `fairlead_gateway.admin.metrics`."""
    receipts: Receipts
    leaves: Callable[[], Awaitable[object]]
    """Returns when the replica begins to send its clients elsewhere."""
    readiness: Callable[[], dict[str, bool]]
    """Everything that must be true before clients should be sent here (ADM-5)."""
    alarm: Alarm
    servers: Callable[[], Awaitable[list[Server]]]
    """The servers of Redis, as they are now."""
