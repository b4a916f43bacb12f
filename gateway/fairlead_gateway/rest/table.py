"""The routes of the HTTP interface: one table, one file a subject."""

from __future__ import annotations

from typing import Final

from fairlead_gateway.rest import configuration, connections, steering, tickets, trails
from fairlead_gateway.rest.route import Rows

ROWS: Final[Rows] = (*connections.ROWS, *steering.ROWS, *trails.ROWS, *configuration.ROWS, *tickets.ROWS)
"""Every route, in the order of the documentation."""
