"""Questions to this user: shown once, answered by what a handler returns, taken back when they are over (Q1 to Q4)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fairlead.client.conversation import Conversation
from fairlead.client.handlers import Off

QuestionHandler = Callable[[Any], object]


class Questions:
    def __init__(self, talk: Conversation) -> None:
        self._talk = talk

    def on(self, handler: QuestionHandler) -> Off:
        return lambda: None
