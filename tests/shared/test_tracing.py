"""``traceparent`` in and out, with OpenTelemetry and without."""

from __future__ import annotations

import subprocess
import sys

import pytest
from opentelemetry.sdk.trace import TracerProvider

from fairlead import tracing
from fairlead.format.envelope import unseal
from fairlead.format.messages import push

TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

WITHOUT = """
import sys
sys.modules["opentelemetry"] = None
from fairlead import tracing
from fairlead.format.messages import push
assert not tracing.IS_HERE and tracing.current() == ""
with tracing.continued("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"):
    assert push({"type": "x"}, "user:42").trace == ""
import fairlead_gateway.spans
assert fairlead_gateway.spans.spans("r1") is None
"""


def test_a_message_belongs_to_the_span_in_which_it_was_made() -> None:
    tracer = TracerProvider().get_tracer("tests")

    with tracer.start_as_current_span("task") as span:
        envelope = push({"type": "x"}, "user:42")
        given = push({"type": "x"}, "user:42", trace=TRACEPARENT)

    told = span.get_span_context()
    assert envelope.trace == f"00-{told.trace_id:032x}-{told.span_id:016x}-{told.trace_flags:02x}"
    assert unseal(envelope.seal()).envelope.trace == envelope.trace
    assert given.trace == TRACEPARENT
    assert push({"type": "x"}, "user:42").trace == ""


def test_a_trace_is_continued_from_what_somebody_else_said() -> None:
    with tracing.continued(TRACEPARENT):
        assert tracing.current() == TRACEPARENT
    assert tracing.current() == ""


@pytest.mark.parametrize(
    "forged",
    [
        "",
        "x",
        TRACEPARENT + "-more",
        TRACEPARENT.upper(),
        "01" + TRACEPARENT[2:],
        f"00-{'0' * 32}-{'1' * 16}-01",
        f"00-{'1' * 32}-{'0' * 16}-01",
    ],
)
def test_what_is_no_traceparent_is_ignored(forged: str) -> None:
    with tracing.continued(forged):
        assert tracing.current() == ""


def test_without_opentelemetry_nothing_is_traced_and_everything_works() -> None:
    subprocess.run([sys.executable, "-c", WITHOUT], check=True, timeout=60)
