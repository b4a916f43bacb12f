"""Errors of Redis, sorted: what passes by itself, and what a caller should be told."""

from __future__ import annotations

from typing import Final

from redis.exceptions import (
    AskError,
    AuthenticationError,
    ClusterDownError,
    ConnectionError,
    NoPermissionError,
    ReadOnlyError,
    RedisError,
    TimeoutError,
    TryAgainError,
)
from tenacity import wait_random_exponential

from fairlead.errors import Conflict, FairleadError, Unavailable
from fairlead.redis.greeting import WrongLayout

ELSEWHERE: Final = (AskError, TryAgainError, ClusterDownError)
"""What a node of a cluster says that does not have the key, or not whole, or not now; it has done nothing."""

AWAY: Final = (ConnectionError, TimeoutError, ReadOnlyError, *ELSEWHERE, OSError)
"""Redis cannot be reached, is starting, is no longer the master, or no longer that of the key."""

BACK_OFF: Final = wait_random_exponential(multiplier=0.05, max=0.5)
"""How long to wait before trying again: the longer it takes, the longer, and never in step with others."""

_FOR_GOOD = (AuthenticationError, NoPermissionError)


def is_passing(error: BaseException) -> bool:
    """Whether trying again a little later makes sense."""
    return isinstance(error, AWAY) and not isinstance(error, _FOR_GOOD)


def unavailable(error: BaseException | None, **detail: object) -> FairleadError:
    """What a caller is told when *error* was the last word."""
    if isinstance(error, WrongLayout):
        return Conflict(str(error))
    if isinstance(error, _FOR_GOOD):
        return Unavailable("Redis does not accept our credentials, or forbids the command", **detail)
    if isinstance(error, RedisError) and not is_passing(error):
        return Unavailable(f"Redis refuses: {str(error)[:200]}", **detail)
    return Unavailable("Redis cannot be reached; try again", **detail)
