"""A client of a gateway, for Python programs: ``fairlead.Client``, with ``pip install 'fairlead[client]'``."""

from __future__ import annotations

from fairlead.client.client import Client
from fairlead.client.delivery import Messages
from fairlead.client.instance import Instance, InstanceChange
from fairlead.client.questions import Answer, Closed, Question
from fairlead.client.session import Session
from fairlead.client.task import Task
from fairlead.client.tokens import TokenReason, TokenSource
from fairlead.client.told import Frame, Recovery, State, StateChange

__all__ = [
    "Answer",
    "Client",
    "Closed",
    "Frame",
    "Instance",
    "InstanceChange",
    "Messages",
    "Question",
    "Recovery",
    "Session",
    "State",
    "StateChange",
    "Task",
    "TokenReason",
    "TokenSource",
]
