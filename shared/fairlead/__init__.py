"""
Send to users, sessions and topics through Fairlead, from any Python process::

    async with fairlead.connect("redis://127.0.0.1:6379/0") as fl:
        await fl.send_to_user("42", {"type": "report_ready", "content": {"report": 7}})
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from fairlead.errors import (
    ClientError,
    Conflict,
    FairleadError,
    Forbidden,
    InvalidJson,
    InvalidMessage,
    NotFound,
    RateLimited,
    TooLarge,
    Unauthorized,
    Unavailable,
)
from fairlead.version import __version__

if TYPE_CHECKING:
    from fairlead.backend.backend import Backend, connect
    from fairlead.backend.batch import Batch
    from fairlead.backend.sends import Message
    from fairlead.client.client import Client
    from fairlead.client.questions import Answer, Closed, Question
    from fairlead.client.told import Recovery, StateChange
    from fairlead.format.past import Past
    from fairlead.format.position import Position
    from fairlead.publishing.sent import Acknowledger, Sent
    from fairlead.questions.confirmation import (
        Asked,
        Choice,
        Escalation,
        TaskStepResult,
        Unanswered,
        UserConfirmation,
    )
    from fairlead.state.instances import Instance
    from fairlead.state.presence import Member
    from fairlead.state.task import Task
    from fairlead.streams.events import Event
    from fairlead.streams.history import PastConnection
    from fairlead.streams.inbound import Inbound
    from fairlead.sync.backend import SyncBackend, connect_sync

_WHERE = {
    "Acknowledger": "fairlead.publishing.sent",
    "Answer": "fairlead.client.questions",
    "Asked": "fairlead.questions.confirmation",
    "Backend": "fairlead.backend.backend",
    "Batch": "fairlead.backend.batch",
    "Choice": "fairlead.questions.confirmation",
    "Client": "fairlead.client.client",
    "Closed": "fairlead.client.questions",
    "Escalation": "fairlead.questions.confirmation",
    "Event": "fairlead.streams.events",
    "Inbound": "fairlead.streams.inbound",
    "Instance": "fairlead.state.instances",
    "Member": "fairlead.state.presence",
    "Message": "fairlead.backend.sends",
    "Past": "fairlead.format.past",
    "PastConnection": "fairlead.streams.history",
    "Position": "fairlead.format.position",
    "Question": "fairlead.client.questions",
    "Recovery": "fairlead.client.told",
    "Sent": "fairlead.publishing.sent",
    "StateChange": "fairlead.client.told",
    "SyncBackend": "fairlead.sync.backend",
    "Task": "fairlead.state.task",
    "TaskStepResult": "fairlead.questions.confirmation",
    "Unanswered": "fairlead.questions.confirmation",
    "UserConfirmation": "fairlead.questions.confirmation",
    "connect": "fairlead.backend.backend",
    "connect_sync": "fairlead.sync.backend",
}
"""Names that are imported when first used, so that ``import fairlead`` costs nothing where only names are needed."""

__all__ = [
    "Acknowledger",
    "Answer",
    "Asked",
    "Backend",
    "Batch",
    "Choice",
    "Client",
    "ClientError",
    "Closed",
    "Conflict",
    "Escalation",
    "Event",
    "FairleadError",
    "Forbidden",
    "Inbound",
    "Instance",
    "InvalidJson",
    "InvalidMessage",
    "Member",
    "Message",
    "NotFound",
    "Past",
    "PastConnection",
    "Position",
    "Question",
    "RateLimited",
    "Recovery",
    "Sent",
    "StateChange",
    "SyncBackend",
    "Task",
    "TaskStepResult",
    "TooLarge",
    "Unanswered",
    "Unauthorized",
    "Unavailable",
    "UserConfirmation",
    "__version__",
    "connect",
    "connect_sync",
]


def __getattr__(name: str) -> object:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(_WHERE[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
