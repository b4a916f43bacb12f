"""News of people: the messages that say who came to a session or left it, and who went online or offline (ST-4)."""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Final, Literal

from fairlead.format.envelope import Envelope
from fairlead.format.messages import push, rfc3339
from fairlead.names import channel, id_of

if TYPE_CHECKING:
    from fairlead.pushes import SessionNews, UserStatus

EVERYBODY: Final = channel("topic", "presence")
"""Where every change of anybody's status is told, to whoever has a claim to that topic."""

SessionEvent = Literal["session_joined", "session_left"]


def session_news(event: SessionEvent, session: str, user_id: str, connection_id: str) -> Envelope:
    """That a user has come to *session*, such as ``session:s1``, or has left it."""
    news: SessionNews = {
        "type": event,
        "user_id": user_id,
        "connection_id": connection_id,
        "session_id": id_of(session),
    }
    return push(news, session, sender=f"user:{user_id}")


def status_news(name: str, user_id: str, last_seen: float | None = None) -> Envelope:
    """
    That a user is online, or was *last_seen* (ms since the epoch) and is offline; for the others in the channel *name*.

    The same departure has the same id, whoever says it.
    """
    exclude = f"user:{user_id}"
    if last_seen is None:
        online: UserStatus = {"type": "user_status_update", "user_id": user_id, "status": "online"}
        return push(online, name, exclude=exclude)
    left: UserStatus = {
        "type": "user_status_update",
        "user_id": user_id,
        "status": "offline",
        "last_seen": moment(last_seen),
    }
    return push(left, name, message_id=_once(user_id, last_seen), exclude=exclude)


def status_line(user_id: str, last_seen: float | None = None) -> bytes:
    """
    As `status_news`, for the topic of everybody: plain JSON, finished by the replicas where somebody listens.

    It is said for everybody who comes and goes, and heard by few.
    """
    if last_seen is None:
        return b'{"type":"user_status_update","user_id":"%b","status":"online"}' % user_id.encode()
    frame = b'{"type":"user_status_update","id":"%b","user_id":"%b","status":"offline","last_seen":"%b"}'
    return frame % (_once(user_id, last_seen).encode(), user_id.encode(), moment(last_seen).encode())


def moment(ms: float) -> str:
    """A time in ms since the epoch, as messages carry it."""
    return rfc3339(datetime.fromtimestamp(ms / 1000, UTC))


def _once(user_id: str, last_seen: float) -> str:
    return f"offline-{sha256(f'{user_id} {last_seen:.0f}'.encode()).hexdigest()[:32]}"
