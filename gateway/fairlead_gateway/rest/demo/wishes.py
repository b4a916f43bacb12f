"""What the demonstration page may ask for."""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeVar

from pydantic import Field, StringConstraints
from starlette.requests import Request

from fairlead.errors import TooLarge
from fairlead_gateway.rest.requests import mistakes_in
from fairlead_gateway.rest.route import Body, Id

MAX_REQUEST_BYTES: Final = 1024

B = TypeVar("B", bound=Body)

People = Annotated[list[Id], Field(min_length=1, max_length=8)]


class Invitation(Body):
    """A token for somebody on the page."""

    user: Id


class Roll(Body):
    """A task that goes from switch to switch, and asks in the middle whether to go on."""

    owner: Id
    watchers: list[Id] = Field([], max_length=8)
    """Others who may watch and answer."""


class Ask(Body):
    """A question to several people, whose first answer counts."""

    people: People
    message: Annotated[str, StringConstraints(min_length=1, max_length=200)] = "Deploy to production?"


class Notify(Body):
    """A notification to somebody."""

    user: Id
    type: Literal["info", "success", "warning", "error", "urgent"] = "info"


class Say(Body):
    """Many messages in a session, one behind the other."""

    session: Id
    count: int = Field(20, ge=1, le=50)


async def wish(request: Request, kind: type[B]) -> B:
    """
    What *request* asks for.

    :raises TooLarge: in too many words.
    :raises InvalidMessage: it is something else, and why.
    """
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_REQUEST_BYTES:
            raise TooLarge(f"the request is longer than {MAX_REQUEST_BYTES} bytes")
    with mistakes_in("body"):
        return kind.model_validate_json(body, strict=True)
