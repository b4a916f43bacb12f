"""What the routes work with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from fairlead.backend.questions import Questions
from fairlead.backend.sends import Sends
from fairlead.publishing.receipts import Receipts
from fairlead.publishing.sent import Sent
from fairlead_gateway.access.tickets import Tickets
from fairlead_gateway.admin.administration import Administration
from fairlead_gateway.admin.surveys import Surveys
from fairlead_gateway.sessions.replica import Replica


@dataclass(frozen=True, slots=True)
class Api:
    """The parts of a replica that its HTTP interface works with; built once, in `fairlead_gateway.manager`."""

    replica: Replica
    administration: Administration
    tickets: Tickets
    receipts: Receipts
    sends: Sends[Coroutine[Any, Any, Sent]]
    questions: Questions
    leaves: Callable[[], Awaitable[object]]
    """Returns when the replica begins to send its clients elsewhere."""
    readiness: Callable[[], dict[str, bool]]
    """Everything that must be true before clients should be sent here (ADM-5)."""

    @property
    def surveys(self) -> Surveys:
        """What the other replicas are asked with."""
        return self.administration.surveys
