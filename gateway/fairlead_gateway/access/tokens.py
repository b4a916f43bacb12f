"""Is this token genuine, and whom does it let in."""

from __future__ import annotations

import re
import time
from binascii import Error as NotBase64
from binascii import a2b_base64
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from typing import Any, Final, Self

import orjson

from fairlead_gateway.access.claims import Policy, identity_of
from fairlead_gateway.access.identity import Identity
from fairlead_gateway.access.jwks import Jwks
from fairlead_gateway.access.keys import Key, KeyRing, UnusableKey, public_key, secret_key
from fairlead_gateway.access.rejected import TokenRejected, UnknownKey, shown
from fairlead_gateway.access.remembered import Remembered
from fairlead_gateway.access.revocations import Revocations
from fairlead_gateway.access.service import Service
from fairlead_gateway.settings import Settings

MAX_TOKEN_BYTES: Final = 16 * 1024

_REMEMBERED_TOKENS: Final = 4096
_REMEMBERED_HEADERS: Final = 256

_SHAPE: Final = re.compile(rb"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]*)")
_STANDARD_ALPHABET: Final = bytes.maketrans(b"-_", b"+/")
_WHOLE: Final = "send the whole token and nothing else"
_TYPES: Final = frozenset({"jwt", "at+jwt"})
"""Anything else was signed for another purpose (RFC 8725 §3.11): a logout token lets nobody in."""


class TokenVerifier:
    """
    Turns tokens into identities; `fairlead.errors.Unauthorized` in every case but a good one.

    A token that was believed is remembered by its hash until it ends, unless the keys change before.

    :param revocations: of tokens that are believed no more, looked at each time; None for none.
    """

    def __init__(
        self,
        keys: Iterable[Key],
        policy: Policy,
        jwks: Jwks | None = None,
        revocations: Revocations | None = None,
    ) -> None:
        self._revocations = Revocations() if revocations is None else revocations
        self._ring = KeyRing(keys)
        self._jwks = jwks
        self._policy = policy
        self._believed: Remembered[bytes, Identity] = Remembered(_REMEMBERED_TOKENS)
        self._headers: dict[bytes, tuple[str, Key]] = {}

    @classmethod
    def from_settings(cls, settings: Settings, revocations: Revocations | None = None) -> Self:
        """
        The verifier that the operator asked for.

        :raises ValueError: a key or address cannot be used; says which setting to mend.
        """
        if settings.jwt_public_key and settings.jwt_jwks_url:
            raise UnusableKey("set FAIRLEAD_JWT_PUBLIC_KEY or FAIRLEAD_JWT_JWKS_URL, not both")
        keys = tuple(_static_keys(settings))
        policy = Policy(settings.jwt_audience, settings.jwt_issuer, settings.jwt_leeway_seconds)
        if not settings.jwt_jwks_url:
            return cls(keys, policy, revocations=revocations)
        issuer = Service(settings.jwt_jwks_url, "FAIRLEAD_JWT_JWKS_URL")
        return cls(keys, policy, Jwks(issuer, settings.jwt_algorithms, keys), revocations)

    def verify(self, token: str) -> Identity:
        """
        Whom *token* lets in, by the keys that are known now.

        :raises TokenRejected: what is wrong with it.
        :raises UnknownKey: its key may have been published since; `identify` would look.
        """
        self._follow_keys()
        raw = _ascii(token)
        now = time.time()
        digest = sha256(raw).digest()
        identity = self._believed.get(digest, now)
        if identity is None:
            identity = identity_of(self._claims(raw), self._policy, now)
            if identity.expires_at is not None:
                self._believed.keep(digest, identity, identity.expires_at + self._policy.leeway_seconds)
        self._revocations.check(identity)
        return identity

    async def identify(self, token: str) -> Identity:
        """
        Whom *token* lets in, fetching published keys if it names an unknown one.

        :raises TokenRejected: what is wrong with it.
        :raises Unavailable: published keys are needed and none could ever be fetched.
        """
        if self._jwks is None:
            return self.verify(token)
        self._jwks.renew()
        try:
            return self.verify(token)
        except UnknownKey:
            await self._jwks.refresh()
        return self.verify(token)

    async def aclose(self) -> None:
        """Stop fetching keys."""
        if self._jwks is not None:
            await self._jwks.aclose()

    def _follow_keys(self) -> None:
        """What was believed because of a key that has been withdrawn since is forgotten with it."""
        if self._jwks is not None and self._jwks.ring is not self._ring:
            self._ring = self._jwks.ring
            self._believed.forget()
            self._headers.clear()

    def _claims(self, raw: bytes) -> Mapping[str, Any]:
        segments = _SHAPE.fullmatch(raw)
        if segments is None:
            raise TokenRejected(
                "token", "a JWT of three base64url parts", f"{len(raw)} bytes of something else", _WHOLE
            )
        algorithm, key = self._key_for(segments[1])
        if not key.has_signed(algorithm, raw[: segments.end(2)], _decoded(segments[3], "signature")):
            raise TokenRejected(
                "signature", "one made with our key", "another", "sign with the key that the gateway knows"
            )
        return _object(segments[2], "payload")

    def _key_for(self, header: bytes) -> tuple[str, Key]:
        found = self._headers.get(header)
        if found is None:
            found = self._find_key(_object(header, "header"))
            if len(self._headers) >= _REMEMBERED_HEADERS:
                self._headers.clear()
            self._headers[header] = found
        return found

    def _find_key(self, header: Mapping[str, Any]) -> tuple[str, Key]:
        algorithm, kid = _checked_header(header)
        key = self._ring.find(algorithm, kid)
        if key is not None:
            return algorithm, key
        may_come = self._jwks is not None and self._jwks.may_bring(algorithm)
        if may_come or algorithm in self._ring.algorithms:
            raise UnknownKey("kid", "the name of one of our keys", shown(kid or "nothing"), "sign with a current key")
        raise TokenRejected(
            "alg", _any_of(self._ring.algorithms), shown(algorithm), "sign with the key that the gateway knows"
        )


def _static_keys(settings: Settings) -> Iterator[Key]:
    secret = settings.jwt_secret.get_secret_value()
    if secret:
        yield secret_key(secret, settings.jwt_algorithms)
    if settings.jwt_public_key:
        yield public_key(settings.jwt_public_key, settings.jwt_algorithms)


def _ascii(token: object) -> bytes:
    if not isinstance(token, str):
        raise TokenRejected("token", "a string", type(token).__name__, _WHOLE)
    if len(token) > MAX_TOKEN_BYTES:
        raise TokenRejected("token", f"at most {MAX_TOKEN_BYTES} bytes", f"{len(token)}", "put less into its claims")
    if not token.isascii():
        raise TokenRejected("token", "base64url and dots", "other characters", _WHOLE)
    return token.encode("ascii")


def _decoded(segment: bytes, part: str) -> bytes:
    padding = b"=" * (-len(segment) % 4)
    try:
        return a2b_base64(segment.translate(_STANDARD_ALPHABET) + padding)
    except NotBase64:
        raise TokenRejected(part, "base64url", "a cut or altered one", _WHOLE) from None


def _object(segment: bytes, part: str) -> Mapping[str, Any]:
    try:
        value = orjson.loads(_decoded(segment, part))
    except orjson.JSONDecodeError:
        raise TokenRejected(part, "a JSON object", "something else", _WHOLE) from None
    if not isinstance(value, dict):
        raise TokenRejected(part, "a JSON object", f"a {type(value).__name__}", _WHOLE)
    return value


def _checked_header(header: Mapping[str, Any]) -> tuple[str, str | None]:
    """
    Algorithm and key name. Every other hint at a key (``jku``, ``jwk``, ``x5u``, ``x5c``) is the sender's wish, unread.
    """
    if "crit" in header or "b64" in header:
        raise TokenRejected("crit", "no extensions", shown(header.get("crit", "b64")), "issue a plain JWT")
    algorithm, kid, kind = header.get("alg"), header.get("kid"), header.get("typ", "JWT")
    if not isinstance(algorithm, str):
        raise TokenRejected("alg", "the name of an algorithm", shown(algorithm), "issue a plain JWT")
    if kid is not None and not isinstance(kid, str):
        raise TokenRejected("kid", "a string", shown(kid), "issue a plain JWT")
    if not isinstance(kind, str) or kind.lower().removeprefix("application/") not in _TYPES:
        raise TokenRejected("typ", "JWT or at+jwt", shown(kind), "send an access token")
    return algorithm, kid


def _any_of(algorithms: tuple[str, ...]) -> str:
    return " or ".join(algorithms) or "none, as FAIRLEAD_JWT_SECRET, _PUBLIC_KEY and _JWKS_URL are not set"
