"""From an HTTP request to the checked question of a route, and from its answer to a response."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import structlog
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from fairlead.errors import FairleadError, Forbidden, InvalidMessage, Unauthorized, Unavailable
from fairlead.format.codec import from_json
from fairlead_gateway.access.identity import Identity
from fairlead_gateway.access.roles import rank_of
from fairlead_gateway.rest.api import Api
from fairlead_gateway.rest.intake import JSON, Intake
from fairlead_gateway.rest.problems import Refused, problem, problem_of
from fairlead_gateway.rest.route import Asked, Body, Nothing, Params, Row

log = structlog.get_logger(__name__)

WORK_SECONDS: Final = 8.0
"""How long anybody is served, beside what he wants to wait for; a Redis that hangs is given up earlier by each step."""

MAX_QUERY_BYTES: Final = 8192

MAX_MISTAKES: Final = 1000
"""In one body, that are looked at one by one; the first ten are told."""

LARGE: Final = 64 * 1024
"""Bodies of more bytes are looked at in a thread, so that everybody else is served meanwhile."""


async def serve(api: Api, row: Row, request: Request, intake: Intake) -> Response:
    """Answer *request*, which is for *row*."""
    try:
        asked = await _asked(api, row, request, intake)
        async with asyncio.timeout(WORK_SECONDS + asked.params.patience + asked.body.patience):
            return response(row.status, await row.do(asked))
    except TimeoutError:
        return problem_of(Unavailable(f"it took longer than {WORK_SECONDS:g} s: Redis may not answer; try again"))
    except FairleadError as error:
        return problem_of(error)
    except Refused as refused:
        return refused.problem
    except ClientDisconnect:
        return Response(status_code=400)
    except Exception:
        log.exception("request failed", method=row.method, path=row.path)
        return problem(500, "a fault of ours; it was logged", code="internal")


def response(status: int, answer: BaseModel | None) -> Response:
    """*answer* as JSON; nobody may keep it."""
    headers = {"cache-control": "no-store"}
    if answer is None:
        return Response(status_code=status, headers=headers)
    return Response(answer.model_dump_json(by_alias=True), status, headers, JSON)


async def _asked(api: Api, row: Row, request: Request, intake: Intake) -> Asked[Params, Body]:
    """
    Nothing that was sent is looked at before it is known who sends it.

    :raises Unauthorized: there is no good token.
    :raises Forbidden: its role is of a lower rank.
    :raises FairleadError: what was sent is malformed, or too large.
    :raises Refused: it cannot be read at all.
    """
    identity = await identify(api, request)
    rank = rank_of(identity, api.replica.settings)
    if rank < row.rank:
        raise Forbidden(f"this takes the rank {row.rank.name.lower()}: a token with one of the roles that have it")
    with mistakes_in("parameters"):
        params = row.params.model_validate(_params(row, request))
    if row.body is Nothing:
        return Asked(api, identity, rank, params, Nothing(), intake.left)
    data = await intake.json()
    if len(data) > LARGE:
        return Asked(api, identity, rank, params, await asyncio.to_thread(_body, row, data), intake.left)
    return Asked(api, identity, rank, params, _body(row, data), intake.left)


async def identify(api: Api, request: Request) -> Identity:
    """Whom the token of *request* names."""
    given = request.headers.getlist("authorization")
    scheme, _, token = given[0].partition(" ") if len(given) == 1 else ("", "", "")
    if scheme.lower() != "bearer":
        raise Unauthorized("send one header Authorization: Bearer <token>")
    return await api.replica.verifier.identify(token.strip())


@contextmanager
def mistakes_in(what: str) -> Iterator[None]:
    """
    What pydantic finds wrong in here, as what the caller is told.

    :raises InvalidMessage: says what is wrong, and where.
    """
    try:
        yield
    except ValidationError as error:
        if error.error_count() > MAX_MISTAKES:
            # To tell them all apart would hold up everybody else.
            raise InvalidMessage(f"{what}: {error.error_count()} mistakes") from None
        wrong = [
            {"at": ".".join(map(str, fault["loc"]))[:256] or what, "why": fault["msg"]}
            for fault in error.errors(include_url=False, include_context=False, include_input=False)[:10]
        ]
        first = wrong[0]
        raise InvalidMessage(f"{what}: {first['at']}: {first['why']}", errors=wrong) from None


def _params(row: Row, request: Request) -> Mapping[str, Any]:
    """Path and query; a name that is given several times is a list."""
    if len(request.scope["query_string"]) > MAX_QUERY_BYTES:
        raise InvalidMessage(f"the query is longer than {MAX_QUERY_BYTES} bytes")
    asked: dict[str, list[str]] = {}
    for name, value in request.query_params.multi_items():
        asked.setdefault(name, []).append(value)
    known = row.params.model_fields.keys() - row.in_path
    _refuse_unknown(asked.keys() - known, known, "parameters")
    return {name: some[0] if len(some) == 1 else some for name, some in asked.items()} | request.path_params


def _body(row: Row, data: bytes) -> Body:
    value = from_json(data)
    if isinstance(value, dict):
        fields = row.body.model_fields
        known = fields.keys() | {field.alias for field in fields.values() if field.alias}
        # Otherwise each of a hundred thousand would make an error of its own.
        _refuse_unknown(value.keys() - known, known, "body")
    with mistakes_in("body"):
        # From the bytes, as only then strict means: as JSON has it. True is no number, and a number no text.
        return row.body.model_validate_json(data, strict=True)


def _refuse_unknown(unknown: set[str], known: set[str], what: str) -> None:
    """:raises InvalidMessage: somebody meant something that we do not know; to pass it over would be to mislead."""
    if unknown:
        name = min(unknown)[:64]
        among = f"known are {', '.join(sorted(known))}" if known else "there are none"
        raise InvalidMessage(f"{what}: {name}: unknown; {among}", errors=[{"at": name, "why": f"unknown; {among}"}])
