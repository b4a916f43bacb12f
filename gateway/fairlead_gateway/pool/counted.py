"""What is counted where messages are handed to sockets; whoever counts more builds on it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Counted:
    """Since the start of this replica."""

    messages_sent: int = 0
    """Messages of channels handed to sockets, once for each socket; no replies."""
    messages_dropped: int = 0
    """What Redis brought and nobody could read."""
