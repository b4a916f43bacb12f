"""Questions to people, by name: what the asyncio faces of Fairlead share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Unpack

from fairlead.questions.asking import Asks
from fairlead.questions.confirmation import Asked, TaskStepResult, UserConfirmation
from fairlead.questions.question import Policy, Wording, free_question, step_question


class Questions:
    """
    Asking people, and waiting for what they say, from any process; the answer is accepted by any replica (ASK-1).

    A question outlives whoever asked it, the replica and the browser: it is kept in Redis, shown again to whoever
    connects, and asked again under the same ``idempotency_key`` it is the same question. It has one outcome. What
    cannot be asked raises `InvalidMessage` or `TooLarge` at once.
    """

    _asks: Asks
    _policy: Policy
    """What holds for questions that do not say otherwise."""

    async def notify_user(
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
        """
        Show what a step has come to, and wait for whether to go on.

        Without an answer in time it comes to what ``on_timeout`` says; ``status`` and ``by_human`` tell that from an
        answer. The same step with the same result, asked again of the same people, is the same question.

        :param responders: user ids and ``role:<role>`` of those who may answer, the first of whom decides; None for
            the user alone.
        :param message: what is asked; None for the message of the result.
        :raises Unanswered: nobody answered in time, and ``on_timeout`` is ``raise``.
        :raises RateLimited: somebody who is asked has fifty open questions already.
        :raises Unavailable: Redis cannot be reached; asking again finds the same question.
        """
        question = step_question(
            step_result, user_id, task_id, step, self._policy, responders=responders, message=message, **wording
        )
        return await self._asks.ask(question)

    async def ask(
        self, to: str | Sequence[str], message: str, *, task_id: str | int | None = None, **wording: Unpack[Wording]
    ) -> UserConfirmation:
        """
        Ask anything of *to*, user ids and ``role:<role>``: to go on or not, to choose, or to fill in a form.

        Otherwise as `notify_user`; but it is the same question only under the same ``idempotency_key``.

        :param task_id: the task that it belongs to; cancelling the task cancels the question.
        """
        return await self._asks.ask(free_question(to, message, self._policy, task_id=task_id, **wording))

    async def begin_ask(
        self, to: str | Sequence[str], message: str, *, task_id: str | int | None = None, **wording: Unpack[Wording]
    ) -> Asked:
        """As `ask`, without waiting; `answer_to` tells what it has come to."""
        return await self._asks.begin(free_question(to, message, self._policy, task_id=task_id, **wording))

    async def answer_to(self, callback_id: str, *, wait_seconds: float = 0.0) -> UserConfirmation | None:
        """
        What a question has come to, waiting up to *wait_seconds* for it; None while it is open.

        :raises NotFound: it was never asked, or was over more than a day ago.
        :raises Unanswered: as `notify_user`.
        """
        return await self._asks.outcome(callback_id, wait_seconds)

    async def cancel_ask(self, callback_id: str) -> bool:
        """Have a question answered no more, and its dialogs closed everywhere; whether it was still open."""
        return await self._asks.cancel(callback_id)
