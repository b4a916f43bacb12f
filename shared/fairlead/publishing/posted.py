"""One message on its way to Redis, and who waits to hear what became of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fairlead.errors import FairleadError
from fairlead.publishing.forms import Form
from fairlead.publishing.outgoing import Outgoing
from fairlead.publishing.sent import Fate, Sent

if TYPE_CHECKING:
    import asyncio


class Posted(Outgoing):
    """A message that somebody waits for."""

    __slots__ = ("answer", "deadline")

    def __init__(
        self,
        id: str,
        partition: int,
        body: bytes,
        form: Form | None,
        deadline: float,
        answer: asyncio.Future[Sent],
    ) -> None:
        super().__init__(id, partition, body, form)
        self.deadline = deadline
        self.answer = answer

    def conclude(self, fate: Fate | FairleadError) -> None:
        super().conclude(fate)
        if self.answer.done():
            return
        if isinstance(fate, FairleadError):
            self.answer.set_exception(fate)
        else:
            self.answer.set_result(Sent(self.id, fate))
