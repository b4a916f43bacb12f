"""The routes of the HTTP interface: one table, one file a subject."""

from __future__ import annotations

from typing import Final

from fairlead_gateway.rest import (
    alerts,
    callers,
    configuration,
    confirmations,
    connections,
    health,
    instances,
    messages,
    notifications,
    people,
    replicas,
    stats,
    steering,
    tasks,
    tickets,
    tokens,
    traces,
    trails,
)
from fairlead_gateway.rest.route import Rows

ROWS: Final[Rows] = (
    *stats.ROWS,
    *replicas.ROWS,
    *connections.ROWS,
    *steering.ROWS,
    *instances.ROWS,
    *people.ROWS,
    *trails.ROWS,
    *configuration.ROWS,
    *messages.ROWS,
    *notifications.ROWS,
    *confirmations.ROWS,
    *tasks.ROWS,
    *tokens.ROWS,
    *health.ROWS,
    *alerts.ROWS,
    *tickets.ROWS,
    *callers.ROWS,
    *traces.ROWS,
)
"""Every route, in the order of the documentation."""
