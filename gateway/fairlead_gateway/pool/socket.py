"""What the rest of the gateway needs of one open WebSocket, whoever carries its bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

Owner_contra = TypeVar("Owner_contra", contravariant=True)


class Listener(Protocol[Owner_contra]):
    """
    Who is told what a socket hears. One listener serves every socket; *owner* says which.

    Calls come from the event loop, must not block, and must not raise because of anything a client sent.
    """

    def message(self, owner: Owner_contra, payload: bytes, is_text: bool) -> None:
        """A whole message, defragmented and inflated; text has been checked to be UTF-8."""

    def pong(self, owner: Owner_contra, payload: bytes) -> None:
        """The client's answer to a ping, or an unasked pong."""

    def slow(self, owner: Owner_contra) -> None:
        """More is waiting to be read by the client than the outbox may hold. Said once; writes still work."""

    def flooded(self, owner: Owner_contra) -> None:
        """More control frames than a client may send."""

    def closed(self, owner: Owner_contra, code: int, reason: str) -> None:
        """The end, said exactly once: the client's close code, ours if we closed, 1006 without a close frame."""


class Socket(Protocol):
    """One open WebSocket, detached from the ASGI call that accepted it."""

    write: Callable[[bytes], None]
    """Sends finished server frames (one or many joined); never waits, never raises, ignored after the end."""

    subprotocol: str | None
    """What was agreed in the handshake."""

    deflates: bool
    """Whether permessage-deflate was agreed, so that compressed frames may be written."""

    heard_at: float
    """Loop time (monotonic seconds) of the last bytes from the client."""

    remote: str
    """The client's address, as the proxy in front reported it."""

    echoes_pings: bool
    """Whether a pong brings back what its ping carried; elsewhere it comes as the action ``pong``, without."""

    @property
    def outbox_bytes(self) -> int:
        """How much waits to be read by the client."""

    def attach(self, listener: Listener[Owner_contra], owner: Owner_contra) -> None:
        """
        Say everything to *listener* from now on; what was heard since the accept comes first.

        Another may be attached later and hears the rest. After the end a listener hears ``closed``, and nothing else.
        """

    def ping(self, payload: bytes) -> None:
        """Ask for a pong (payload at most 125 bytes)."""

    def make_room(self, size: int) -> None:
        """
        Let *size* more bytes wait to be read than the outbox may hold: a replay is not the client's slowness.

        Less does not take away what was given before, which may have yet to be read; nor do they add up.
        """

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def close(self, code: int, reason: str = "") -> None:
        """Start the close handshake; a client that does not finish it is cut off after a second."""

    def abort(self) -> None:
        """Cut the connection now."""
