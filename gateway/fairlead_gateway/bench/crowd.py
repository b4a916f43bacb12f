"""All sockets of a run, spread over the workers that hold them."""

from __future__ import annotations

import time
from array import array
from collections import Counter
from collections.abc import Sequence
from typing import Final

from fairlead_gateway.bench.ground import Ground
from fairlead_gateway.bench.load import load
from fairlead_gateway.bench.orders import Begin, Count, Echo, Heard, Hush, Open, Opened, Opening, Tell
from fairlead_gateway.bench.worker import Answer, Order, Worker, deadline_in

_POLL_SECONDS: Final = 0.05
_QUIET_SECONDS: Final = 5.0
_MAX_WORKERS: Final = 4


class Crowd:
    """One face for several workers: what is told to the crowd is told to each, before any is waited for."""

    def __init__(self, workers: Sequence[Worker]) -> None:
        self.workers = workers

    @classmethod
    def of(cls, ground: Ground) -> Crowd:
        """As many workers as there are cores to spare beside Redis and publisher."""
        count = max(1, min(_MAX_WORKERS, len(ground.cores.load) - 1))
        return cls([ground.worker(load, f"load {number}") for number in range(count)])

    def open(self, port: int, openings: Sequence[Opening], seconds: float = 60.0, in_flight: int = 64) -> Opened:
        """Open them all, *in_flight* at a time in each worker."""
        count = len(self.workers)
        orders = [Open(port, list(openings[at::count]), in_flight) for at in range(count)]
        hear = [worker.tell(order) for worker, order in zip(self.workers, orders, strict=True) if order.openings]
        opened = [answer(seconds) for answer in hear]
        latencies = array("q", (latency for part in opened for latency in part.latencies))
        return Opened(latencies, max(part.seconds for part in opened))

    def begin(self, frame_bytes: int) -> None:
        self._ask(Begin(frame_bytes))

    def counts(self) -> list[int]:
        """Messages by socket; sockets are in no particular order."""
        return [count for counts in self._ask(Count()) for count in counts]

    def heard(self) -> Heard:
        parts = self._ask(Tell())
        return Heard(
            counts=[count for part in parts for count in part.counts],
            stray_bytes=sum(part.stray_bytes for part in parts),
            closed=sum((part.closed for part in parts), Counter()),
            latencies=array("q", (latency for part in parts for latency in part.latencies)),
            last_ns=max(part.last_ns for part in parts),
        )

    def wait_for(self, messages: int, seconds: float) -> None:
        """Return when so many have arrived, when nothing arrives any more, or after *seconds*."""
        left, quiet, before = deadline_in(seconds), deadline_in(_QUIET_SECONDS), -1
        while (heard := sum(self.counts())) < messages and left() and quiet():
            if heard != before:
                quiet, before = deadline_in(_QUIET_SECONDS), heard
            time.sleep(_POLL_SECONDS)

    def echo(self, frame: bytes) -> None:
        self._ask(Echo(frame))

    def hush(self) -> None:
        self._ask(Hush())

    def end(self) -> None:
        """Close every socket by ending whoever holds it."""
        for worker in self.workers:
            worker.end()

    def _ask(self, order: Order[Answer]) -> list[Answer]:
        return [answer(10.0) for answer in [worker.tell(order) for worker in self.workers]]
