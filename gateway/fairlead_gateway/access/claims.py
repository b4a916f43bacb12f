"""What a token says, once its signature is believed: each claim checked, then made into an `Identity`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from fairlead.names import is_id
from fairlead_gateway.access.identity import CLAIM_OF_KIND, NOTHING, Identity
from fairlead_gateway.access.rejected import TokenRejected, shown

Claims = Mapping[str, Any]
"""The payload of a token: JSON that anybody may have written."""

GRANTS: Final = tuple(CLAIM_OF_KIND.values())

_PATTERN: Final = re.compile(r"[A-Za-z0-9_\-.:@*]{1,128}")
_PATTERN_RULE: Final = "a list of patterns, each 1-128 characters of A-Z a-z 0-9 _ - . : @ and *"
_ID_RULE: Final = "1-128 characters of A-Z a-z 0-9 _ - . : @"
_LATEST_SECONDS: Final = 100_000_000_000
"""The year 5138; a time beyond it was written in milliseconds."""

_MAX_TOKEN_ID: Final = 256

_REISSUE: Final = "issue the token again with that"


@dataclass(frozen=True, slots=True)
class Policy:
    """What the operator demands of every token."""

    audience: str = ""
    """Required in ``aud``; empty when tokens carry none."""

    issuer: str = ""
    """Required ``iss``; empty for any."""

    leeway_seconds: float = 5.0
    """Clock difference that is forgiven."""


def identity_of(claims: Claims, policy: Policy, now: float) -> Identity:
    """
    Whom *claims* describe, at *now* (Unix seconds).

    :raises TokenRejected: the first claim that is missing, malformed, or not as *policy* demands.
    """
    expires_at = _expiry(claims, policy, now)
    _begun(claims, "nbf", policy, now)
    _begun(claims, "iat", policy, now)
    _issuer(claims, policy)
    _audience(claims, policy)
    return Identity(
        user_id=_user(claims),
        role=_text(claims, "role"),
        grants=_grants(claims),
        expires_at=expires_at,
        device_id=_device(claims),
        metadata=_metadata(claims),
        token_id=_text(claims, "jti", _MAX_TOKEN_ID),
        issued_at=_seconds(claims, "iat") if "iat" in claims else None,
    )


def claims_of(identity: Identity) -> dict[str, Any]:
    """The claims that `identity_of` makes *identity* from."""
    grants = {name: list(patterns) for name, patterns in identity.grants.items()}
    optional = {
        "role": identity.role,
        "exp": identity.expires_at,
        "device_id": identity.device_id,
        "metadata": dict(identity.metadata),
        "jti": identity.token_id,
    }
    issued = {} if identity.issued_at is None else {"iat": identity.issued_at}
    told = {name: value for name, value in optional.items() if value}
    return {"sub": identity.user_id} | grants | told | issued


# -- when ----------------------------------------------------------------------------------------


def _seconds(claims: Claims, name: str) -> float:
    value = claims[name]
    if type(value) not in (int, float):
        raise TokenRejected(name, "a number of Unix seconds", shown(value), _REISSUE)
    if not 0 <= value < _LATEST_SECONDS:
        raise TokenRejected(name, "Unix seconds", shown(value), "issue the token with seconds, not milliseconds")
    return float(value)


def _expiry(claims: Claims, policy: Policy, now: float) -> float:
    if "exp" not in claims:
        raise TokenRejected("exp", "a time when the token ends", "nothing", "issue the token with an exp claim")
    ends = _seconds(claims, "exp")
    if ends + policy.leeway_seconds <= now:
        late = f"one that ended {now - ends:.0f} s ago"
        raise TokenRejected("exp", "a token that is still valid", late, "fetch a fresh token", expired=True)
    return ends


def _begun(claims: Claims, name: str, policy: Policy, now: float) -> None:
    if name not in claims:
        return
    ahead = _seconds(claims, name) - now
    if ahead > policy.leeway_seconds:
        raise TokenRejected(
            name, "a time that has come", f"{ahead:.0f} s from now", "compare the clocks of issuer and gateway"
        )


# -- from whom, for whom -------------------------------------------------------------------------


def _issuer(claims: Claims, policy: Policy) -> None:
    if policy.issuer and claims.get("iss") != policy.issuer:
        got = shown(claims.get("iss", "nothing"))
        raise TokenRejected("iss", shown(policy.issuer), got, "use a token of that issuer")


def _audience(claims: Claims, policy: Policy) -> None:
    meant = claims.get("aud", [])
    audiences = [meant] if isinstance(meant, str) else meant
    if not isinstance(audiences, list) or not all(isinstance(audience, str) for audience in audiences):
        raise TokenRejected("aud", "a string or a list of strings", shown(meant), _REISSUE)
    if policy.audience and policy.audience not in audiences:
        raise TokenRejected(
            "aud", shown(policy.audience), shown(meant), "ask the issuer for a token made for this gateway"
        )
    if audiences and not policy.audience:
        # RFC 7519 §4.1.3: who is not among the audience must refuse, and we were never told that we are.
        raise TokenRejected(
            "aud", "none, as no audience is configured", shown(meant), "set FAIRLEAD_JWT_AUDIENCE to it"
        )


# -- who, and what they may do -------------------------------------------------------------------


def _user(claims: Claims) -> str:
    subject = claims.get("sub")
    if not isinstance(subject, str) or not is_id(subject):
        got = shown(subject) if "sub" in claims else "nothing"
        raise TokenRejected("sub", f"the user's id, {_ID_RULE}", got, _REISSUE)
    return subject


def _text(claims: Claims, name: str, most: int = 128) -> str:
    value = claims.get(name, "")
    if not isinstance(value, str) or len(value) > most:
        raise TokenRejected(name, f"a string of at most {most} characters", shown(value), _REISSUE)
    return value


def _device(claims: Claims) -> str:
    device = _text(claims, "device_id")
    if device and not is_id(device):
        raise TokenRejected("device_id", _ID_RULE, shown(device), _REISSUE)
    return device


def _grants(claims: Claims) -> Mapping[str, tuple[str, ...]]:
    return {name: _patterns(name, claims[name]) for name in GRANTS if name in claims} or NOTHING


def _patterns(name: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TokenRejected(name, _PATTERN_RULE, shown(value), _REISSUE)
    for pattern in value:
        if not isinstance(pattern, str) or not _PATTERN.fullmatch(pattern):
            raise TokenRejected(name, _PATTERN_RULE, f"{shown(pattern)} in it", _REISSUE)
    return tuple(value)


def _metadata(claims: Claims) -> Mapping[str, Any]:
    value = claims.get("metadata", NOTHING)
    if not isinstance(value, (dict, MappingProxyType)):
        raise TokenRejected("metadata", "an object", shown(value), _REISSUE)
    return value or NOTHING
