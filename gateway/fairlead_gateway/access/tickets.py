"""Credentials that open one connection, once and soon: what may stand in a URL, where a token may not."""

from __future__ import annotations

import re
import secrets
import time
from typing import Final

import orjson
from redis.asyncio import Redis

from fairlead.errors import Forbidden
from fairlead.names import Names
from fairlead.redis.shards import Shards, shards_of
from fairlead_gateway.access.asking_redis import asking_redis
from fairlead_gateway.access.claims import Policy, claims_of, identity_of
from fairlead_gateway.access.identity import Identity
from fairlead_gateway.access.rejected import TokenRejected

LIFETIME_SECONDS: Final = 30

_RANDOM_BYTES: Final = 16
_SHAPE: Final = re.compile(r"[A-Za-z0-9_-]{22}")
_REMEDY: Final = "fetch a new one from POST /api/v1/websocket/tickets"


class Tickets:
    """
    Issues and redeems tickets: 128 random bits, 30 s, once, at whichever replica.

    :param leeway_seconds: how long after its token's end a ticket is still taken.
    """

    def __init__(self, redis: Redis | Shards, names: Names, leeway_seconds: float = 5.0) -> None:
        self._shards = shards_of(redis)
        self._names = names
        self._policy = Policy(leeway_seconds=leeway_seconds)

    async def issue(self, identity: Identity) -> str:
        """
        A ticket that lets in whom *identity* describes, no longer than its token would.

        :raises Forbidden: nobody in particular was let in, so there is nothing to carry over.
        :raises Unavailable: Redis cannot be reached.
        """
        if identity.anonymous or identity.expires_at is None:
            raise Forbidden("tickets are for users with a token; connect without one")
        ticket = secrets.token_urlsafe(_RANDOM_BYTES)
        async with asking_redis():
            await self._shards.ask(
                ("SET", self._names.ticket(ticket), orjson.dumps(claims_of(identity)), "EX", LIFETIME_SECONDS)
            )
        return ticket

    async def redeem(self, ticket: str) -> Identity:
        """
        Whom *ticket* lets in; the next one to present it is refused.

        :raises TokenRejected: it is none of ours, was used, or is too old.
        :raises Unavailable: Redis cannot be reached; it may or may not have been used up.
        """
        if not _SHAPE.fullmatch(ticket):
            raise TokenRejected("ticket", "22 characters of base64url", f"{len(ticket)} others", _REMEDY)
        async with asking_redis():
            (kept,) = await self._shards.ask(("GETDEL", self._names.ticket(ticket)))
        if kept is None:
            got = "a used, expired or unknown one"
            raise TokenRejected("ticket", f"one issued in the last {LIFETIME_SECONDS} s", got, _REMEDY, expired=True)
        return identity_of(_claims(kept), self._policy, time.time())


def _claims(kept: bytes | str) -> dict[str, object]:
    try:
        claims = orjson.loads(kept)
    except orjson.JSONDecodeError:
        claims = None
    if not isinstance(claims, dict):
        raise TokenRejected("ticket", "one that the gateway wrote", "a foreign one", _REMEDY)
    return claims
