"""Who follows a channel more closely than by its messages: documents, tasks, questions."""

from __future__ import annotations

from typing import Protocol

from fairlead.client.told import Frame, Recovery
from fairlead.errors import FairleadError


class Mirror(Protocol):
    """Somebody who follows a channel more closely than by its messages."""

    @property
    def takes(self) -> bool:
        """Whether it counts as a handler of what it hears."""

    def opened(self) -> None:
        """A connection has been opened again."""

    def heard(self, frame: Frame) -> bool:
        """A message of the channel, in order; whether others may have it, too."""

    def recovered(self, recovery: Recovery) -> None:
        """Whether the channel is whole."""

    def stopped(self, error: FairleadError) -> None:
        """The client will not come back by itself."""
