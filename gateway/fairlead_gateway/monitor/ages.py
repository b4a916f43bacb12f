"""How old messages are when they are handed on: of some of them, so that handing on costs no more."""

from __future__ import annotations

import time
from typing import Final

from fairlead_gateway.monitor.histograms import Histogram

SAMPLES_PER_SECOND: Final = 100
"""About as many are looked at, however many come."""

OLDEST_SECONDS: Final = 600
"""What claims to be older has an id that only looks like one of ours."""


class Ages:
    """Given message ids, one of each batch; those of version 7 say when the message was made."""

    def __init__(self, histogram: Histogram) -> None:
        self._histogram = histogram
        self._heard = 0
        self._every = self._left = 1

    def __call__(self, id: str) -> None:
        self._heard += 1
        self._left -= 1
        if not self._left:
            self._left = self._every
            if (age := age_ms(id, time.time_ns() // 1000)) is not None:
                self._histogram.add(age)

    def tune(self) -> None:
        """A second has gone by: look at as many of the next as the last makes right."""
        self._every = 1 + self._heard // SAMPLES_PER_SECOND
        self._left = min(self._left, self._every)
        self._heard = 0


def age_ms(id: str, now_us: int) -> float | None:
    """Age of the message *id* at *now_us* (us since the epoch); None if its id does not say so."""
    if len(id) != 36 or id[14] != "7":
        return None
    try:
        made_ms = int(id[:8] + id[9:13], 16)
    except ValueError:
        return None
    age = now_us / 1000 - made_ms
    return age if -OLDEST_SECONDS < age / 1000 < OLDEST_SECONDS else None
