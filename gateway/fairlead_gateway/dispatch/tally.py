"""What became of gaps, told to the operator once a second: an outage concerns thousands of channels at once."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

log = structlog.get_logger(__name__)

TELL_SECONDS: Final = 1.0
"""How long is counted before a line is written."""


class Tally:
    """Counts since the start, and says how many came lately."""

    def __init__(self) -> None:
        self.repaired = 0
        """Messages that Redis did not bring, or not in time, and the log did."""
        self.broken = 0
        """Times that a channel's history was gone and its members here were told so."""
        self._told = (0, 0)
        self._telling: asyncio.TimerHandle | None = None

    def count(self, *, repaired: int = 0, broken: int = 0) -> None:
        """Add, and have it told soon."""
        self.repaired += repaired
        self.broken += broken
        if (repaired or broken) and self._telling is None:
            self._telling = asyncio.get_running_loop().call_later(TELL_SECONDS, self._tell)

    def _tell(self) -> None:
        self._telling = None
        (repaired, broken), self._told = self._told, (self.repaired, self.broken)
        if self.repaired > repaired:
            log.info("messages read from the log that redis did not bring", messages=self.repaired - repaired)
        if self.broken > broken:
            log.warning("histories are gone, clients reload", channels=self.broken - broken)
