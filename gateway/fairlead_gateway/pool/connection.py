"""One client of this replica."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from fairlead_gateway.pool.formats import Format
from fairlead_gateway.pool.quality import Quality, quality

if TYPE_CHECKING:
    from collections import deque

    from fairlead_gateway.access.identity import Identity
    from fairlead_gateway.pool.meter import Meter
    from fairlead_gateway.pool.socket import Socket


class Connection:
    """
    A client: who it is, how to write to it, which channels it sits in.

    ``write`` takes finished frames and is called as it is by every fan-out. While a connection is being opened it sits
    in no channel, so that the first thing a client reads is ``connection_established``; see `go_live`.
    """

    __slots__ = (
        "__weakref__",
        "channels",
        "connected_at",
        "expires_at",
        "format",
        "heartbeat_at",
        "id",
        "identity",
        "inbox",
        "instance",
        "is_live",
        "joined",
        "last_ping",
        "last_pong",
        "meter",
        "news",
        "session_id",
        "socket",
        "write",
    )

    def __init__(self, id: str, identity: Identity, socket: Socket, format: Format, meter: Meter, now: float) -> None:
        self.id = id
        self.identity = identity
        self.socket = socket
        self.format = format
        self.meter = meter
        self.write: Callable[[bytes], object] = socket.write
        self.channels: tuple[str, ...] = ()
        """Channels beyond its own two (``user:`` and ``connection:``) and broadcast."""
        self.joined = False
        """Whether it holds a place in the pool: entered, and not yet closed."""
        self.is_live = False
        """Whether it has been greeted; a connection that was refused never is."""
        self.session_id = ""
        """The session that messages without one go to."""
        self.instance = ""
        self.connected_at = now
        """Unix seconds."""
        self.last_ping = 0.0
        self.last_pong = 0.0
        """Unix seconds; 0 for never."""
        self.heartbeat_at = 0
        """The loop second in which the heartbeat looks at it next."""
        self.expires_at = 0
        """The Unix second in which it is closed unless it brings a new token; 0 for never."""
        self.news: Callable[[], None] | None = None
        """Tells of the arrival of its user; called once it is live, or has ended before."""
        self.inbox: deque[dict[str, Any]] | None = None
        """Actions that wait for an earlier one of this client; None while nothing is being done."""

    def go_live(self, first: bytes) -> None:
        """Send *first*, the greeting and what was missed, and write straight to the socket from now on."""
        self.is_live = True
        self.socket.write(first)
        # Looked up behind the first write, with which a socket may change its own.
        self.write = self.socket.write

    def tell_news(self) -> None:
        """Tell of the arrival of its user, if nobody has."""
        news, self.news = self.news, None
        if news is not None:
            news()

    @property
    def user_id(self) -> str:
        return self.identity.user_id

    @property
    def round_trip_ms(self) -> float | None:
        """Time between the last ping and its pong; None before the first."""
        return round((self.last_pong - self.last_ping) * 1000, 3) if self.last_pong >= self.last_ping > 0 else None

    def quality(self, now: float) -> Quality:
        """How good it is at the Unix second *now*."""
        owes = self.last_ping > self.last_pong
        return quality(self.round_trip_ms, now - self.last_ping if owes else 0.0)

    def info(self, replica: str) -> ConnectionInfo:
        """Everything that may be shown about this connection (CON-2)."""
        return ConnectionInfo(
            connection_id=self.id,
            user_id=self.user_id,
            session_id=self.session_id or None,
            instance=self.instance or None,
            connected_at=datetime.fromtimestamp(self.connected_at).astimezone(),
            last_ping=_moment(self.last_ping),
            last_pong=_moment(self.last_pong),
            round_trip_ms=self.round_trip_ms,
            is_alive=self.joined,
            replica=replica,
            address=self.socket.remote,
            metadata={"role": self.identity.role, **self.identity.metadata},
        )


@dataclass(frozen=True, slots=True)
class ConnectionInfo:
    """A connection as administrators and embedding applications see it (CON-2)."""

    connection_id: str
    user_id: str
    session_id: str | None
    instance: str | None
    connected_at: datetime
    last_ping: datetime | None
    last_pong: datetime | None
    round_trip_ms: float | None
    is_alive: bool
    replica: str
    address: str
    metadata: Mapping[str, Any]


def _moment(seconds: float) -> datetime | None:
    return datetime.fromtimestamp(seconds).astimezone() if seconds else None
