"""Who hears what happens on a link."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from fairlead.client.told import End, Frame, StateChange
from fairlead.errors import FairleadError


class Listener(Protocol):
    """Who hears what happens on a link. None of it may wait."""

    def recover(self) -> Mapping[str, Mapping[str, Any]]:
        """What to come back to."""

    def greeted(self, greeting: Frame) -> None:
        """The connection is open."""

    def heard(self, frame: Frame) -> None:
        """A frame behind the greeting."""

    def broke(self, end: End) -> None:
        """The connection that was open has ended."""

    def changed(self, change: StateChange) -> None:
        """The state of the link is another one."""

    def stopped(self, error: FairleadError) -> None:
        """It will not come back by itself."""

    def failed(self, error: Exception) -> None:
        """Something went wrong that ends nothing."""

    def renew(self, token: str) -> None:
        """Say that there is another token."""

    def passed(self, way: str, frame: Frame) -> None:
        """A frame goes over the wire."""
