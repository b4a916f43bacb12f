"""An issuer of tokens, honest or not."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

SECRET = "correct-horse-battery-staple-0123456789"
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()

_JWK: dict[str, Any] = {
    "RS256": jwt.algorithms.RSAAlgorithm,
    "ES256": jwt.algorithms.ECAlgorithm,
    "EdDSA": jwt.algorithms.OKPAlgorithm,
}


def pem_of(key: PrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def jwk_of(key: PrivateKey, algorithm: str, kid: str, **extra: Any) -> dict[str, Any]:
    return {
        **_JWK[algorithm].to_jwk(key.public_key(), as_dict=True),
        "kid": kid,
        "alg": algorithm,
        "use": "sig",
        **extra,
    }


def good(**claims: Any) -> dict[str, Any]:
    """Claims that let user 42 in for a minute; None takes one away."""
    whole = {"sub": "42", "exp": int(time.time()) + 3600, **claims}
    return {name: value for name, value in whole.items() if value is not None}


def signed(key: PrivateKey | str = SECRET, algorithm: str = "HS256", /, *, headers: Any = None, **claims: Any) -> str:
    """A token that an honest issuer would write."""
    return jwt.encode(good(**claims), key, algorithm=algorithm, headers=headers)


def b64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def forged(header: object, claims: object, secret: bytes = SECRET.encode()) -> str:
    """A token with any header and payload at all, and a true HMAC of *secret* over both."""
    body = f"{b64(json.dumps(header).encode())}.{b64(json.dumps(claims).encode())}"
    return f"{body}.{b64(hmac.digest(secret, body.encode(), hashlib.sha256))}"


def unsigned(header: Mapping[str, Any], claims: Mapping[str, Any]) -> str:
    return f"{b64(json.dumps(header).encode())}.{b64(json.dumps(claims).encode())}."
