"""Tokens for developers."""

from __future__ import annotations

import time

import jwt
import pytest

from fairlead.errors import InvalidMessage
from fairlead_gateway.access.claims import Policy
from fairlead_gateway.access.keys import UnusableKey, secret_key
from fairlead_gateway.access.minting import Wish, examine, mint, new_secret, seconds_of
from fairlead_gateway.access.rejected import TokenRejected
from fairlead_gateway.access.tokens import TokenVerifier
from tests.gateway.access.issuer import SECRET, signed


def test_a_minted_token_is_believed_and_says_what_was_wished() -> None:
    wish = Wish(
        "42", "admin", 60, {"sessions": ["s1", "team-*"], "topics": []}, "phone", {"username": "Ada"}, "chat", "me"
    )

    who = TokenVerifier([secret_key(SECRET)], Policy("chat", "me")).verify(mint(SECRET, wish))

    assert (who.user_id, who.role, who.device_id, who.metadata) == ("42", "admin", "phone", {"username": "Ada"})
    assert who.grants == {"sessions": ("s1", "team-*")}
    assert who.expires_at == pytest.approx(time.time() + 60, abs=5)


def test_a_minted_token_holds_only_what_was_wished() -> None:
    claims = jwt.decode(mint(SECRET, Wish("42", ttl_seconds=60), now=time.time()), SECRET, ["HS256"])

    assert claims.keys() == {"sub", "exp", "iat", "jti"}


@pytest.mark.parametrize(
    "wish", [Wish("a b"), Wish(""), Wish("42", grants={"sessions": ["[x]"]}), Wish("42", device_id="/")]
)
def test_a_token_that_would_be_refused_is_not_made(wish: Wish) -> None:
    with pytest.raises((InvalidMessage, TokenRejected)):
        mint(SECRET, wish)


def test_a_short_secret_signs_nothing() -> None:
    with pytest.raises(UnusableKey, match="needs 32"):
        mint("short", Wish("42"))


def test_a_new_secret_is_long_enough_and_never_the_same() -> None:
    first, second = new_secret(), new_secret()

    assert first != second
    assert secret_key(first).algorithms == ("HS256", "HS384", "HS512")


@pytest.mark.parametrize(
    ("duration", "seconds"), [("90", 90), ("90s", 90), ("15m", 900), ("1h", 3600), ("7d", 604_800), (" 2H ", 7200)]
)
def test_durations_are_a_number_and_a_unit(duration: str, seconds: int) -> None:
    assert seconds_of(duration) == seconds


@pytest.mark.parametrize("duration", ["", "0", "0h", "-1h", "1.5h", "1w", "h", "1h30m", "9999999999s", "١h"])
def test_other_durations_are_refused(duration: str) -> None:
    with pytest.raises(InvalidMessage, match="such as 15m"):
        seconds_of(duration)


async def test_a_good_token_is_taken_apart_and_found_good() -> None:
    finding = await examine(TokenVerifier([secret_key(SECRET)], Policy()), signed(role="x"))

    assert finding.reason == "" and finding.identity is not None
    assert (finding.header["alg"], finding.claims["role"], finding.identity.role) == ("HS256", "x", "x")


async def test_a_bad_token_is_taken_apart_all_the_same_and_the_reason_given() -> None:
    finding = await examine(
        TokenVerifier([secret_key(SECRET)], Policy()), signed("another-secret-that-is-long-enough!")
    )

    assert finding.identity is None and finding.reason.startswith("signature: expected one made with our key")
    assert finding.claims["sub"] == "42" and not finding.expired


@pytest.mark.parametrize("token", ["", "hello", "a.b.c", "é", "\ud800"])
async def test_what_is_no_token_has_no_parts(token: str) -> None:
    finding = await examine(TokenVerifier([secret_key(SECRET)], Policy()), token)

    assert (dict(finding.header), dict(finding.claims), finding.identity) == ({}, {}, None)
    assert finding.reason
