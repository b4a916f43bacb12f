"""The log: one event a line with its facts, free of secrets and of control characters."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping
from typing import IO, Any, Final

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from fairlead_gateway.settings import Settings

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

_BIGGEST: Final = 2**63 - 1
_MULTILINE: Final = frozenset({"exception", "stack"})
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
    return _SECRET_TEXT.sub(REDACTED, text)


def clean(name: str, value: object, depth: int = 0) -> object:
    """*value* as it may be written under *name*."""
    if name.lower().replace("-", "_") in SECRET_FIELDS:
        return REDACTED
    match value:
        case None | bool() | float():
            return value
        case int() if -_BIGGEST <= value <= _BIGGEST:
            return value
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
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
    structlog.processors.format_exc_info,
    _cleaned,
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
