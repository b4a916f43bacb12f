"""The routes of the HTTP interface: one table, one file a subject."""

from __future__ import annotations

from typing import Final

from fairlead_gateway.rest import connections, instances, people, replicas, stats, tickets, traces
from fairlead_gateway.rest.route import Rows

ROWS: Final[Rows] = (
    *stats.ROWS,
    *replicas.ROWS,
    *connections.ROWS,
    *instances.ROWS,
    *people.ROWS,
    *tickets.ROWS,
    *traces.ROWS,
)
"""Every route, in the order of the documentation."""
