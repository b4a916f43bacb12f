"""A publisher that leaves a trail: when a message went to Redis, and what Redis said (RT-8)."""

from __future__ import annotations

import asyncio
from functools import partial
from time import time
from typing import Any

from fairlead.envelope import CONTROL, Envelope
from fairlead.errors import FairleadError
from fairlead.publication import Sayable
from fairlead.publisher import Publisher
from fairlead.sent import Sent
from fairlead_gateway.dispatch.trail import Trail


class TracedPublisher(Publisher):
    """As `Publisher`; orders to replicas leave no trail."""

    def __init__(self, *given: Any, trail: Trail, **options: Any) -> None:
        super().__init__(*given, **options)
        self._trail = trail

    def post(self, channel: str, said: Sayable, *, durable: bool | None = None) -> asyncio.Future[Sent]:
        answer = super().post(channel, said, durable=durable)
        if not (isinstance(said, Envelope) and said.flags & CONTROL):
            answer.add_done_callback(partial(self._posted, channel, said.id, time()))
        return answer

    def _posted(self, channel: str, id: str, began: float, answer: asyncio.Future[Sent]) -> None:
        """Before whoever awaits it goes on."""
        if answer.cancelled():
            return
        error = answer.exception()
        if error is None:
            fate = answer.result().fate
            took_ms = round((time() - began) * 1000, 3)
            facts = (fate.offset, fate.epoch, fate.duplicate, fate.receivers, took_ms)
            self._trail.note("published", id, channel, *facts, at=began)
        elif isinstance(error, FairleadError):
            self._trail.note("dropped", id, channel, error.code, error.message)
