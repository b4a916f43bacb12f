"""What can go wrong, as facts with data. Each error knows the code a client or caller would read."""

from __future__ import annotations

from typing import Any, ClassVar


class FairleadError(Exception):
    """
    Something that was asked cannot be done; ends as an error frame, a problem document or an exception, never a trace.

    :param message: what was wrong and what to do, in one sentence; may be shown to the sender.
    :param detail: machine-readable facts that go with it.
    """

    code: ClassVar[str] = "internal"

    def __init__(self, message: str, **detail: Any) -> None:
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
