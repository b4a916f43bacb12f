"""One trace from the task of a backend through Redis to the sockets, and from a client to whoever answers it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import fairlead
from fairlead import tracing
from fairlead.errors import Forbidden
from fairlead_gateway.spans import spans
from tests.gateway.running import Gateway, serving, settings_for
from tests.support.client import connected
from tests.support.replica import replicas

SECONDS = 10.0


class Seen:
    """A tracer, and what was exported of its spans."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracer = self.provider.get_tracer("tests")

    def of(self, trace_id: int) -> list[ReadableSpan]:
        found = [span for span in self.exporter.get_finished_spans() if span.context.trace_id == trace_id]
        return sorted(found, key=lambda span: span.start_time or 0)

    async def until(self, trace_id: int, *names: str) -> dict[str, ReadableSpan]:
        """Spans of a trace by name, once all *names* are there."""
        async with asyncio.timeout(SECONDS):
            while not set(names) <= {span.name for span in self.of(trace_id)}:
                await asyncio.sleep(0.02)
        return {span.name: span for span in self.of(trace_id)}


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    """As if a tracer provider had been configured for the process."""
    seen = Seen()
    monkeypatch.setattr("opentelemetry.trace.get_tracer_provider", lambda: seen.provider)
    return seen


@pytest.fixture
async def pair(seen: Seen, redis_url: str) -> AsyncIterator[tuple[Gateway, Gateway]]:
    settings = settings_for(redis_url)
    async with serving(settings) as one, serving(settings) as other:
        yield one, other


def parent_of(span: ReadableSpan) -> int:
    assert span.parent is not None
    return int(span.parent.span_id)


async def test_a_backends_span_goes_on_at_the_replica_that_relays(
    seen: Seen, pair: tuple[Gateway, Gateway], redis_url: str
) -> None:
    one, other = pair
    prefix = one.manager.settings.prefix
    client, second = await one.connect("42"), await one.connect("42")
    async with fairlead.connect(redis_url, prefix=prefix, name="worker") as backend:
        with seen.tracer.start_as_current_span("celery task") as task:
            sent = await backend.send_to_user("42", {"type": "hello"})
        await backend.send_to_user("42", {"type": "untraced"})
    await client.hear("untraced")
    await second.hear("untraced")

    found = await seen.until(task.get_span_context().trace_id, "celery task", "relay")

    assert parent_of(found["relay"]) == task.get_span_context().span_id
    attributes = dict(found["relay"].attributes or {})
    assert attributes["messaging.message.id"] == sent.id
    assert attributes["fairlead.replica"] == one.manager.replica_id
    assert [span.name for span in seen.exporter.get_finished_spans()].count("relay") == 1
    assert other.manager.replica_id != one.manager.replica_id


async def test_a_clients_message_is_one_trace_as_far_as_the_backend_that_hears_of_it(
    seen: Seen, pair: tuple[Gateway, Gateway], redis_url: str
) -> None:
    one, other = pair
    ann, bob = await one.connect("ann"), await other.connect("bob")
    await ann.ask("message", to="user:bob", content="hello")
    await bob.hear("new_message")

    async with fairlead.connect(redis_url, prefix=one.manager.settings.prefix, name="bot") as backend:
        async for message in backend.inbound("bots", from_start=True):
            with tracing.continued(message.traceparent), seen.tracer.start_as_current_span("answer") as answer:
                await message.reply({"content": "hello yourself"})
            break
    await ann.hear("new_message")
    found = await seen.until(answer.get_span_context().trace_id, "receive", "publish", "relay", "answer")

    relays = [span for span in seen.of(answer.get_span_context().trace_id) if span.name == "relay"]
    receive, publish = found["receive"], found["publish"]
    assert parent_of(publish) == receive.context.span_id
    assert {parent_of(span) for span in relays} == {publish.context.span_id, answer.get_span_context().span_id}
    assert parent_of(found["answer"]) == receive.context.span_id


async def test_a_handler_is_a_span_and_a_refusal_is_an_error(seen: Seen, redis_url: str) -> None:
    async def refuse(message: dict[str, Any], context: object) -> None:
        raise Forbidden("not today")

    async with serving(settings_for(redis_url)) as gateway:
        gateway.manager.register_handler("open", refuse)
        client = await gateway.connect("42")
        assert (await client.ask("open"))["code"] == "forbidden"

    receive = next(span for span in seen.exporter.get_finished_spans() if span.name == "receive")
    handle = next(span for span in seen.exporter.get_finished_spans() if span.name == "handle")
    assert parent_of(handle) == receive.context.span_id
    assert (receive.status.is_ok, receive.status.description) == (False, "forbidden")
    assert (receive.attributes or {})["user.id"] == "42"


async def test_an_event_names_the_span_in_which_it_happened(
    seen: Seen, pair: tuple[Gateway, Gateway], redis_url: str
) -> None:
    one, _ = pair
    ann = await one.connect("ann")
    async with fairlead.connect(redis_url, prefix=one.manager.settings.prefix, name="bot") as backend:
        await ann.ask("message", to="user:bob", content="hello")
        async for event in backend.events("bots", from_start=True):
            if event.name == "message_received":
                break
    receive = next(span for span in seen.exporter.get_finished_spans() if span.name == "receive")

    assert event.traceparent[3:35] == f"{receive.context.trace_id:032x}"


def test_without_a_provider_there_are_no_spans() -> None:
    assert spans("r1") is None


CONFIGURE = """
import os
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

provider = TracerProvider()
out = open(os.path.join(os.path.dirname(__file__), f"spans-{os.getpid()}"), "a", buffering=1)
formatter = lambda span: f"{span.context.trace_id:032x} {span.name} {span.attributes['fairlead.replica']}\\n"
provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter(out=out, formatter=formatter)))
trace.set_tracer_provider(provider)
"""
"""What ``opentelemetry-instrument`` does, as far as it matters here."""


async def test_one_trace_goes_through_two_replica_processes(
    redis_url: str, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text(CONFIGURE)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    tracer = TracerProvider().get_tracer("tests")

    with replicas(2, redis_url, prefix) as (first, second):
        async with connected(first.url, "42") as one, connected(second.url, "42") as two:
            async with fairlead.connect(redis_url, prefix=prefix, name="worker") as backend:
                with tracer.start_as_current_span("celery task") as task:
                    await backend.send_to_user("42", {"type": "hello"})
            await one.until("hello")
            await two.until("hello")
        trace_id = f"{task.get_span_context().trace_id:032x}"

        def relayed() -> set[str]:
            lines = [line for file in tmp_path.glob("spans-*") for line in file.read_text().splitlines()]
            return {line.split()[2].partition("-")[0] for line in lines if line.startswith(f"{trace_id} relay ")}

        async with asyncio.timeout(SECONDS):
            while relayed() != {"r1", "r2"}:
                await asyncio.sleep(0.05)
