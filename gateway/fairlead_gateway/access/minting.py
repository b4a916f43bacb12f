"""Tokens for developers: made with the gateway's own secret, and taken apart to see why one does not work."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import jwt

from fairlead.errors import InvalidMessage
from fairlead.ids import uuid7
from fairlead.names import checked_id
from fairlead_gateway.access.claims import Policy, claims_of, identity_of
from fairlead_gateway.access.identity import NOTHING, Identity
from fairlead_gateway.access.keys import secret_key
from fairlead_gateway.access.rejected import TokenRejected
from fairlead_gateway.access.tokens import TokenVerifier

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_DURATION: Final = re.compile(r"([0-9]{1,9})([smhd]?)")


@dataclass(frozen=True, slots=True)
class Wish:
    """The token that a developer wants."""

    user_id: str
    role: str = ""
    ttl_seconds: int = 3600
    grants: Mapping[str, Sequence[str]] = field(default_factory=lambda: NOTHING)
    """Patterns by claim: ``{"sessions": ["s1", "team-*"]}``."""

    device_id: str = ""
    metadata: Mapping[str, Any] = field(default_factory=lambda: NOTHING)
    audience: str = ""
    issuer: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a token holds, and whether the gateway would let its bearer in."""

    header: Mapping[str, Any]
    claims: Mapping[str, Any]
    identity: Identity | None
    reason: str
    """Why it would not; empty when it would."""

    expired: bool = False


def new_secret() -> str:
    """A secret fit for HS256 and HS384."""
    return secrets.token_urlsafe(48)


def seconds_of(duration: str) -> int:
    """Seconds in ``90``, ``90s``, ``15m``, ``1h`` or ``7d``."""
    found = _DURATION.fullmatch(duration.strip().lower())
    if not found or not int(found[1]):
        raise InvalidMessage("a duration is a number and s, m, h or d, such as 15m or 1h")
    return int(found[1]) * _UNITS[found[2] or "s"]


def mint(secret: str, wish: Wish, now: float | None = None) -> str:
    """
    A token as *wish* describes, signed with *secret*; one that the gateway would refuse is not made.

    :raises UnusableKey: the secret is too short.
    :raises TokenRejected: a claim would be malformed.
    """
    key = secret_key(secret)
    issued_at = int(time.time() if now is None else now)
    claims = _claims(wish, issued_at)
    identity_of(claims, Policy(wish.audience, wish.issuer), issued_at)
    return jwt.encode(claims, secret, algorithm=key.algorithms[0])


async def examine(verifier: TokenVerifier, token: str) -> Finding:
    """
    Take *token* apart, and say whether *verifier* believes it.

    :raises Unavailable: keys are needed and cannot be fetched.
    """
    header, claims = _opened(token)
    try:
        return Finding(header, claims, await verifier.identify(token), "")
    except TokenRejected as rejected:
        return Finding(header, claims, None, rejected.message, rejected.expired)


def _claims(wish: Wish, issued_at: int) -> dict[str, Any]:
    grants = {name: tuple(patterns) for name, patterns in wish.grants.items() if patterns}
    user = checked_id(wish.user_id, "user id")
    identity = Identity(
        user,
        wish.role,
        grants,
        issued_at + wish.ttl_seconds,
        wish.device_id,
        wish.metadata,
        token_id=uuid7(),
        issued_at=issued_at,
    )
    named = {"aud": wish.audience, "iss": wish.issuer}
    return claims_of(identity) | {name: value for name, value in named.items() if value}


def _opened(token: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Header and claims, unverified; empty when there is nothing to read."""
    try:
        parts = jwt.decode_complete(token, options={"verify_signature": False})
    except (jwt.InvalidTokenError, ValueError):
        return NOTHING, NOTHING
    return parts["header"], parts["payload"]
