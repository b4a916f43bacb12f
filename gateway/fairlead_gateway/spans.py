"""Spans of a replica for OpenTelemetry, if a tracer provider is configured: receive, handle, publish, relay."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Final

from fairlead import tracing
from fairlead.version import __version__

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

NAME: Final = "fairlead"

LONGEST: Final = 160
"""Characters of any one attribute."""


class Spans:
    """
    Makes the spans of a replica; there is none of these where nobody looks at them (see `spans`).

    Names are few: what a span is about stands in its attributes.
    """

    def __init__(self, tracer: Tracer, replica: str) -> None:
        from opentelemetry.trace import SpanKind, StatusCode

        self._tracer = tracer
        self._kinds = SpanKind
        self._error = StatusCode.ERROR
        self._replica = replica

    def receive(self, action: object, user_id: str, connection_id: str) -> AbstractContextManager[Span]:
        """Round everything that one action of a client is."""
        facts = {"action": str(action)[:LONGEST], "user.id": user_id, "connection_id": connection_id}
        return self._tracer.start_as_current_span("receive", kind=self._kinds.SERVER, attributes=self._told(**facts))

    def handle(self, action: object) -> AbstractContextManager[Span]:
        """Round what a handler of an application does."""
        return self._tracer.start_as_current_span("handle", attributes=self._told(action=str(action)[:LONGEST]))

    def refused(self, code: str) -> None:
        """What is received now ends as an error frame."""
        from opentelemetry.trace import get_current_span

        get_current_span().set_status(self._error, code)

    def publish(self, traceparent: str, channel: str, id: str) -> tuple[Span, str]:
        """A span to be ended when Redis has answered, and its name for whoever relays the message."""
        span = self._tracer.start_span(
            "publish",
            tracing.context_of(traceparent),
            kind=self._kinds.PRODUCER,
            attributes=self._message(channel, id),
        )
        return span, tracing.traceparent_of(span) or traceparent

    def end(self, span: Span, error: BaseException | None) -> None:
        """What was published has been answered, by *error* if it failed."""
        if error is not None:
            span.set_status(self._error, str(error)[:LONGEST])
        span.end()

    def relay(self, channel: str, traced: Iterable[tuple[str, str]], began_ns: int) -> None:
        """Messages, each a ``traceparent`` and an id, were handed to the sockets of *channel* here."""
        for traceparent, id in traced:
            span = self._tracer.start_span(
                "relay",
                tracing.context_of(traceparent),
                kind=self._kinds.CONSUMER,
                attributes=self._message(channel, id),
                start_time=began_ns,
            )
            span.end()

    def _message(self, channel: str, id: str) -> dict[str, Any]:
        facts = {"messaging.destination.name": channel, "messaging.message.id": id[:LONGEST]}
        return self._told(**facts, **{"messaging.system": NAME})

    def _told(self, **facts: str) -> dict[str, Any]:
        return {**facts, "fairlead.replica": self._replica}


def spans(replica: str) -> Spans | None:
    """The spans of *replica*; None unless OpenTelemetry is installed, and a tracer provider was configured by now."""
    if not tracing.IS_HERE:
        return None
    from opentelemetry.trace import ProxyTracerProvider, get_tracer_provider

    provider = get_tracer_provider()
    if isinstance(provider, ProxyTracerProvider):
        return None
    return Spans(provider.get_tracer(NAME, __version__), replica)
