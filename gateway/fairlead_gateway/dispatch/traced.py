"""A publisher that leaves a trail: when a message went to Redis, and what Redis said (RT-8)."""

from __future__ import annotations

import asyncio
from functools import partial
from time import time
from typing import Any

from fairlead.errors import FairleadError
from fairlead.format.envelope import CONTROL, Envelope
from fairlead.publishing.publication import Sayable
from fairlead.publishing.publisher import Publisher
from fairlead.publishing.sent import Sent
from fairlead_gateway.dispatch.trail import Trail
from fairlead_gateway.spans import Spans


class TracedPublisher(Publisher):
    """As `Publisher`; orders to replicas leave no trail."""

    def __init__(self, *given: Any, trail: Trail, spans: Spans | None = None, **options: Any) -> None:
        super().__init__(*given, **options)
        self._trail = trail
        self._spans = spans

    def post(self, channel: str, said: Sayable, *, durable: bool | None = None) -> asyncio.Future[Sent]:
        if isinstance(said, Envelope):
            if said.flags & CONTROL:
                return super().post(channel, said, durable=durable)
            if said.trace and self._spans is not None:
                return self._within_span(self._spans, channel, said, durable)
        answer = super().post(channel, said, durable=durable)
        answer.add_done_callback(partial(self._posted, channel, said.id, time()))
        return answer

    def _within_span(
        self, spans: Spans, channel: str, envelope: Envelope, durable: bool | None
    ) -> asyncio.Future[Sent]:
        """A message that belongs to a trace: whoever relays it goes on from here."""
        span, traceparent = spans.publish(envelope.trace, channel, envelope.id)
        answer = super().post(channel, envelope._replace(trace=traceparent), durable=durable)
        answer.add_done_callback(partial(self._posted, channel, envelope.id, time()))
        answer.add_done_callback(lambda done: spans.end(span, None if done.cancelled() else done.exception()))
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
