"""As `fairlead.backend.questions`, blocking."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Unpack

from fairlead.questions.confirmation import Asked, TaskStepResult, UserConfirmation
from fairlead.questions.question import Policy, Wording, free_question, step_question
from fairlead.sync.asking import SyncAsks


class SyncQuestions:
    """As `fairlead.backend.questions.Questions`; threads wait side by side."""

    _asks: SyncAsks
    _policy: Policy
    """What holds for questions that do not say otherwise."""

    def notify_user(
        self,
        step_result: TaskStepResult | Mapping[str, Any],
        user_id: str,
        task_id: str | int,
        step: str | int,
        *,
        responders: Sequence[str] | None = None,
        message: str | None = None,
        **wording: Unpack[Wording],
    ) -> UserConfirmation:
        """As `fairlead.backend.questions.Questions.notify_user`."""
        question = step_question(
            step_result, user_id, task_id, step, self._policy, responders=responders, message=message, **wording
        )
        return self._asks.ask(question)

    def ask(
        self, to: str | Sequence[str], message: str, *, task_id: str | int | None = None, **wording: Unpack[Wording]
    ) -> UserConfirmation:
        """As `fairlead.backend.questions.Questions.ask`."""
        return self._asks.ask(free_question(to, message, self._policy, task_id=task_id, **wording))

    def begin_ask(
        self, to: str | Sequence[str], message: str, *, task_id: str | int | None = None, **wording: Unpack[Wording]
    ) -> Asked:
        """As `fairlead.backend.questions.Questions.begin_ask`."""
        return self._asks.begin(free_question(to, message, self._policy, task_id=task_id, **wording))

    def answer_to(self, callback_id: str, *, wait_seconds: float = 0.0) -> UserConfirmation | None:
        """As `fairlead.backend.questions.Questions.answer_to`."""
        return self._asks.outcome(callback_id, wait_seconds)

    def cancel_ask(self, callback_id: str) -> bool:
        """As `fairlead.backend.questions.Questions.cancel_ask`."""
        return self._asks.cancel(callback_id)
