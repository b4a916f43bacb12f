"""``disconnect`` and ``ping``: what is done to connections, on whichever replica they are."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from fairlead_gateway.access.roles import Rank
from fairlead_gateway.admin.pinging import MAX_SECONDS as MAX_PING_SECONDS
from fairlead_gateway.admin.surveys import ANSWER_SECONDS, Survey
from fairlead_gateway.rest.connections import ById, missing
from fairlead_gateway.rest.findings import read
from fairlead_gateway.rest.route import Asked, B, Body, Id, Nothing, P, Params, Rows, View, row

MAX_USERS: Final = 100
"""Users who may be disconnected at once."""


class Disconnect(Body):
    """How to end a connection."""

    reason: str = Field("", max_length=100)
    """Why, for the client and for the audit trail; of what is no ASCII the client may read less."""
    code: Literal[4003, 4200, 4401] = 4003
    """4003: stay away. 4200: come back at once, perhaps to another replica (the client reads no reason). 4401: come
    back with a new token."""


class DisconnectUsers(Disconnect):
    """Whose connections to end, and how."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": ["user_id"]}, {"required": ["user_ids"]}]})

    user_id: Id = ""
    user_ids: list[Id] = Field([], min_length=1, max_length=MAX_USERS)
    """Several at once, instead of `user_id`."""

    @property
    def users(self) -> list[str]:
        return list(dict.fromkeys(self.user_ids or [self.user_id]))

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if bool(self.user_id) == bool(self.user_ids):
            raise ValueError("send either user_id or user_ids")
        return self


class ClosedConnection(View):
    """A connection that was ended."""

    connection_id: str
    user_id: str
    replica: str


class Closed(View):
    """What was really closed."""

    closed: list[ClosedConnection]
    """At most 2,000 for each user and replica are named."""
    count: int
    """All of them."""
    silent: list[str]
    """Replicas that did not answer in time: what they held may be closed or not."""


class PingUser(Params):
    """Whom to ping, and how long to wait."""

    user_id: Id
    timeout: float = Field(2.0, ge=0.1, le=MAX_PING_SECONDS)
    """Seconds that a connection may take to answer."""

    @property
    def patience(self) -> float:
        return self.timeout


class Pong(View):
    """What came of the ping to one connection."""

    connection_id: str
    replica: str
    round_trip_ms: float | None
    """Null: no answer within the time."""
    is_alive: bool
    """Whether it was still open then."""


class Pongs(View):
    """What came of the pings to all connections of a user."""

    user_id: str
    answers: list[Pong]
    silent: list[str]
    """Replicas that did not answer in time."""


async def disconnect_connection(asked: Asked[ById, Disconnect]) -> Closed:
    """
    End one connection, on whichever replica it is.

    Who, whom and why is written into the audit trail, where it is done.
    """
    id = asked.params.id
    survey = await _close(asked, f"connection:{id}", asked.body)
    closed = _closed([survey])
    if not closed.count:
        raise missing(survey, id)
    return closed


async def disconnect_users(asked: Asked[Params, DisconnectUsers]) -> Closed:
    """
    End all connections of a user, or of several, on all replicas; who has none is no error.

    Who, whom and why is written into the audit trail, where it is done.
    """
    return _closed(await asyncio.gather(*(_close(asked, f"user:{user}", asked.body) for user in asked.body.users)))


async def ping_user(asked: Asked[PingUser, Nothing]) -> Pongs:
    """
    Ping every connection of a user now, on all replicas, and measure the round trips.

    By a protocol ping from the replica that holds it; on another server's sockets by a message ``ping``. The heartbeat
    goes on by itself.
    """
    user_id, seconds = asked.params.user_id, asked.params.timeout
    about = {"user_id": user_id, "seconds": seconds}
    survey = await asked.api.surveys.ask("ping", about, of=f"user:{user_id}", seconds=seconds + ANSWER_SECONDS)
    answers = [pong for found in survey.found.values() for pong in read(Pong, found, "answers")]
    return Pongs(user_id=user_id, answers=answers, silent=survey.silent)


async def _close(asked: Asked[P, B], channel: str, how: Disconnect) -> Survey:
    about = {"channel": channel, "code": how.code, "reason": how.reason, "by": asked.identity.user_id}
    return await asked.api.surveys.ask("close", about, of=channel)


def _closed(surveys: Sequence[Survey]) -> Closed:
    answers = [found for survey in surveys for found in survey.found.values()]
    counts = [found.get("count") for found in answers]
    return Closed(
        closed=[one for found in answers for one in read(ClosedConnection, found, "closed")],
        count=sum(count for count in counts if isinstance(count, int)),
        silent=sorted({replica for survey in surveys for replica in survey.silent}),
    )


ROWS: Final[Rows] = (
    row(
        *("POST", "/connections/{id}/disconnect", Rank.OPERATOR, disconnect_connection),
        params=ById,
        body=Disconnect,
        answer=Closed,
        errors=("not_found",),
    ),
    row(
        *("POST", "/users/disconnect", Rank.OPERATOR, disconnect_users),
        body=DisconnectUsers,
        answer=Closed,
    ),
    row("POST", "/ping/{user_id}", Rank.OPERATOR, ping_user, params=PingUser, answer=Pongs),
)
