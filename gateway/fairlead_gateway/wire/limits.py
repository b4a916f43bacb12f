"""How much one connection may cost."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WireLimits:
    """The bounds that the wire keeps by itself."""

    max_message_bytes: int = 64 * 1024
    """Largest frame, and message, that a client may send."""

    max_outbox_bytes: int = 1024 * 1024
    """How much may wait to be read by the client before its listener is told that it is slow."""

    compression: bool = False
    """Whether permessage-deflate is agreed to."""

    control_frames_per_second: float = 20.0
    """Pings and pongs that a client may keep sending."""

    control_frames_burst: int = 100
    """How many it may send at once."""

    closing_seconds: float = 1.0
    """How long a client may take to finish a close."""
