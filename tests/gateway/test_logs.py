"""What the log holds, and what it must never hold."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from fairlead import tracing
from fairlead_gateway import logs
from fairlead_gateway.dispatch.trail import STATIONS
from fairlead_gateway.settings import Settings

CANARY = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI0MiJ9.dGhpcy1pcy1zZWNyZXQ"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Gone(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


def written(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def to_json(level: str = "info") -> io.StringIO:
    stream = io.StringIO()
    logs.configure(Settings.model_validate({"log_format": "json", "log_level": level}), stream)
    return stream


def test_an_event_is_one_line_of_json_with_its_facts() -> None:
    stream = to_json()

    structlog.get_logger().info("connection opened", connection_id="c1", seconds=1.5)

    (line,) = written(stream)
    assert line["event"] == "connection opened"
    assert (line["level"], line["connection_id"], line["seconds"]) == ("info", "c1", 1.5)
    assert str(line["timestamp"]).endswith("Z")


def test_a_pipe_gets_json_and_a_terminal_gets_text() -> None:
    pipe, terminal = io.StringIO(), Terminal()

    for stream in (pipe, terminal):
        logs.configure(Settings(), stream)
        structlog.get_logger().info("listening")

    assert pipe.getvalue().startswith("{")
    assert "listening" in terminal.getvalue() and not terminal.getvalue().startswith("{")


@pytest.mark.parametrize(
    "facts",
    [
        {"token": CANARY},
        {"Authorization": f"Bearer {CANARY}"},
        {"Sec-WebSocket-Protocol": f"fairlead.v1.json, bearer.{CANARY}"},
        {"password": CANARY},
        {"headers": {"authorization": CANARY}},
        {"headers": [("cookie", f"session={CANARY}")]},
        {"url": f"/ws?token={CANARY}&x=1"},
        {"error": ValueError(f"cannot read {CANARY}")},
        {"text": f"Bearer {CANARY}"},
    ],
    ids=lambda facts: next(iter(facts)),
)
def test_a_token_is_never_written_wherever_it_hides(facts: dict[str, object]) -> None:
    stream = to_json()

    structlog.get_logger().warning("refused", **facts)

    assert CANARY not in stream.getvalue()
    assert CANARY.rpartition(".")[2] not in stream.getvalue()
    assert logs.REDACTED in stream.getvalue()


def test_a_token_in_the_traceback_of_an_exception_is_not_written() -> None:
    stream = to_json()

    try:
        raise RuntimeError(f"bad header Bearer {CANARY}")
    except RuntimeError:
        structlog.get_logger().exception("failed")

    (line,) = written(stream)
    assert "RuntimeError" in str(line["exception"])
    assert CANARY not in stream.getvalue()


def test_the_password_of_an_address_is_not_written() -> None:
    stream = to_json()

    structlog.get_logger().info("connecting", url="redis://gateway:hunter2@redis.internal:6379/0")

    assert "hunter2" not in stream.getvalue()
    assert "redis.internal" in stream.getvalue()


def test_what_libraries_log_takes_the_same_road() -> None:
    stream = to_json()

    logging.getLogger("uvicorn.error").warning("GET /ws?token=%s refused", CANARY)

    (line,) = written(stream)
    assert line["logger"] == "uvicorn.error"
    assert CANARY not in stream.getvalue()


def test_the_chatter_of_libraries_is_left_out() -> None:
    stream = to_json()

    logging.getLogger("uvicorn.error").info("connection open")

    assert stream.getvalue() == ""


def test_what_is_below_the_level_is_left_out() -> None:
    stream = to_json("warning")

    structlog.get_logger().info("connection opened")
    structlog.get_logger().warning("redis lost")

    assert [line["event"] for line in written(stream)] == ["redis lost"]


@pytest.mark.parametrize("make", [io.StringIO, Terminal])
def test_a_name_that_would_command_a_terminal_is_escaped(make: type[io.StringIO]) -> None:
    stream = make()
    logs.configure(Settings(), stream)

    structlog.get_logger().info("joined", user="\x1b]0;owned\x07\r\nforged \u202eline\x9b2J")

    assert len(stream.getvalue().splitlines()) == 1
    assert not set("\x07\r\u202e\x9b") & set(stream.getvalue())
    assert "\x1b]" not in stream.getvalue()


def test_long_text_is_cut() -> None:
    stream = to_json()

    structlog.get_logger().info("joined", user="x" * 100_000)

    assert len(str(written(stream)[0]["user"])) == logs.MAX_TEXT


def test_deep_nesting_is_written_as_text() -> None:
    deep: object = {"token": CANARY}
    for _ in range(200):
        deep = [deep]
    stream = to_json()

    structlog.get_logger().info("fact", fact=deep)

    assert len(written(stream)) == 1
    assert CANARY not in stream.getvalue()


def test_a_reader_that_went_away_does_not_stop_the_service() -> None:
    logs.configure(Settings.model_validate({"log_format": "json"}), Gone())

    structlog.get_logger().info("listening")
    logging.getLogger("redis").error("lost")


@hypothesis_settings(deadline=None)
@given(st.text(alphabet=st.characters(), max_size=600))
def test_whatever_a_client_wrote_becomes_short_and_printable(text: str) -> None:
    shown = logs.printable(text)

    assert shown.isprintable()
    assert len(shown) <= logs.MAX_TEXT


@hypothesis_settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_any_fact_can_be_written(fact: object) -> None:
    stream = to_json()

    structlog.get_logger().info("fact", fact=fact)

    assert len(written(stream)) == 1


async def test_lines_of_an_action_say_whose_it_is_and_those_of_what_it_started_do_not() -> None:
    stream = to_json()

    async def say(event: str) -> None:
        structlog.get_logger().info(event)

    async def act() -> None:
        logs.speaking.set(("c1", "42"))
        await say("of the action")
        await asyncio.to_thread(structlog.get_logger().info, "in its thread")
        await asyncio.create_task(say("of a task that lives on"))

    await asyncio.create_task(act(), name=logs.ACTIONS_OF + "c1")
    await say("of nobody")

    told = {str(line["event"]): line.get("connection_id") for line in written(stream)}
    assert told == {
        "of the action": "c1",
        "in its thread": "c1",
        "of a task that lives on": None,
        "of nobody": None,
    }


def test_every_line_of_a_process_with_one_replica_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "_process", {})
    stream = to_json()

    logs.of_replica("r1")
    structlog.get_logger().info("one of ours")
    logging.getLogger("redis").error("one of theirs")

    assert [line["replica"] for line in written(stream)] == ["r1", "r1"]


def test_lines_within_a_span_name_its_trace() -> None:
    stream = to_json()

    with tracing.continued("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"):
        structlog.get_logger().info("traced")
    structlog.get_logger().info("not traced")

    assert [line.get("trace_id") for line in written(stream)] == ["4bf92f3577b34da6a3ce929d0e0e4736", None]


@pytest.mark.parametrize("event", logs.EVENTS)
def test_every_event_that_is_told_of_is_said_somewhere(event: str) -> None:
    said = {station: f"message {station}" for station in STATIONS}
    here = Path(logs.__file__).parent
    sources = "".join(path.read_text() for path in here.rglob("*.py") if path.name != "logs.py")
    named = re.sub(r"^redis|(?<=listening to )redis", "{self._what}", event)

    assert event in said.values() or f'"{named}"' in sources
