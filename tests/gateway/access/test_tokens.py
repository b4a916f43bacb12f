"""Which tokens let somebody in, and what is said to those that do not."""

from __future__ import annotations

import json
import time

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from fairlead_gateway.access.claims import Policy
from fairlead_gateway.access.keys import Key, public_key, secret_key
from fairlead_gateway.access.rejected import TokenRejected
from fairlead_gateway.access.tokens import MAX_TOKEN_BYTES, TokenVerifier
from fairlead_gateway.settings import Settings
from tests.gateway.access.issuer import EC, ED, OTHER_RSA, RSA, SECRET, b64, forged, good, pem_of, signed, unsigned

HS = {"alg": "HS256", "typ": "JWT"}


def verifier(*keys: Key, **policy: str | float) -> TokenVerifier:
    return TokenVerifier(keys or (secret_key(SECRET),), Policy(**policy))  # type: ignore[arg-type]


def refusal(token: str, verifier: TokenVerifier) -> TokenRejected:
    with pytest.raises(TokenRejected) as caught:
        verifier.verify(token)
    return caught.value


# -- good tokens ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "token"),
    [
        (secret_key(SECRET), signed()),
        (secret_key("k" * 48), signed("k" * 48, "HS384")),
        (secret_key("k" * 64), signed("k" * 64, "HS512")),
        (public_key(pem_of(RSA)), signed(RSA, "RS256")),
        (public_key(pem_of(RSA)), signed(RSA, "RS512")),
        (public_key(pem_of(EC)), signed(EC, "ES256")),
        (public_key(pem_of(ED)), signed(ED, "EdDSA")),
    ],
    ids=["HS256", "HS384", "HS512", "RS256", "RS512", "ES256", "EdDSA"],
)
def test_a_token_of_each_kind_of_key_lets_its_user_in(key: Key, token: str) -> None:
    assert verifier(key).verify(token).user_id == "42"


def test_every_claim_arrives_in_the_identity() -> None:
    ends = int(time.time()) + 60
    token = signed(
        role="admin", exp=ends, sessions=["s1", "team-*"], topics=["*"], device_id="phone", metadata={"username": "Ada"}
    )

    who = verifier().verify(token)

    assert (who.user_id, who.role, who.expires_at, who.device_id) == ("42", "admin", ends, "phone")
    assert who.grants == {"sessions": ("s1", "team-*"), "topics": ("*",)}
    assert who.metadata == {"username": "Ada"}


def test_a_token_says_nothing_it_was_not_given() -> None:
    who = verifier().verify(signed())

    assert (who.role, dict(who.grants), who.device_id, dict(who.metadata), who.anonymous) == ("", {}, "", {}, False)


def test_a_token_seen_before_is_the_same_identity_without_being_checked_again() -> None:
    known, token = verifier(), signed()

    assert known.verify(token) is known.verify(token)


def test_a_remembered_token_ends_when_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    known, token = verifier(leeway_seconds=0), signed(exp=int(time.time()) + 60)
    known.verify(token)

    monkeypatch.setattr(time, "time", lambda: jwt.decode(token, SECRET, ["HS256"])["exp"] + 0.1)

    assert refusal(token, known).expired


def test_hints_at_another_key_are_not_read() -> None:
    headers = {"jku": "http://169.254.169.254/", "x5u": "http://evil.example/", "kid": "../../etc/passwd"}

    assert verifier().verify(signed(headers=headers)).user_id == "42"


@pytest.mark.parametrize("audience", ["chat", ["billing", "chat"]])
def test_one_of_several_audiences_is_enough(audience: object) -> None:
    assert verifier(audience="chat").verify(signed(aud=audience)).user_id == "42"


def test_a_clock_that_is_a_little_off_is_forgiven() -> None:
    now = int(time.time())

    assert verifier(leeway_seconds=5).verify(signed(exp=now - 2, nbf=now + 3, iat=now + 3)).user_id == "42"


# -- forged and broken ones ----------------------------------------------------------------------

_NOW = int(time.time())
_PUBLIC = pem_of(RSA)
_BODY = signed().rsplit(".", 1)[0]

FORGERIES = {
    "alg none": (unsigned({"alg": "none"}, good()), "alg"),
    "alg None with a signature": (forged({"alg": "None"}, good()), "alg"),
    "alg nONE": (unsigned({"alg": "nONE"}, good()), "alg"),
    "no alg": (forged({"typ": "JWT"}, good()), "alg"),
    "alg null": (forged({"alg": None}, good()), "alg"),
    "alg a list": (forged({"alg": ["HS256"]}, good()), "alg"),
    "HS512 with a secret too short for it": (forged({"alg": "HS512"}, good()), "alg"),
    "RS256 where there is only a secret": (signed(RSA, "RS256"), "alg"),
    "another secret": (signed("another-secret-that-is-long-enough!"), "signature"),
    "empty signature": (f"{_BODY}.", "signature"),
    "signature of another token": (f"{_BODY}.{signed(sub='43').rsplit('.', 1)[1]}", "signature"),
    "truncated": (signed()[:-4], "signature"),
    "truncated by one": (signed()[:-1], "signature"),
    "crit": (forged({**HS, "crit": ["exp"]}, good()), "crit"),
    "crit empty": (forged({**HS, "crit": []}, good()), "crit"),
    "b64 false": (forged({**HS, "b64": False, "crit": ["b64"]}, good()), "crit"),
    "kid a number": (forged({**HS, "kid": 7}, good()), "kid"),
    "typ logout": (forged({**HS, "typ": "logout+jwt"}, good()), "typ"),
    "typ a list": (forged({**HS, "typ": []}, good()), "typ"),
    "header a list": (forged([], good()), "header"),
    "header deep": (f"{b64(b'[' * 9000)}.e30.AA", "header"),
    "header not JSON": (f"{b64(b'hello')}.e30.AA", "header"),
    "header not UTF-8": (f"{b64(bytes([0xFF, 0xFE]))}.e30.AA", "header"),
    "payload a list": (forged(HS, []), "payload"),
    "payload a string": (forged(HS, "sub"), "payload"),
    "payload NaN": (forged(HS, {"sub": "42", "exp": float("nan")}), "payload"),
    "payload infinite": (forged(HS, {"sub": "42", "exp": float("inf")}), "payload"),
    "empty": ("", "token"),
    "two parts": ("a.b", "token"),
    "four parts": (f"{signed()}.a", "token"),
    "five parts, encrypted": ("a.b.c.d.e", "token"),
    "a space before": (f" {signed()}", "token"),
    "a line after": (f"{signed()}\n", "token"),
    "padding": (f"{signed()}==", "token"),
    "unicode": (signed()[:-3] + "é☃𝟙", "token"),
    "a lone surrogate": ("\ud800." + _BODY, "token"),
    "NUL": ("\0" * 40, "token"),
    "100 kB": (signed(metadata={"x": "y" * 100_000}), "token"),
    "no exp": (signed(exp=None), "exp"),
    "exp a string": (forged(HS, good(exp=str(_NOW + 60))), "exp"),
    "exp true": (forged(HS, good(exp=True)), "exp"),
    "exp in milliseconds": (forged(HS, good(exp=(_NOW + 60) * 1000)), "exp"),
    "exp huge": (forged(HS, good(exp=10**30)), "exp"),
    "exp of 400 digits": (forged(HS, good(exp=10**400)), "payload"),
    "exp negative": (forged(HS, good(exp=-1)), "exp"),
    "expired": (signed(exp=_NOW - 60), "exp"),
    "nbf in the future": (signed(nbf=_NOW + 86_400), "nbf"),
    "nbf a string": (forged(HS, good(nbf="now")), "nbf"),
    "iat in the future": (signed(iat=_NOW + 86_400), "iat"),
    "no sub": (signed(sub=None), "sub"),
    "sub a number": (forged(HS, good(sub=42)), "sub"),
    "sub empty": (signed(sub=""), "sub"),
    "sub a pattern": (signed(sub="*"), "sub"),
    "sub with a space": (signed(sub="a b"), "sub"),
    "sub with a line": (signed(sub="42\n"), "sub"),
    "sub of 129": (signed(sub="a" * 129), "sub"),
    "sub international": (signed(sub="42é"), "sub"),
    "an audience that was not asked for": (signed(aud="billing"), "aud"),
    "aud a number": (forged(HS, good(aud=5)), "aud"),
    "role a list": (forged(HS, good(role=["admin"])), "role"),
    "sessions a string": (signed(sessions="s1"), "sessions"),
    "sessions an object": (signed(sessions={"s1": True}), "sessions"),
    "sessions of numbers": (signed(sessions=[1]), "sessions"),
    "a pattern with brackets": (signed(topics=["[a-z]*"]), "topics"),
    "a pattern with a question mark": (signed(devices=["?"]), "devices"),
    "a pattern of 129": (signed(instances=["a" * 129]), "instances"),
    "device_id a number": (forged(HS, good(device_id=1)), "device_id"),
    "device_id with a slash": (signed(device_id="a/b"), "device_id"),
    "metadata a list": (signed(metadata=[1]), "metadata"),
}


@pytest.mark.parametrize(("token", "claim"), FORGERIES.values(), ids=FORGERIES.keys())
def test_a_token_that_is_not_right_is_refused_by_the_name_of_what_is_wrong(token: str, claim: str) -> None:
    rejected = refusal(token, verifier())

    assert rejected.claim == claim, rejected.message
    assert rejected.message.startswith(f"{claim}: expected ")
    assert len(rejected.message) < 400 and rejected.message.isprintable()


def test_only_an_expired_token_is_called_expired() -> None:
    expired = {name for name, (token, _) in FORGERIES.items() if refusal(token, verifier()).expired}

    assert expired == {"expired"}


@pytest.mark.parametrize("token", [7, None, b"bytes", ["list"], {}])
def test_what_is_no_string_is_no_token(token: object) -> None:
    assert refusal(token, verifier()).claim == "token"  # type: ignore[arg-type]


def test_a_public_key_is_never_taken_for_a_secret() -> None:
    """The classic: the attacker knows the public key, and signs HS256 with its PEM."""
    pem = _PUBLIC.encode()
    tokens = [forged(HS, good(), secret) for secret in (pem, pem.strip(), pem.replace(b"\n", b"\r\n"))]

    assert {refusal(token, verifier(public_key(_PUBLIC))).claim for token in tokens} == {"alg"}


def test_with_a_secret_and_a_public_key_each_verifies_its_own_algorithms_only() -> None:
    both = verifier(secret_key(SECRET), public_key(_PUBLIC))

    assert both.verify(signed()).user_id == both.verify(signed(RSA, "RS256")).user_id == "42"
    assert refusal(forged(HS, good(), _PUBLIC.encode()), both).claim == "signature"
    assert refusal(signed(OTHER_RSA, "RS256"), both).claim == "signature"
    assert refusal(signed(EC, "ES256"), both).claim == "alg"


def test_a_named_key_answers_to_its_name_only() -> None:
    named = verifier(
        Key(("RS256",), RSA.public_key(), "one"),
        Key(("RS256",), OTHER_RSA.public_key(), "two"),
    )

    assert named.verify(signed(RSA, "RS256", headers={"kid": "one"})).user_id == "42"
    assert refusal(signed(RSA, "RS256", headers={"kid": "two"}), named).claim == "signature"
    assert refusal(signed(RSA, "RS256", headers={"kid": "three"}), named).claim == "kid"
    assert refusal(signed(RSA, "RS256"), named).claim == "kid"


def test_the_wrong_audience_is_told_which_is_right() -> None:
    rejected = refusal(signed(aud="billing"), verifier(audience="chat"))

    assert rejected.message == ("aud: expected 'chat', got 'billing'; ask the issuer for a token made for this gateway")
    assert rejected.detail == {"claim": "aud", "expected": "'chat'", "got": "'billing'"}
    assert rejected.code == "unauthorized"


@pytest.mark.parametrize("issuer", [None, "https://evil.example", "https://id.example/", 5])
def test_the_wrong_issuer_is_refused(issuer: object) -> None:
    token = forged(HS, good(iss=issuer))

    assert refusal(token, verifier(issuer="https://id.example")).claim == "iss"


def test_a_missing_audience_is_refused_where_one_is_demanded() -> None:
    assert refusal(signed(), verifier(audience="chat")).claim == "aud"


def test_without_a_key_every_token_is_refused_and_the_settings_are_named() -> None:
    assert "FAIRLEAD_JWT_SECRET" in refusal(signed(), TokenVerifier((), Policy())).message


def test_a_token_as_large_as_allowed_is_read() -> None:
    spare = MAX_TOKEN_BYTES - len(signed(metadata={"x": ""})) - 8
    token = signed(metadata={"x": "y" * (spare * 3 // 4)})

    assert MAX_TOKEN_BYTES - 16 < len(token) <= MAX_TOKEN_BYTES
    assert verifier().verify(token).user_id == "42"


_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=4,
)
_names = st.sampled_from(["alg", "kid", "typ", "crit", "b64", "jku", "jwk", "x5c", "x5u"])


@given(st.dictionaries(_names, _json | st.sampled_from(["HS256", "RS256", "none", "JWT"])), st.binary(max_size=40))
def test_no_header_makes_a_stranger_somebody(header: dict[str, object], secret: bytes) -> None:
    rejected = refusal(forged(header, good(), secret), verifier(secret_key(SECRET), public_key(_PUBLIC)))

    assert rejected.message.isprintable()


_claims = st.sampled_from(
    ["sub", "exp", "nbf", "iat", "aud", "iss", "role", "sessions", "topics", "tasks", "device_id", "metadata"]
)


@given(st.dictionaries(_claims, _json))
def test_whatever_a_signed_payload_holds_it_is_an_identity_or_a_clear_refusal(claims: dict[str, object]) -> None:
    token = forged(HS, {"sub": "42", "exp": _NOW + 86_400, **claims})

    try:
        assert verifier().verify(token).user_id == claims.get("sub", "42")
    except TokenRejected as rejected:
        assert rejected.claim in {*claims, "payload"}


@given(st.text(max_size=60) | st.text("abcABC019-_.=", max_size=60))
def test_no_text_makes_the_verifier_stumble(text: str) -> None:
    refusal(text, verifier())


@given(st.data())
def test_a_token_with_one_character_changed_is_refused(data: st.DataObject) -> None:
    token = signed()
    at = data.draw(st.integers(0, token.rindex(".")))
    other = data.draw(st.sampled_from("abcXYZ019-_.").filter(lambda character: character != token[at]))

    refusal(token[:at] + other + token[at + 1 :], verifier())


# -- from settings -------------------------------------------------------------------------------


def test_the_settings_make_a_verifier() -> None:
    made = TokenVerifier.from_settings(Settings(jwt_secret=SecretStr(SECRET), jwt_audience="chat", jwt_issuer="me"))

    assert made.verify(signed(aud="chat", iss="me")).user_id == "42"
    assert refusal(signed(aud="chat"), made).claim == "iss"


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"jwt_secret": "too short"}, "FAIRLEAD_JWT_SECRET has 9 bytes"),
        ({"jwt_secret": _PUBLIC}, "FAIRLEAD_JWT_PUBLIC_KEY"),
        ({"jwt_public_key": "hello"}, "FAIRLEAD_JWT_PUBLIC_KEY"),
        ({"jwt_public_key": pem_of(rsa.generate_private_key(65537, 1024))}, "1024 bits and needs 2048"),
        ({"jwt_public_key": _PUBLIC, "jwt_algorithms": "ES256"}, "FAIRLEAD_JWT_ALGORITHMS"),
        ({"jwt_secret": SECRET, "jwt_algorithms": "none"}, "FAIRLEAD_JWT_ALGORITHMS names none"),
        ({"jwt_jwks_url": "http://id.example/jwks"}, "FAIRLEAD_JWT_JWKS_URL"),
        ({"jwt_jwks_url": "https://id.example/jwks", "jwt_algorithms": "HS256"}, "FAIRLEAD_JWT_JWKS_URL"),
        ({"jwt_jwks_url": "https://id.example/jwks", "jwt_public_key": _PUBLIC}, "not both"),
    ],
)
def test_settings_that_cannot_work_are_refused_by_name(settings: dict[str, str], named: str) -> None:
    with pytest.raises(ValueError, match=named) as caught:
        TokenVerifier.from_settings(Settings(**settings))  # type: ignore[arg-type]

    assert SECRET not in str(caught.value)


def test_the_accepted_algorithms_narrow_what_a_key_verifies() -> None:
    narrow = TokenVerifier.from_settings(Settings(jwt_public_key=_PUBLIC, jwt_algorithms=("RS512",)))

    assert narrow.verify(signed(RSA, "RS512")).user_id == "42"
    assert refusal(signed(RSA, "RS256"), narrow).claim == "alg"


# -- the canary ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("token", "_claim"), FORGERIES.values(), ids=FORGERIES.keys())
def test_a_refusal_never_holds_the_token(token: str, _claim: str) -> None:
    rejected = refusal(token, verifier())

    pieces = [piece for piece in token.split(".") if len(piece) > 12]
    said = json.dumps(_everything(rejected), default=repr)
    assert not [piece for piece in pieces if piece in said]


def _everything(error: BaseException | None) -> list[object]:
    """All that a log would show of *error* and of what led to it."""
    if error is None:
        return []
    facts = [str(error), repr(error), error.args, vars(error), getattr(error, "object", None)]
    return facts + _everything(error.__cause__) + _everything(error.__context__)


def test_neither_verifier_nor_key_shows_a_secret() -> None:
    known = verifier()
    known.verify(signed())

    assert SECRET not in f"{known!r}{vars(known)!r}{secret_key(SECRET)!r}"
