"""How much one connection may send: GCRA, the leaky bucket that needs one number instead of two."""

from __future__ import annotations

from typing import Final

BURST_SECONDS: Final = 4.0
"""A quiet client may send this many seconds' worth at once."""


class Meter:
    """
    Messages, bytes and errors of one connection against their rates.

    Each limit is a *theoretical arrival time*: the moment at which everything spent so far would have been earned at
    the sustained rate. Spending moves it on; a spend that would move it further than the burst ahead is refused.
    """

    __slots__ = ("_bytes_at", "_errors_at", "_messages_at")

    def __init__(self) -> None:
        self._messages_at = 0.0
        self._bytes_at = 0.0
        self._errors_at = 0.0

    def spend(self, now: float, size: int, per_message: float, per_byte: float) -> float:
        """
        Account for one message of *size* bytes; 0, or the seconds to wait when it is too much.

        :param now: monotonic seconds.
        :param per_message: seconds that one message costs (1 / rate); 0 for no limit.
        :param per_byte: seconds that one byte costs; 0 for no limit.
        """
        if not per_message and not per_byte:
            return 0.0
        bytes_cost = per_byte * size
        messages_ahead = max(self._messages_at - now, 0.0) + per_message
        bytes_ahead = max(self._bytes_at - now, 0.0) + bytes_cost
        # What alone costs more than the burst passes once everything before it has been earned.
        messages_excess = messages_ahead - max(BURST_SECONDS, per_message)
        bytes_excess = bytes_ahead - max(BURST_SECONDS, bytes_cost)
        if messages_excess > 0 or bytes_excess > 0:
            return max(messages_excess, bytes_excess)
        self._messages_at = now + messages_ahead
        self._bytes_at = now + bytes_ahead
        return 0.0

    def err(self, now: float, per_minute: int) -> bool:
        """Account for one error; whether there were more than *per_minute* lately."""
        self._errors_at = max(self._errors_at, now) + 60.0 / per_minute
        return self._errors_at - now > 60.0
