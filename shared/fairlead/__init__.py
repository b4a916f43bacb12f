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
    from fairlead.backend import Backend, connect
    from fairlead.batch import Batch
    from fairlead.client.client import Client
    from fairlead.client.questions import Answer, Closed, Question
    from fairlead.client.told import Recovery, StateChange
    from fairlead.confirmation import Asked, Choice, Escalation, TaskStepResult, Unanswered, UserConfirmation
    from fairlead.events import Event
    from fairlead.history import PastConnection
    from fairlead.inbound import Inbound
    from fairlead.instances import Instance
    from fairlead.past import Past
    from fairlead.position import Position
    from fairlead.presence import Member
    from fairlead.sends import Message
    from fairlead.sent import Acknowledger, Sent
    from fairlead.sync import SyncBackend, connect_sync
    from fairlead.task import Task

_WHERE = {
    "Acknowledger": "fairlead.sent",
    "Answer": "fairlead.client.questions",
    "Asked": "fairlead.confirmation",
    "Backend": "fairlead.backend",
    "Batch": "fairlead.batch",
    "Choice": "fairlead.confirmation",
    "Client": "fairlead.client.client",
    "Closed": "fairlead.client.questions",
    "Escalation": "fairlead.confirmation",
    "Event": "fairlead.events",
    "Inbound": "fairlead.inbound",
    "Instance": "fairlead.instances",
    "Member": "fairlead.presence",
    "Message": "fairlead.sends",
    "Past": "fairlead.past",
    "PastConnection": "fairlead.history",
    "Position": "fairlead.position",
    "Question": "fairlead.client.questions",
    "Recovery": "fairlead.client.told",
    "Sent": "fairlead.sent",
    "StateChange": "fairlead.client.told",
    "SyncBackend": "fairlead.sync",
    "Task": "fairlead.task",
    "TaskStepResult": "fairlead.confirmation",
    "Unanswered": "fairlead.confirmation",
    "UserConfirmation": "fairlead.confirmation",
    "connect": "fairlead.backend",
    "connect_sync": "fairlead.sync",
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
