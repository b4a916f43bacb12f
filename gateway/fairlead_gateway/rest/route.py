"""A row of the table of routes, and what its function is given."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, Generic, Literal, TypeAlias, TypeVar, cast

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainSerializer, StringConstraints

from fairlead.format.messages import MAX_ID, checked_message_id, rfc3339
from fairlead_gateway.access.identity import Identity
from fairlead_gateway.access.roles import Rank

if TYPE_CHECKING:
    from fairlead_gateway.rest.api import Api

PREFIX: Final = "/api/v1/websocket"
"""Where all routes of the table are."""

MAX_PAGE: Final = 500
"""Items on one page of a list."""

Method: TypeAlias = Literal["GET", "POST", "PUT", "DELETE"]

Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_\-.:@]{1,128}$")]
"""Of a user, session, instance …; see `fairlead.names`."""

MessageId = Annotated[str, StringConstraints(min_length=1, max_length=MAX_ID), AfterValidator(checked_message_id)]
"""Of a message, as its sender chose it; see `fairlead.format.messages`."""

Moment = Annotated[datetime, PlainSerializer(rfc3339, return_type=str, when_used="json")]
"""A time as the protocol writes it: RFC 3339, UTC, milliseconds."""


class Params(BaseModel):
    """What stands in the path and behind the question mark; the names that the path has are the path's."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @property
    def patience(self) -> float:
        """Seconds that the caller wants to wait for something, beyond what the work takes."""
        return 0.0


class Body(BaseModel):
    """What a request says in JSON."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @property
    def patience(self) -> float:
        """As that of `Params`."""
        return 0.0


class View(BaseModel):
    """What a route answers in JSON."""

    model_config = ConfigDict(frozen=True, from_attributes=True)


class Paged(Params):
    """One page of a list."""

    cursor: str = Field("", max_length=256)
    """That of the page before; empty for the first."""
    limit: int = Field(100, ge=1, le=MAX_PAGE)
    """Items on it, at most."""


Item = TypeVar("Item")


class Page(View, Generic[Item]):
    """One page of a list."""

    items: list[Item]
    cursor: str
    """What to ask the next page with; empty when this is the last one."""
    silent: list[str] = []
    """Replicas that did not answer in time: what they hold is not on it."""


class Nothing(Body):
    """No body."""


P = TypeVar("P", bound=Params)
B = TypeVar("B", bound=Body)


@dataclass(frozen=True, slots=True)
class Asked(Generic[P, B]):
    """One request, checked."""

    api: Api
    identity: Identity
    rank: Rank
    params: P
    body: B
    """`Nothing` where the route takes none."""
    left: Callable[[], Awaitable[None]]
    """Returns when the client has left."""


Do: TypeAlias = Callable[[Any], Awaitable[BaseModel | None]]


@dataclass(frozen=True, slots=True)
class Row:
    """One route: all that routing, checking, documenting and testing need to know of it."""

    method: Method
    path: str
    """Below `PREFIX`: ``/connections/{id}``."""
    rank: Rank
    """Who may use it, at least; what they may do with it the function may narrow down."""
    do: Do
    params: type[Params]
    body: type[Body]
    answer: type[BaseModel] | None
    """None for an answer without a body."""
    status: int
    """When all went well."""
    errors: tuple[str, ...]
    """Codes of `fairlead.codes.ERRORS` beyond those that any route may answer."""
    is_public: bool
    """Whether it belongs to clients, not only to operators: served where clients connect, too (T16)."""
    is_wide: bool
    """Whether what stands in its path may hold slashes, as ids of messages do."""

    @property
    def name(self) -> str:
        return cast(str, getattr(self.do, "__name__", "")).replace("_", "-")

    @property
    def summary(self) -> str:
        """The first sentence of the function's docstring."""
        return (self.do.__doc__ or "").strip().partition("\n")[0]

    @property
    def in_path(self) -> frozenset[str]:
        """Names of the parameters that the path holds."""
        return frozenset(re.findall(r"{(\w+)}", self.path))

    @property
    def tag(self) -> str:
        """What it is about: the first word of the path."""
        return self.path.split("/")[1]


def row(
    method: Method,
    path: str,
    rank: Rank,
    do: Callable[[Asked[P, B]], Awaitable[BaseModel | None]],
    *,
    answer: type[BaseModel] | None = None,
    params: type[Params] = Params,
    body: type[Body] = Nothing,
    status: int = 200,
    errors: tuple[str, ...] = (),
    is_public: bool = False,
    is_wide: bool = False,
) -> Row:
    """A row of the table; see `Row`."""
    return Row(method, path, rank, do, params, body, answer, status if answer else 204, errors, is_public, is_wide)


Rows: TypeAlias = tuple[Row, ...]
Found: TypeAlias = Mapping[str, Any]
