"""``connections``: who is connected, on whichever replica."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Final, Literal

from pydantic import Field, StringConstraints

from fairlead.errors import Forbidden, NotFound, Unavailable
from fairlead.names import FLEET, replica_channel
from fairlead_gateway.access.roles import Rank
from fairlead_gateway.admin.surveys import Found, Survey
from fairlead_gateway.pool.quality import Quality
from fairlead_gateway.rest.api import Api
from fairlead_gateway.rest.findings import read
from fairlead_gateway.rest.route import Asked, Id, Moment, Nothing, Page, Paged, Params, Rows, View, row

ConnectionCursor = Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})?$")]
"""The last connection of the page before: ids tell the time, so that whoever comes meanwhile is on an earlier page."""


class ById(Params):
    """One connection."""

    id: Id


class PagedConnections(Paged):
    """One page of connections, the latest first."""

    cursor: ConnectionCursor = ""
    """That of the page before; empty for the first."""


class Listed(PagedConnections):
    """One page of connections, the latest first, and which of them."""

    user_id: Id = ""
    """Only those of this user."""
    session_id: Id = ""
    """Only those that sit in this session."""
    instance: Id = ""
    """Only those that watch this instance."""
    replica: Id = ""
    """Only those of this replica."""
    q: str = Field("", max_length=128)
    """Only those with this text, small or capital, in the user's id or name, the connection's id, or the address."""

    @property
    def channels(self) -> list[str]:
        """Those that they all hear; the first narrows down most."""
        filters = (("user", self.user_id), ("session", self.session_id), ("instance", self.instance))
        return [f"{kind}:{name}" for kind, name in filters if name]


class OfOne(PagedConnections):
    """One page of the connections of somebody, or in something."""

    id: Id


class Connection(View):
    """A connection (CON-2)."""

    connection_id: str
    user_id: str
    session_id: str | None
    """The session that its messages go to, if they do not say."""
    instance: str | None
    connected_at: Moment
    last_ping: Moment | None
    last_pong: Moment | None
    round_trip_ms: float | None
    """Between the last ping and its pong; null before the first, and while one is awaited."""
    is_alive: bool
    replica: str
    address: str
    metadata: dict[str, Any]
    """What its token says of the user, and the role; in lists no more than fits into 512 bytes."""
    quality: Quality = "unknown"
    """By the last round trip (good up to 150 ms, fair up to 400) and by how late a pong is (2 s, 5 s)."""


class WholeConnection(Connection):
    """A connection, with all that is known of it."""

    channels: list[str] = Field(default_factory=list)
    """What it hears beside what is its own, and everybody's."""
    device_id: str | None = None
    outbox_bytes: int = 0
    """How much waits to be read by the client: how far it is behind."""
    expires_at: Moment | None = None
    """When its token ends."""
    subprotocol: str | None = None
    format: Literal["json", "msgpack"] = "json"
    is_compressed: bool = False


async def list_connections(asked: Asked[Listed, Nothing]) -> Page[Connection]:
    """
    Connections of all replicas, the latest first.

    Somebody who is connected all the time is on exactly one page, however many come and go meanwhile.
    """
    return await _page(asked.api, asked.params)


async def get_connection(asked: Asked[ById, Nothing]) -> WholeConnection:
    """One connection, with all that may be shown of it."""
    id = asked.params.id
    survey = await asked.api.surveys.ask("connection", {"id": id}, of=f"connection:{id}")
    for found in survey.found.values():
        for one in read(WholeConnection, found, "connections"):
            return one
    raise missing(survey, id)


async def list_user_connections(asked: Asked[OfOne, Nothing]) -> Page[Connection]:
    """Connections of one user, the latest first; without a rank one may ask for one's own."""
    if asked.rank < Rank.VIEWER and asked.params.id != asked.identity.user_id:
        raise Forbidden("without the rank viewer you may see your own connections and nobody else's")
    return await _page(asked.api, Listed(user_id=asked.params.id, cursor=asked.params.cursor, limit=asked.params.limit))


async def list_session_connections(asked: Asked[OfOne, Nothing]) -> Page[Connection]:
    """Connections that sit in one session, the latest first."""
    params = asked.params
    return await _page(asked.api, Listed(session_id=params.id, cursor=params.cursor, limit=params.limit))


def missing(survey: Survey, id: str) -> NotFound | Unavailable:
    """Why no replica has told of a connection."""
    if survey.is_complete:
        return NotFound(f"there is no connection {id}")
    return Unavailable(f"the replica that holds connection {id} did not answer in time; try again")


async def _page(api: Api, listed: Listed) -> Page[Connection]:
    """What is looked for, from whoever can know of it."""
    channels = listed.channels
    of = replica_channel(listed.replica) if listed.replica else channels[0] if channels else FLEET
    about = {"channels": channels, "words": listed.q, "before": listed.cursor, "limit": listed.limit}
    survey = await api.surveys.ask("connections", about, of=of)
    items, cursor = merged(survey.found.values(), listed.limit)
    return Page(items=items, cursor=cursor, silent=survey.silent)


def merged(answers: Iterable[Found], limit: int) -> tuple[list[Connection], str]:
    """
    One page of what several replicas have, and its cursor.

    A replica that has more than it told ends the page for all: what others have beyond that would come too early.
    """
    items: list[Connection] = []
    horizon = ""
    is_all = True
    for answer in answers:
        some = read(Connection, answer, "connections")
        items += some
        if answer.get("is_all") is not True and some:
            is_all = False
            horizon = max(horizon, some[-1].connection_id)
    items.sort(key=lambda one: one.connection_id, reverse=True)
    page = [one for one in items if one.connection_id >= horizon][:limit]
    has_more = not is_all or len(page) < len(items)
    return page, page[-1].connection_id if page and has_more else ""


ROWS: Final[Rows] = (
    row("GET", "/connections", Rank.VIEWER, list_connections, params=Listed, answer=Page[Connection]),
    row("GET", "/connections/{id}", Rank.VIEWER, get_connection, params=ById, answer=WholeConnection),
    row(
        *("GET", "/users/{id}/connections", Rank.USER, list_user_connections),
        params=OfOne,
        answer=Page[Connection],
        errors=("forbidden",),
        is_public=True,
    ),
    row(
        "GET",
        "/sessions/{id}/connections",
        Rank.VIEWER,
        list_session_connections,
        params=OfOne,
        answer=Page[Connection],
    ),
)
