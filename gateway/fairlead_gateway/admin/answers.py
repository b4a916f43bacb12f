"""What a replica answers when others ask it: one table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from fairlead_gateway.admin import closing, connections, pinging
from fairlead_gateway.admin.surveys import Answer

ANSWERS: Final[Mapping[str, Answer]] = {
    "close": closing.close,
    "connection": connections.connection,
    "connections": connections.connections,
    "ping": pinging.ping,
}
"""By the name of the question."""
