"""Traces of OpenTelemetry where that is installed (``fairlead[otel]``), as W3C ``traceparent``; elsewhere nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_TRACEPARENT: Final = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})")

try:
    from opentelemetry import context, trace
except ImportError:
    IS_HERE = False

    def current() -> str:
        """The ``traceparent`` of the current span; empty where there is none."""
        return ""

    @contextmanager
    def continued(traceparent: str) -> Iterator[None]:
        """What is done inside belongs to the trace of *traceparent*; one that is none is ignored."""
        yield

else:
    IS_HERE = True

    def current() -> str:
        """The ``traceparent`` of the current span; empty where there is none."""
        return traceparent_of(trace.get_current_span())

    @contextmanager
    def continued(traceparent: str) -> Iterator[None]:
        """What is done inside belongs to the trace of *traceparent*; one that is none is ignored."""
        token = context.attach(context_of(traceparent))
        try:
            yield
        finally:
            context.detach(token)

    def traceparent_of(span: trace.Span) -> str:
        """How others name *span* as the parent of theirs; empty for one that nobody follows."""
        told = span.get_span_context()
        return f"00-{told.trace_id:032x}-{told.span_id:016x}-{told.trace_flags:02x}" if told.is_valid else ""

    def context_of(traceparent: str) -> context.Context:
        """The context whose span is the one that *traceparent* names; without one, the context of now."""
        parts = _TRACEPARENT.fullmatch(traceparent)
        if parts is None:
            return context.get_current()
        trace_id, span_id, flags = (int(part, 16) for part in parts.groups())
        remote = trace.SpanContext(trace_id, span_id, is_remote=True, trace_flags=trace.TraceFlags(flags))
        return trace.set_span_in_context(trace.NonRecordingSpan(remote))
