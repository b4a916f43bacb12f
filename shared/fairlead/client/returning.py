"""When a client comes back after a connection ended, or that it does not (R1, R2)."""

from __future__ import annotations

from random import Random
from typing import Final, NamedTuple

from fairlead import codes
from fairlead.client.told import End

STABLE_SECONDS: Final = 5.0
"""Open for so long, a client is taken to be well: the next back-off begins anew."""

_MAX_DOUBLINGS: Final = 64


class Plan(NamedTuple):
    """What to do after an end."""

    comes_back: bool
    seconds: float = 0.0
    renews: bool = False
    """Whether the token was refused, so that another one is wanted."""


class Returning:
    """
    Counts tries and refusals, and decides by them and the close code; the clock is the caller's.

    :param least: seconds of the first step of the back-off.
    :param most: seconds that it never exceeds.
    :param renews: whether there is somebody to ask for another token.
    """

    def __init__(self, least: float, most: float, *, renews: bool, random: Random | None = None) -> None:
        self._least = least
        self._most = most
        self._renews = renews
        self._random = random or Random()
        self._opened_at: float | None = None
        self._refusals = 0
        self.attempts = 0
        """Tries since the client was last open for `STABLE_SECONDS`."""

    def tries(self) -> None:
        """A try begins."""
        self.attempts += 1

    def opened(self, now: float) -> None:
        """A try has come to a greeting."""
        self._opened_at = now

    def after(self, end: End, now: float) -> Plan:
        """What comes after *end*."""
        if self._opened_at is not None and now - self._opened_at >= STABLE_SECONDS:
            self.attempts = self._refusals = 0
        self._opened_at = None
        then = codes.then(end.code)
        if then == "renew":
            return self._refused()
        self._refusals = 0
        if then == "stop":
            return Plan(comes_back=False)
        if then == "delay" and end.text.isascii() and end.text.isdigit():
            return Plan(comes_back=True, seconds=int(end.text[:9]) / 1000)
        return Plan(comes_back=True, seconds=self._jitter())

    def _refused(self) -> Plan:
        self._refusals += 1
        if not self._renews:
            return Plan(comes_back=False)
        return Plan(comes_back=True, seconds=self._jitter() if self._refusals > 1 else 0.0, renews=True)

    def _jitter(self) -> float:
        return self._random.uniform(0.0, min(self._most, self._least * 2 ** min(self.attempts, _MAX_DOUBLINGS)))
