"""Errors of Redis, sorted: what passes by itself, and what a caller should be told."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final

from redis.exceptions import (
    AskError,
    AuthenticationError,
    ClusterDownError,
    ConnectionError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    TimeoutError,
    TryAgainError,
)
from tenacity import wait_random_exponential

from fairlead.errors import Conflict, FairleadError, Unavailable
from fairlead.redis.greeting import WrongLayout

log = logging.getLogger(__name__)


class TooFewCopies(RedisError):
    """Fewer replicas of Redis than asked for have confirmed a message in time."""


ELSEWHERE: Final = (AskError, TryAgainError, ClusterDownError)
"""What a node of a cluster says that does not have the key, or not whole, or not now; it has done nothing."""

AWAY: Final = (ConnectionError, TimeoutError, ReadOnlyError, TooFewCopies, *ELSEWHERE, OSError)
"""Redis cannot be reached, is starting, is no longer the master, or no longer that of the key, or its replicas lag."""

BACK_OFF: Final = wait_random_exponential(multiplier=0.05, max=0.5)
"""How long to wait before trying again: the longer it takes, the longer, and never in step with others."""

_FOR_GOOD = (AuthenticationError, NoPermissionError)
_FORBIDDEN_IN_SCRIPTS = ("ACL failure in script", "The user executing the script can't")


def is_passing(error: BaseException) -> bool:
    """Whether trying again a little later makes sense."""
    return (isinstance(error, AWAY) and not isinstance(error, _FOR_GOOD)) or _lacks_replicas(error)


def unavailable(error: BaseException | None, **detail: object) -> FairleadError:
    """
    What a caller is told when *error* was the last word.

    What it said itself, with the address of Redis, is a note: tracebacks of backends show it, clients never hear it.
    """
    told = _told(error, detail)
    if error is not None and str(error):
        told.add_note(str(error)[:200])
    return told


def _told(error: BaseException | None, detail: Mapping[str, object]) -> FairleadError:
    if isinstance(error, WrongLayout):
        return Conflict(str(error))
    if isinstance(error, RedisError):
        if _is_forbidden(error):
            _report("redis forbids what is needed; ACL LOG there names it, deploy/redis-acl.conf has all", str(error))
        if _is_tls(error):
            _report("redis cannot be reached over TLS", str(error))
        for is_meant, sentence in _SENTENCES:
            if is_meant(error):
                return Unavailable(sentence, **detail)
        if not is_passing(error):
            return Unavailable(f"Redis refuses: {str(error)[:200]}", **detail)
    return Unavailable("Redis cannot be reached; try again", **detail)


def _lacks_replicas(error: BaseException | None) -> bool:
    """Whether the server has fewer good replicas than its own ``min-replicas-to-write``."""
    return str(error).startswith("NOREPLICAS")


def _is_forbidden(error: BaseException) -> bool:
    """Whether our user may not do it, or there is no such user; what a script may not do comes as a plain error."""
    return isinstance(error, _FOR_GOOD) or str(error).startswith(_FORBIDDEN_IN_SCRIPTS)


def _is_tls(error: BaseException) -> bool:
    """Whether one side does not accept the other's certificate, or both have no version of TLS in common."""
    return "[SSL" in str(error)


@lru_cache(maxsize=64)
def _report(what: str, why: str) -> None:
    """Log what waiting does not cure, each sentence once: whoever needs it asks again and again."""
    log.error("%s: %s", what, why[:200])


_SENTENCES: Final[tuple[tuple[Callable[[RedisError], bool], str], ...]] = (
    (_is_forbidden, "Redis does not accept our credentials, or forbids the command"),
    (
        lambda error: isinstance(error, TooFewCopies),
        "stored, but not on enough replicas of Redis; sending it again with the same id is harmless",
    ),
    (_is_tls, "Redis cannot be reached over TLS: a certificate, its host name or who signed it is not accepted"),
    (_lacks_replicas, "Redis takes no writes while it lacks replicas (min-replicas-to-write); try again"),
    (
        lambda error: isinstance(error, OutOfMemoryError),
        "Redis has no memory left (maxmemory), so nothing was stored; try again when there is",
    ),
)
"""Errors of Redis that deserve a sentence of their own."""
