"""The routes of the HTTP interface: one table, one file a subject."""

from __future__ import annotations

from typing import Final

from fairlead_gateway.rest import (
    configuration,
    connections,
    instances,
    people,
    replicas,
    stats,
    steering,
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
    *tokens.ROWS,
    *tickets.ROWS,
    *traces.ROWS,
)
"""Every route, in the order of the documentation."""
