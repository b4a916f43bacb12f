"""Errors as problem documents (RFC 9457)."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from starlette.responses import JSONResponse

from fairlead.errors import FairleadError
from fairlead_gateway.access.rejected import TokenRejected
from fairlead_gateway.sessions.voice import encode

STATUS: Final[Mapping[str, int]] = {
    "invalid_json": 400,
    "invalid_message": 422,
    "unknown_action": 404,
    "unauthorized": 401,
    "forbidden": 403,
    "not_found": 404,
    "rate_limited": 429,
    "too_large": 413,
    "conflict": 409,
    "duplicate": 409,
    "expired": 410,
    "handler_timeout": 504,
    "unavailable": 503,
    "internal": 500,
}
"""The status of each code of `fairlead.codes.ERRORS`."""

MEDIA_TYPE: Final = "application/problem+json"

RETRY_SECONDS: Final = 1
"""When to come back after a 503."""


class Problem(JSONResponse):
    """A problem document."""

    media_type = MEDIA_TYPE

    def render(self, content: Any) -> bytes:
        return encode(content)


class Refused(Exception):
    """A request that HTTP has a status for and clients on a socket no code; ends as *problem*."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.status_code)
        self.problem = problem


def problem(
    status: int,
    detail: str,
    *,
    code: str = "",
    headers: Mapping[str, str] | None = None,
    more: Mapping[str, Any] | None = None,
) -> Problem:
    """
    *detail* as a document.

    :param code: one of `fairlead.codes.ERRORS`; without one the name of the status stands in its place.
    """
    title = code or HTTPStatus(status).phrase.lower().replace(" ", "_")
    body = {**(more or {}), "type": "about:blank", "title": title, "status": status, "detail": detail}
    return Problem(body, status, {"cache-control": "no-store", **(headers or {})})


def problem_of(error: FairleadError) -> Problem:
    """*error* as a document, with its facts."""
    status = STATUS.get(error.code, 400)
    return problem(status, error.message, code=error.code, headers=_headers(status, error), more=error.detail)


def _headers(status: int, error: FairleadError) -> dict[str, str]:
    if status == 401:
        return {"www-authenticate": 'Bearer error="invalid_token"' if isinstance(error, TokenRejected) else "Bearer"}
    if status == 429:
        return {"retry-after": str(max(1, round(error.detail.get("retry_ms", 0) / 1000)))}
    return {"retry-after": str(RETRY_SECONDS)} if status == 503 else {}
