"""What can go wrong, as facts with data. Each error knows the code a client or caller would read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final


class FairleadError(Exception):
    """
    Something that was asked cannot be done; ends as an error frame, a problem document or an exception, never a trace.

    :param message: what was wrong and what to do, in one sentence; may be shown to the sender.
    :param detail: machine-readable facts that go with it.
    """

    code: ClassVar[str] = "internal"

    def __init__(self, message: str, /, **detail: Any) -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail


class InvalidJson(FairleadError):
    """The bytes are not JSON (or msgpack) that every codec can carry."""

    code = "invalid_json"


class InvalidMessage(FairleadError):
    """Well-formed, but not of the right shape."""

    code = "invalid_message"


class UnknownAction(FairleadError):
    code = "unknown_action"


class Unauthorized(FairleadError):
    code = "unauthorized"


class Forbidden(FairleadError):
    code = "forbidden"


class NotFound(FairleadError):
    code = "not_found"


class RateLimited(FairleadError):
    """Too much, too fast; ``detail["retry_ms"]`` says when to come back."""

    code = "rate_limited"


class TooLarge(FairleadError):
    code = "too_large"


class Conflict(FairleadError):
    code = "conflict"


class HandlerTimeout(FairleadError):
    code = "handler_timeout"


class Unavailable(FairleadError):
    """Redis cannot be reached or takes nothing; ``detail["unknown"]`` where it may have stored it. Try again."""

    code = "unavailable"


class ClientError(FairleadError):
    """
    What `fairlead.Client` was told, or found out by itself, where no other class says it: ``code`` does.

    Beside the codes of error frames and the words of closes: ``timeout`` (no answer in time), ``disconnected`` (the
    connection broke before the answer), ``closed`` (the client has ended), ``too_many`` (too much waits), ``no_token``.
    """

    def __init__(self, code: str, message: str, /, **detail: Any) -> None:
        super().__init__(message, **detail)
        self.code = code  # type: ignore[misc] # here it is the gateway that says which


_BY_CODE: Final[Mapping[str, type[FairleadError]]] = {
    error.code: error
    for error in (
        InvalidJson,
        InvalidMessage,
        UnknownAction,
        Unauthorized,
        Forbidden,
        NotFound,
        RateLimited,
        TooLarge,
        Conflict,
        HandlerTimeout,
        Unavailable,
    )
}


def error_of(code: str, message: str, detail: Mapping[str, Any]) -> FairleadError:
    """The error that an error frame, or the word of a close, stands for."""
    known = _BY_CODE.get(code)
    return known(message, **detail) if known else ClientError(code, message, **detail)
