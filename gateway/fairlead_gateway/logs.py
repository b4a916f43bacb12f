"""The log: one event a line with its facts, free of secrets and of control characters."""

from __future__ import annotations

import asyncio
import logging
import re
import sys
from collections.abc import Mapping
from contextvars import ContextVar
from functools import lru_cache
from typing import IO, Any, Final

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from fairlead.tracing import current
from fairlead_gateway.settings import Settings

EVENTS: Final[Mapping[str, str]] = {
    "listening": "A replica takes connections; has host, port, process.",
    "connection opened": "A client was greeted; has address.",
    "connection closed": "A greeted connection ended; has code and word (4100 slow_consumer …), reason, seconds.",
    "connection refused": "A client was sent away before it was greeted; has code and word, reason, address.",
    "action refused": "A client got an error frame; has its code (debug).",
    "action failed": "A handler raised, which is a fault; has action and exception.",
    "task failed": "Something of the gateway itself raised, which is a fault; has exception.",
    "request failed": "A route raised, which is a fault; has method, path and exception.",
    "message received": "A client said something; has message_id, channel (debug, as all of its stations).",
    "message published": "Redis took it; has offset, epoch, duplicate, receivers.",
    "message forwarded": "It was written down for backends.",
    "message relayed": "It came from Redis and was handed to the sockets here.",
    "message acknowledged": "A client said that it has it.",
    "message dropped": "Redis did not take it; has code and why.",
    "message left out": "It cannot be written in a client's format: forged past every publisher.",
    "dropped from redis": "What came from Redis is no message; has channel, why, bytes.",
    "redis is not heard any more": "A pub/sub link was lost; has how often since the start.",
    "redis cannot be heard": "It could not be made again; said once an outage.",
    "listening to redis": "It is there.",
    "connected but not fed; connecting anew": "It seemed to be there, and nothing came.",
    "lease not renewed": "Redis does not know that this replica lives; others sweep after it in lease_seconds.",
    "lease taken": "It does.",
    "sweeping after a dead replica": "Another replica died; has which, and how many connections it held.",
    "histories are gone, clients reload": "Redis has forgotten what was said; has how many channels.",
    "messages read from the log that redis did not bring": "Gaps were repaired; has how many messages.",
    "streams cannot be written, and wait": "What backends are told waits for Redis.",
    "entries of streams are lost: Redis is away for too long": "Some of it will never be told.",
    "the event loop stands": "Something blocks it; has where.",
    "draining": "The replica moves its clients elsewhere; has how many, and how long it takes.",
    "stopped": "It has ended as it should.",
}
"""What an operator looks for, by the text of ``event``; a test sees that each of them is said."""

speaking: ContextVar[tuple[str, str] | None] = ContextVar("speaking", default=None)
"""Connection and user of the action that is being done, set once for each task that does actions."""

ACTIONS_OF: Final = "actions of "
"""How those tasks are called, with the id of the connection."""

MAX_TEXT: Final = 256
"""Characters of any one text in the log; what a client sent may be longer."""

MAX_DEPTH: Final = 8
"""Nesting of any one fact; what is deeper is written as text."""

REDACTED: Final = "[redacted]"

SECRET_FIELDS: Final = frozenset(
    {"token", "authorization", "password", "secret", "ticket", "cookie", "jwt_secret", "sec_websocket_protocol"}
)
"""Names whose values are never written, however they are spelled (``Sec-WebSocket-Protocol``)."""

_SECRET_TEXT: Final = re.compile(
    r"(?i:\bbearer[ .]|\b(?:access_token|token|ticket|password|secret)=)[^\s&\"',;]+"
    r"|eyJ[\w-]+\.[\w-]+(?:\.[\w-]*)?"
    r"|(?<=://)[^\s/@:]*:[^\s/@]+(?=@)"
)
"""Credentials inside longer texts: bearer headers, query parameters, anything like a JWT, passwords of URLs."""

_MAY_BE_SECRET: Final = re.compile(r"[ .=/]|eyJ")
"""What none of these is in holds no credential: most texts are ids."""

_BIGGEST: Final = 2**63 - 1
_MULTILINE: Final = frozenset({"exception", "stack"})
_OF_ITS_OWN: Final = _MULTILINE | {"event"}
_NOISY: Final = {"uvicorn": logging.WARNING, "redis": logging.WARNING, "asyncio": logging.WARNING}
_LEVELS: Final = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def printable(text: str, limit: int = MAX_TEXT) -> str:
    """*text* safe for a terminal: control, bidi and other invisible characters escaped, cut at *limit*."""
    if len(text) <= limit and text.isprintable():
        return text
    escaped = "".join(char if char.isprintable() else _escaped(char) for char in text[: limit + 1])
    return escaped if len(escaped) <= limit else escaped[: limit - 1] + "…"


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode()


def without_secrets(text: str) -> str:
    """*text* with whatever looks like a credential taken out."""
    return _SECRET_TEXT.sub(REDACTED, text) if _MAY_BE_SECRET.search(text) else text


@lru_cache(maxsize=256)
def _event(text: str) -> str:
    """The text of an event, which is one of few."""
    return printable(without_secrets(text))


@lru_cache(maxsize=1024)
def _is_secret(name: str) -> bool:
    return name.lower().replace("-", "_") in SECRET_FIELDS


def clean(name: str, value: object, depth: int = 0) -> object:
    """*value* as it may be written under *name*."""
    if _is_secret(name):
        return REDACTED
    if type(value) is str and name not in _OF_ITS_OWN:
        return printable(without_secrets(value))
    match value:
        case None | bool() | float():
            return value
        case int() if -_BIGGEST <= value <= _BIGGEST:
            return value
        case str() if name == "event":
            return _event(value)
        case str() if name in _MULTILINE:
            return "\n".join(printable(without_secrets(line), 4 * MAX_TEXT) for line in value.splitlines())
        case str():
            return printable(without_secrets(value))
        case Mapping() if depth < MAX_DEPTH:
            return {printable(str(key)): clean(str(key), item, depth + 1) for key, item in value.items()}
        case list() | tuple() | set() | frozenset() if depth < MAX_DEPTH:
            return [clean(name, item, depth + 1) for item in value]
        case _:
            return printable(without_secrets(str(value)))


_process: dict[str, str] = {}
"""What every line of this process says."""


def of_replica(id: str) -> None:
    """Have every line of this process, in which one replica runs, say which."""
    _process["replica"] = id


def _told(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """*event* with what is known without being said: the replica, who speaks, and the trace that it belongs to."""
    named = dict(_process)
    if (who := speaking.get()) is not None and _is_done_for(who[0]):
        named |= {"connection_id": who[0], "user_id": who[1]}
    if traceparent := current():
        named["trace_id"] = traceparent[3:35]
    return {**named, **event}


def _is_done_for(connection_id: str) -> bool:
    """Whether the running task does this connection's actions; those that it starts inherit who speaks, and go on."""
    try:
        task = asyncio.current_task()
    except RuntimeError:  # a thread that a handler has started
        return True
    return task is not None and task.get_name() == ACTIONS_OF + connection_id


def _cleaned(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    return {name: value if name.startswith("_") else clean(name, value) for name, value in event.items()}


class _Sink:
    """Where lines go. A stream that is closed, or whose reader went away, must not stop the service: lines are lost."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        try:
            self._stream.write(text)
        except (OSError, ValueError):
            return

    def flush(self) -> None:
        try:
            self._stream.flush()
        except (OSError, ValueError):
            return

    def isatty(self) -> bool:
        return self._stream.isatty()


def _json(event: EventDict, **_options: Any) -> str:
    return orjson.dumps(event, default=str).decode()


def _renderer(settings: Settings, stream: IO[str]) -> Processor:
    terminal = stream.isatty()
    if settings.log_format == "console" or (settings.log_format == "auto" and terminal):
        return structlog.dev.ConsoleRenderer(colors=terminal, exception_formatter=structlog.dev.plain_traceback)
    return structlog.processors.JSONRenderer(serializer=_json)


_SHARED: Final[tuple[Processor, ...]] = (
    structlog.contextvars.merge_contextvars,
    _told,
    structlog.processors.StackInfoRenderer(),
    structlog.processors.format_exc_info,
    _cleaned,
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
)


def configure(settings: Settings, stream: IO[str] | None = None) -> None:
    """Write every log of this process, ours and the libraries', to *stream* (standard output unless given)."""
    stream = stream or sys.stdout
    level, render, sink = _LEVELS[settings.log_level], _renderer(settings, stream), _Sink(stream)
    structlog.configure(
        processors=[*_SHARED, render],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=sink),  # type: ignore[arg-type]
        cache_logger_on_first_use=True,
    )
    _bridge(level, render, sink)


def _bridge(level: int, render: Processor, sink: _Sink) -> None:
    """What libraries say through `logging` takes the same road."""
    handler = logging.StreamHandler(sink)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, structlog.stdlib.ExtraAdder(), *_SHARED],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
        )
    )
    logging.basicConfig(handlers=[handler], level=level, force=True)
    for name, floor in _NOISY.items():
        logging.getLogger(name).setLevel(max(level, floor))
