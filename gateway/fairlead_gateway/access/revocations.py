"""Tokens that were revoked before their end, as this replica knows of them: looked up in memory alone (T5)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from heapq import heappop, heappush
from typing import NamedTuple

from fairlead_gateway.access.identity import Identity
from fairlead_gateway.access.rejected import TokenRejected


class Revocation(NamedTuple):
    """One token, or all tokens of a user that were issued before a moment; times are Unix seconds."""

    id: str
    """The same wherever it is written, however often."""
    token_id: str
    """Its ``jti``; empty where it is about a user."""
    user_id: str
    before: float
    """What was issued earlier is revoked; 0 where it is about one token."""
    until: float
    """When it ends: by then all that it is about have ended themselves."""
    at: float
    """When it was revoked, by the clock of Redis."""
    by: str
    """Who revoked it: a user id."""

    def is_about(self, identity: Identity) -> bool:
        """Whether it revokes the token behind *identity*; one that does not say when it was issued may be older."""
        if self.token_id:
            return identity.token_id == self.token_id
        issued_at = identity.issued_at
        return identity.user_id == self.user_id and (issued_at is None or issued_at < self.before)


class Revocations:
    """All revocations that go on, by token and by user; finding out about an identity is two dictionary lookups."""

    def __init__(self) -> None:
        self._all: dict[str, Revocation] = {}
        self._of_token: dict[str, list[Revocation]] = {}
        self._of_user: dict[str, list[Revocation]] = {}
        self._ends: list[tuple[float, str]] = []
        """A heap of when each ends, and its id."""

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Revocation]:
        return iter(self._all.values())

    def take(self, found: Iterable[Revocation], now: float) -> list[Revocation]:
        """Those of *found* that are news and have not ended; they count from this moment on."""
        news: list[Revocation] = []
        for one in found:
            if one.id not in self._all and one.until > now:
                self._all[one.id] = one
                self._like(one).setdefault(one.token_id or one.user_id, []).append(one)
                heappush(self._ends, (one.until, one.id))
                news.append(one)
        return news

    def forget(self, now: float) -> None:
        """Forget those that have ended."""
        while self._ends and self._ends[0][0] <= now:
            _, id = heappop(self._ends)
            one = self._all.pop(id)
            index, name = self._like(one), one.token_id or one.user_id
            index[name].remove(one)
            if not index[name]:
                del index[name]

    def revokes(self, identity: Identity) -> bool:
        """Whether the token behind *identity* was revoked."""
        if not self._all or identity.anonymous:
            return False
        if identity.token_id and identity.token_id in self._of_token:
            return True
        return any(one.is_about(identity) for one in self._of_user.get(identity.user_id, ()))

    def check(self, identity: Identity) -> None:
        """:raises TokenRejected: the token behind *identity* was revoked."""
        if self.revokes(identity):
            raise TokenRejected("token", "one that is in force", "a revoked one", "log in again", expired=True)

    def _like(self, one: Revocation) -> dict[str, list[Revocation]]:
        return self._of_token if one.token_id else self._of_user
