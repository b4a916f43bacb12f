"""Signing keys that change: fetched from where the issuer publishes them, and used on while it cannot be reached."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Iterable
from typing import Final

import orjson

from fairlead.errors import Unavailable
from fairlead_gateway.access.keys import ASYMMETRIC, Key, KeyRing, UnusableKey, narrowed, published_key
from fairlead_gateway.access.service import Service

log = logging.getLogger(__name__)

COOLDOWN_SECONDS: Final = 30.0
"""However many unknown keys are named, the issuer is asked no more often than this."""

RETRY_SECONDS: Final = 2.0
"""How soon an issuer that did not answer is asked again."""

LIFETIME_SECONDS: Final = 300.0
"""After this a withdrawn key is found out, provided the issuer answers."""


class Jwks:
    """
    The published keys of one issuer, together with keys that are *always* believed.

    At most one fetch is under way; it belongs to this object and ends with `aclose`.
    """

    def __init__(
        self,
        service: Service,
        accepted: Collection[str] = (),
        always: Iterable[Key] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._service = service
        self._accepted = narrowed(sorted(ASYMMETRIC), accepted, "FAIRLEAD_JWT_JWKS_URL")
        self._always = tuple(always)
        self._clock = clock
        self._fetch: asyncio.Task[None] | None = None
        self._has_keys = False
        self._not_before = clock()
        self._stale_at = clock()
        self.ring = KeyRing(self._always)
        """What is believed now; a new object whenever it changes."""

    def may_bring(self, algorithm: str) -> bool:
        """Whether a key of *algorithm* could be published."""
        return algorithm in self._accepted

    def renew(self) -> None:
        """Begin to fetch, without waiting, when the keys are old."""
        if self._clock() >= self._stale_at:
            self._begin()

    async def refresh(self) -> None:
        """
        Fetch now, unless that was done a moment ago.

        :raises Unavailable: no keys were ever fetched.
        """
        self._begin()
        if self._fetch is not None:
            await asyncio.shield(self._fetch)
        if not self._has_keys:
            raise Unavailable("the keys that tokens are signed with cannot be fetched; try again")

    async def aclose(self) -> None:
        """Stop fetching."""
        if self._fetch is not None:
            self._fetch.cancel()
            await asyncio.wait([self._fetch])

    def _begin(self) -> None:
        under_way = self._fetch is not None and not self._fetch.done()
        if not under_way and self._clock() >= self._not_before:
            self._fetch = asyncio.get_running_loop().create_task(self._replace(), name="fetch signing keys")

    async def _replace(self) -> None:
        try:
            published = _keys_of(await self._service.get(), self._accepted)
        except (Unavailable, UnusableKey) as error:
            self._not_before = self._clock() + RETRY_SECONDS
            log.warning("signing keys not fetched", extra={"reason": str(error), "known_keys": self._has_keys})
            return
        self.ring = KeyRing((*self._always, *published))
        self._has_keys = True
        self._not_before = self._clock() + COOLDOWN_SECONDS
        self._stale_at = self._clock() + LIFETIME_SECONDS
        log.info("signing keys fetched", extra={"keys": len(published)})


def _keys_of(document: bytes, accepted: Collection[str]) -> list[Key]:
    """The keys of a JWK set that can be used; a set may hold others, for other purposes."""
    try:
        members = orjson.loads(document)["keys"]
        keys = [key for member in members if (key := _usable(member, accepted))]
    except (ValueError, TypeError, LookupError) as error:
        raise UnusableKey("FAIRLEAD_JWT_JWKS_URL does not answer with a JWK set") from error
    if not keys:
        raise UnusableKey("the JWK set at FAIRLEAD_JWT_JWKS_URL holds no key that can be used")
    return keys


def _usable(member: object, accepted: Collection[str]) -> Key | None:
    if not isinstance(member, dict):
        return None
    try:
        return published_key(member, accepted)
    except UnusableKey as error:
        log.debug("published key passed over", extra={"reason": str(error)})
        return None
