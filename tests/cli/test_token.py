"""Tokens for developers."""

from __future__ import annotations

import asyncio
import io
import sys
import time

import jwt
import pytest

from fairlead_gateway.cli.output import Status
from tests.cli.conftest import Fairlead
from tests.support.client import client
from tests.support.replica import SECRET, Replica


@pytest.fixture(autouse=True)
def _secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIRLEAD_JWT_SECRET", SECRET)


def test_a_created_token_holds_what_was_asked_for(fairlead: Fairlead) -> None:
    options = ("--role", "admin", "--ttl", "15m", "--session", "s1", "--session", "team-*", "--topic", "prices")
    more = ("--device-id", "phone", "--metadata", '{"name":"Ada"}')

    token = fairlead("token", "create", "--user", "42", *options, *more).out.strip()

    claims = jwt.decode(token, SECRET, algorithms=["HS256"])
    assert (claims["sub"], claims["role"], claims["device_id"]) == ("42", "admin", "phone")
    assert (claims["sessions"], claims["topics"]) == (["s1", "team-*"], ["prices"])
    assert claims["metadata"] == {"name": "Ada"}
    assert 890 < claims["exp"] - time.time() <= 900


def test_audience_and_issuer_follow_the_settings(fairlead: Fairlead, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIRLEAD_JWT_AUDIENCE", "chat")
    monkeypatch.setenv("FAIRLEAD_JWT_ISSUER", "us")

    token = fairlead("token", "create", "--user", "42").out.strip()

    assert fairlead("token", "check", token).status == Status.OK


def test_a_created_token_is_found_valid(fairlead: Fairlead) -> None:
    token = fairlead("token", "create", "--user", "42").out.strip()

    outcome = fairlead("token", "check", token)

    assert outcome.status == Status.OK
    assert outcome.out.startswith("valid") and '"42"' in outcome.out


def test_a_token_can_be_piped(fairlead: Fairlead, monkeypatch: pytest.MonkeyPatch) -> None:
    created = fairlead("token", "create", "--user", "42", "--json").json
    monkeypatch.setattr(sys, "stdin", io.StringIO(created["token"] + "\n"))

    checked = fairlead("token", "check", "-", "--json")

    assert checked.json["valid"] is True
    assert checked.json["claims"]["sub"] == created["user"] == "42"


@pytest.mark.parametrize(
    ("secret", "lifetime", "word"),
    [(SECRET, -60, "exp"), ("another-secret-of-at-least-32-bytes!", 60, "signature")],
    ids=["expired", "forged"],
)
def test_a_token_that_would_be_refused_is_told_why(fairlead: Fairlead, secret: str, lifetime: int, word: str) -> None:
    token = jwt.encode({"sub": "42", "exp": int(time.time()) + lifetime}, secret, algorithm="HS256")

    outcome = fairlead("token", "check", token)

    assert outcome.status == Status.NO
    assert outcome.out.startswith(f"not valid: {word}")


def test_claims_that_would_command_a_terminal_are_escaped(fairlead: Fairlead) -> None:
    token = jwt.encode({"sub": "42", "role": "\x1b]0;owned\x07", "exp": int(time.time()) + 60}, SECRET, "HS256")

    outcome = fairlead("token", "check", token)

    assert "\x1b" not in outcome.out and "\x07" not in outcome.out


async def test_a_revoked_token_is_refused_by_a_replica_that_runs(fairlead: Fairlead, replica: Replica) -> None:
    token = fairlead("token", "create", "--user", "42").out.strip()
    id = jwt.decode(token, SECRET, ["HS256"])["jti"]
    async with client(f"{replica.url}?wait=connect") as ann:
        await ann.say("connect", token=token)
        await ann.until("connection_established")

        # The command has a loop of its own.
        outcome = await asyncio.to_thread(fairlead, "token", "revoke", "--id", id, "--for", "1h", "--json")

        assert outcome.status == Status.OK
        assert (outcome.json["token_id"], outcome.json["user"]) == (id, "")
        assert (await ann.closed(3))[0] == 4401


@pytest.mark.parametrize("what", ["token", "user"])
@pytest.mark.parametrize("told_by", ["environment", "option"])
def test_a_revoked_token_is_not_valid_where_redis_is_known(
    fairlead: Fairlead, configured: None, redis_url: str, monkeypatch: pytest.MonkeyPatch, what: str, told_by: str
) -> None:
    issued = {"iat": int(time.time()) - 5, "exp": int(time.time()) + 60}
    token, other = (jwt.encode({"sub": user, "jti": user, **issued}, SECRET, "HS256") for user in ("ann", "bob"))
    assert fairlead("token", "revoke", *(("--id", "ann") if what == "token" else ("--user", "ann"))).status == Status.OK
    options = ()
    if told_by == "option":
        monkeypatch.delenv("FAIRLEAD_REDIS_URL")
        options = ("--redis", redis_url)

    told, facts = fairlead("token", "check", token, *options), fairlead("token", "check", token, "--json", *options)
    good = fairlead("token", "check", other, *options)

    assert told.status == facts.status == Status.NO
    assert told.out.startswith("not valid: ") and "revoked" in told.out.splitlines()[0]
    assert (facts.json["valid"], facts.json["revocations_seen"]) == (False, True)
    assert (good.status, good.out.splitlines()[0]) == (Status.OK, "valid")


def test_without_redis_it_is_said_that_revocations_were_not_looked_at(fairlead: Fairlead) -> None:
    token = fairlead("token", "create", "--user", "42").out.strip()

    told, facts = fairlead("token", "check", token), fairlead("token", "check", token, "--json")

    assert (told.status, facts.json["revocations_seen"]) == (Status.OK, False)
    assert told.out.startswith("valid, unless it was revoked: ") and "FAIRLEAD_REDIS_URL" in told.out


def test_revocations_that_cannot_be_looked_at_are_trouble(fairlead: Fairlead) -> None:
    token = fairlead("token", "create", "--user", "42").out.strip()

    assert fairlead("token", "check", token, "--redis", "redis://127.0.0.1:1/0").status == Status.UNAVAILABLE
    assert fairlead("token", "check", token, "--redis", "nonsense").status == Status.CONFIGURATION


@pytest.mark.parametrize("wrong", [(), ("--user", "42", "--id", "x"), ("--user", "a b"), ("--user", "4", "--for", "x")])
def test_what_cannot_be_revoked_is_told(fairlead: Fairlead, wrong: tuple[str, ...]) -> None:
    outcome = fairlead("token", "revoke", *wrong)

    assert outcome.status == Status.USAGE
    assert outcome.out == ""


def test_without_redis_nothing_is_revoked(fairlead: Fairlead, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIRLEAD_REDIS_URL", "redis://127.0.0.1:1/0")

    assert fairlead("token", "revoke", "--user", "42").status == Status.UNAVAILABLE
