"""One message on its way to the members of a channel."""

from __future__ import annotations

from typing import NamedTuple

from fairlead.format.envelope import with_offset


class Outgoing(NamedTuple):
    """Finished, so that the same bytes serve everybody."""

    frame: bytes
    """JSON, position included."""

    exclude: str = ""
    """``connection:<id>`` or ``user:<id>`` who must not get it."""

    offset: int = 0
    """0 on ephemeral channels."""

    epoch: str = ""
    id: str = ""

    def is_for(self, connection_id: str, user_id: str) -> bool:
        """Whether this connection of this user may have it."""
        return not self.exclude or self.exclude not in (f"connection:{connection_id}", f"user:{user_id}")

    def stand_in(self, channel: str) -> bytes:
        """What somebody gets who must not have it, so that nobody sees a hole; empty where there are no offsets."""
        return with_offset(b'{"type":"skipped","channel":"%b"}' % channel.encode(), self.offset) if self.offset else b""
