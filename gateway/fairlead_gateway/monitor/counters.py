"""What a replica counts: plain integers that only grow, from its start on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from fairlead import codes
from fairlead_gateway.monitor.histograms import Histogram
from fairlead_gateway.pool.counted import Counted

COUNTED: Final = (
    "messages_sent",
    "messages_received",
    "connections_opened",
    "disconnections",
    "errors",
    "slow_consumers",
    "messages_dropped",
)
"""The counters that are one number."""

MEASURED: Final = ("round_trip_ms", "action_ms", "delivery_ms")
"""The histograms."""


_CODES: Final = frozenset((*range(1000, 1016), *(close.code for close in codes.CLOSES)))


@dataclass(slots=True)
class Counters(Counted):
    """Absolute figures since the start of this replica; whoever wants a rate takes the difference of two looks."""

    messages_received: int = 0
    """Messages that clients sent, whatever came of them."""
    connections_opened: int = 0
    """Connections that were greeted."""
    disconnections: int = 0
    """Of those, how many have ended."""
    errors: int = 0
    """Error frames said to clients."""
    slow_consumers: int = 0
    """Connections closed for reading slower than they were written to."""
    closes: dict[int, int] = field(default_factory=dict)
    """Disconnections by close code."""
    round_trip_ms: Histogram = field(default_factory=Histogram)
    """From a ping of the heartbeat to its pong."""
    action_ms: Histogram = field(default_factory=Histogram)
    """From the moment an action of a client is begun to its answer; ``ping`` is answered on the spot, and left out."""
    delivery_ms: Histogram = field(default_factory=Histogram)
    """Age of some messages when they are handed on here; between machines only as true as their clocks."""

    def closed(self, code: int) -> None:
        """Count the end of a connection that had been greeted; codes that clients make up are one, 0."""
        self.disconnections += 1
        self.slow_consumers += code == codes.SLOW_CONSUMER.code
        code = code if code in _CODES else 0
        self.closes[code] = self.closes.get(code, 0) + 1

    def flat(self) -> dict[str, int]:
        """Everything by a name: ``errors``, ``close:1000``, ``action_ms:3`` (a bucket), ``action_ms:sum`` (us)."""
        found = {name: getattr(self, name) for name in COUNTED}
        found.update((f"close:{code}", count) for code, count in self.closes.items())
        for name in MEASURED:
            histogram: Histogram = getattr(self, name)
            found.update((f"{name}:{bucket}", count) for bucket, count in enumerate(histogram.counts) if count)
            if histogram.micros:
                found[f"{name}:sum"] = histogram.micros
        return found
