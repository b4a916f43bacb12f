"""From an HTTP request to the checked question of a route, and from its answer to a response."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeVar

import structlog
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from fairlead.codec import MAX_BYTES, bounded, from_json
from fairlead.errors import FairleadError, Forbidden, InvalidMessage, TooLarge, Unauthorized
from fairlead_gateway.access.identity import Identity
from fairlead_gateway.access.roles import rank_of
from fairlead_gateway.rest.api import Api
from fairlead_gateway.rest.problems import problem, problem_of
from fairlead_gateway.rest.route import Asked, Body, Nothing, Params, Row

log = structlog.get_logger(__name__)

JSON: Final = "application/json"

Model = TypeVar("Model", bound=BaseModel)


async def serve(api: Api, row: Row, request: Request) -> Response:
    """Answer *request*, which is for *row*."""
    try:
        if row.body is not Nothing and _media_type(request) != JSON:
            return problem(415, f"send the body as {JSON}")
        answer = await row.do(await _asked(api, row, request))
    except FairleadError as error:
        return problem_of(error)
    except ClientDisconnect:
        return Response(status_code=400)
    except Exception:
        log.exception("request failed", method=row.method, path=row.path)
        return problem(500, "a fault of ours; it was logged", code="internal")
    return response(row.status, answer)


def response(status: int, answer: BaseModel | None) -> Response:
    """*answer* as JSON; nobody may keep it."""
    headers = {"cache-control": "no-store"}
    if answer is None:
        return Response(status_code=status, headers=headers)
    return Response(answer.model_dump_json(), status, headers, JSON)


async def _asked(api: Api, row: Row, request: Request) -> Asked[Params, Body]:
    """
    :raises Unauthorized: there is no good token.
    :raises Forbidden: its role is of a lower rank.
    :raises FairleadError: what was sent is malformed, or too large.
    """
    identity = await identify(api, request)
    rank = rank_of(identity, api.replica.settings)
    if rank < row.rank:
        raise Forbidden(f"this takes the rank {row.rank.name.lower()}: a token with one of the roles that have it")
    params = checked(row.params, _params(request), "parameters")
    if row.body is Nothing:
        return Asked(api, identity, rank, params, Nothing())
    return Asked(api, identity, rank, params, checked(row.body, await _body(request), "body"))


async def identify(api: Api, request: Request) -> Identity:
    """Whom the token of *request* names."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        raise Unauthorized("send Authorization: Bearer <token>")
    return await api.replica.verifier.identify(token.strip())


def checked(model: type[Model], value: object, what: str) -> Model:
    """
    *value* as *model*.

    :raises InvalidMessage: it is not of that shape; says what is wrong, and where.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        wrong = [
            {"at": ".".join(map(str, fault["loc"])) or what, "why": fault["msg"]}
            for fault in error.errors(include_url=False, include_context=False, include_input=False)[:10]
        ]
        first = wrong[0]
        raise InvalidMessage(f"{what}: {first['at']}: {first['why']}", errors=wrong) from None


def _params(request: Request) -> Mapping[str, Any]:
    """Path and query; a name that is given several times is a list."""
    asked: dict[str, Any] = {}
    for name in request.query_params:
        values = request.query_params.getlist(name)
        asked[name] = values[0] if len(values) == 1 else values
    return asked | request.path_params


async def _body(request: Request) -> object:
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > MAX_BYTES:
        raise TooLarge(f"the body is {declared} bytes; at most {MAX_BYTES} are allowed", limit=MAX_BYTES)
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        bounded(bytes(data)) if len(data) > MAX_BYTES else None
    return from_json(bytes(data))


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()
