"""Which keys are believed, and for which algorithms: the token never chooses either."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from hmac import compare_digest, digest
from typing import Any, Final

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

PublicKey = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey

MIN_SECRET_BYTES: Final = 32

_SECRET_BYTES: Final = {"HS256": 32, "HS384": 48, "HS512": 64}
"""RFC 7518 §3.2: an HMAC key is at least as long as the digest."""

_DIGESTS: Final = {"HS256": "sha256", "HS384": "sha384", "HS512": "sha512"}

_RSA: Final = ("RS256", "RS384", "RS512")
_CURVES: Final = {"secp256r1": ("ES256",), "secp384r1": ("ES384",), "secp521r1": ("ES512",)}

ASYMMETRIC: Final = frozenset({*_RSA, "ES256", "ES384", "ES512", "EdDSA"})
ALGORITHMS: Final = ASYMMETRIC | _SECRET_BYTES.keys()
"""Every algorithm that can be switched on; ``none`` cannot."""

_VERIFIERS: Final = {name: jwt.get_algorithm_by_name(name) for name in ASYMMETRIC}


class UnusableKey(ValueError):
    """A configured key cannot be used; the message says which setting to mend, never what the key is."""


@dataclass(frozen=True, slots=True)
class Key:
    """One key, and the only algorithms that it may verify."""

    algorithms: tuple[str, ...]
    material: bytes | PublicKey = field(repr=False)
    kid: str | None = None
    """Its name in the headers of tokens; None answers to any name."""

    def has_signed(self, algorithm: str, signed: bytes, signature: bytes) -> bool:
        """Whether *signature* over *signed* was made with this key; *algorithm* is one of `algorithms`."""
        if isinstance(self.material, bytes):
            # In one call of OpenSSL; through PyJWT it costs three times that, for every handshake.
            return compare_digest(digest(self.material, signed, _DIGESTS[algorithm]), signature)
        return bool(_VERIFIERS[algorithm].verify(signed, self.material, signature))


def secret_key(secret: str | bytes, accepted: Collection[str] = ()) -> Key:
    """The key of HS* tokens; *accepted* narrows the algorithms that its length allows."""
    material = secret.encode() if isinstance(secret, str) else secret
    if len(material) < MIN_SECRET_BYTES:
        raise UnusableKey(
            f"FAIRLEAD_JWT_SECRET has {len(material)} bytes and needs {MIN_SECRET_BYTES}; "
            "make one with: python -c 'import secrets; print(secrets.token_urlsafe(48))'"
        )
    if b"-----BEGIN" in material:
        raise UnusableKey("FAIRLEAD_JWT_SECRET holds a PEM; a public key belongs in FAIRLEAD_JWT_PUBLIC_KEY")
    fitting = tuple(name for name, length in _SECRET_BYTES.items() if len(material) >= length)
    return Key(narrowed(fitting, accepted, "FAIRLEAD_JWT_SECRET"), material)


def public_key(pem: str, accepted: Collection[str] = ()) -> Key:
    """The key of RS*, ES* or EdDSA tokens; *accepted* narrows the algorithms of its kind."""
    try:
        material = load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise UnusableKey("FAIRLEAD_JWT_PUBLIC_KEY is not the PEM of a public key (BEGIN PUBLIC KEY)") from None
    fitting = _algorithms_of(material, "FAIRLEAD_JWT_PUBLIC_KEY")
    if not isinstance(material, PublicKey):
        raise UnusableKey("FAIRLEAD_JWT_PUBLIC_KEY is of a kind that signs no tokens")
    return Key(narrowed(fitting, accepted, "FAIRLEAD_JWT_PUBLIC_KEY"), material)


def published_key(jwk: Mapping[str, Any], accepted: Collection[str] = ()) -> Key:
    """
    The key that one member of a JWK set describes.

    :raises UnusableKey: it is secret, not for signatures, malformed, or of no accepted kind.
    """
    purposes = jwk.get("key_ops", ["verify"])
    if jwk.get("use", "sig") != "sig" or not isinstance(purposes, list) or "verify" not in purposes:
        raise UnusableKey("a published key is not for verifying signatures")
    try:
        material = jwt.PyJWK.from_dict({name: value for name, value in jwk.items() if name != "alg"}).key
    except (jwt.PyJWTError, TypeError, ValueError) as error:
        raise UnusableKey(f"a published key cannot be read: {type(error).__name__}") from None
    if not isinstance(material, PublicKey):
        raise UnusableKey("a published key is not a public key")
    fitting = _algorithms_of(material, "a published key")
    named = tuple(name for name in fitting if name == jwk.get("alg", name))
    kid = jwk.get("kid")
    return Key(narrowed(named, accepted, "a published key"), material, kid if isinstance(kid, str) else None)


class KeyRing:
    """The keys that are believed at one moment."""

    __slots__ = ("_by_algorithm",)

    def __init__(self, keys: Iterable[Key]) -> None:
        self._by_algorithm: defaultdict[str, list[Key]] = defaultdict(list)
        for key in keys:
            for name in key.algorithms:
                self._by_algorithm[name].append(key)

    @property
    def algorithms(self) -> tuple[str, ...]:
        """Every algorithm that some key answers to, sorted."""
        return tuple(sorted(self._by_algorithm))

    def find(self, algorithm: str, kid: str | None) -> Key | None:
        """The key called *kid*; without a name on either side, the only one that it can be."""
        candidates = self._by_algorithm.get(algorithm, ())
        named = [key for key in candidates if key.kid is not None and key.kid == kid]
        possible = named or [key for key in candidates if key.kid is None or kid is None]
        return possible[0] if len(possible) == 1 else None


def _algorithms_of(material: object, what: str) -> tuple[str, ...]:
    """The algorithms of one kind of key: what keeps an RSA key from ever being taken for an HMAC secret."""
    match material:
        case RSAPublicKey() if material.key_size >= 2048:
            return _RSA
        case RSAPublicKey():
            raise UnusableKey(f"{what} is an RSA key of {material.key_size} bits and needs 2048")
        case EllipticCurvePublicKey():
            return _CURVES.get(material.curve.name, ())
        case Ed25519PublicKey():
            return ("EdDSA",)
        case _:
            return ()


def narrowed(fitting: Iterable[str], accepted: Collection[str], what: str) -> tuple[str, ...]:
    """Those of *fitting* that are *accepted*; none accepted means all, none left is a mistake in the settings."""
    unknown = sorted(set(accepted) - ALGORITHMS)
    if unknown:
        raise UnusableKey(f"FAIRLEAD_JWT_ALGORITHMS names {', '.join(unknown)}; use {', '.join(sorted(ALGORITHMS))}")
    names = tuple(name for name in fitting if not accepted or name in accepted)
    if not names:
        raise UnusableKey(f"{what} fits none of the accepted algorithms; mend FAIRLEAD_JWT_ALGORITHMS or the key")
    return names
