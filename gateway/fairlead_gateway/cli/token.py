"""``fairlead token``: make a token for development, see why one does not work, and revoke those that shall not."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any, Final, TypeVar

import typer

from fairlead.names import Names, checked_id
from fairlead.questions import audit
from fairlead.redis.shards import Shards, open_shards
from fairlead_gateway.access.claims import GRANTS
from fairlead_gateway.access.minting import Finding, Wish, examine, mint, seconds_of
from fairlead_gateway.access.rejected import TokenRejected
from fairlead_gateway.access.revocations import Revocation, Revocations
from fairlead_gateway.access.revoked import RevocationList
from fairlead_gateway.access.tokens import TokenVerifier
from fairlead_gateway.cli.configured import load, reachable
from fairlead_gateway.cli.output import Json, Status, Trouble, say, say_json
from fairlead_gateway.settings import Settings

T = TypeVar("T")

DEVELOPER_SECONDS: Final = 24 * 3600

COMMAND: Final = "command-line"
"""Who has revoked what was revoked here."""

Patterns = list[str]
"""A repeated option; ``*`` matches anything."""

app = typer.Typer(name="token", help="Make, check and revoke tokens.")


@app.command()
def create(
    user: Annotated[str, typer.Option(help="Whom the token is for.")],
    role: Annotated[str, typer.Option(help="Role, such as admin.")] = "",
    ttl: Annotated[str, typer.Option(metavar="DURATION", help="How long it is good: 90s, 15m, 1h, 7d.")] = "1h",
    session: Annotated[Patterns, typer.Option(metavar="NAME", help="Session it may join; repeat; * is any.")] = [],  # noqa: B006
    instance: Annotated[Patterns, typer.Option(metavar="NAME", help="Instance it may watch.")] = [],  # noqa: B006
    topic: Annotated[Patterns, typer.Option(metavar="NAME", help="Topic it may subscribe to.")] = [],  # noqa: B006
    task: Annotated[Patterns, typer.Option(metavar="ID", help="Task it may watch.")] = [],  # noqa: B006
    device: Annotated[Patterns, typer.Option(metavar="ID", help="Device it may reach.")] = [],  # noqa: B006
    device_id: Annotated[str, typer.Option(help="Device that the user holds in hand.")] = "",
    metadata: Annotated[str, typer.Option(metavar="JSON", help="A JSON object shown to administrators.")] = "{}",
    as_json: Json = False,
) -> Status:
    """Print a token signed with FAIRLEAD_JWT_SECRET (or the secret of a running fairlead dev)."""
    settings, _ = reachable()
    wish = Wish(
        user_id=user,
        role=role,
        ttl_seconds=seconds_of(ttl),
        grants={"sessions": session, "instances": instance, "topics": topic, "tasks": task, "devices": device},
        device_id=device_id,
        metadata=_object(metadata),
        audience=settings.jwt_audience,
        issuer=settings.jwt_issuer,
    )
    token = signed(settings, wish)
    expires_at = int(time.time()) + wish.ttl_seconds
    say_json({"token": token, "user": user, "expires_at": _iso(expires_at)}) if as_json else print(token)
    return Status.OK


@app.command()
def check(
    token: Annotated[str, typer.Argument(metavar="TOKEN", help="The token; - reads it from standard input.")],
    redis: Annotated[str, typer.Option(help="Where revocations are looked up (FAIRLEAD_REDIS_URL).")] = "",
    as_json: Json = False,
) -> Status:
    """Say whom TOKEN lets in, or why it does not; status 1 when it does not."""
    settings = load(redis_url=redis) if redis else reachable()[0]
    text = sys.stdin.read().strip() if token == "-" else token
    finding = asyncio.run(_examined(settings, text))
    sees_revocations = finding.identity is not None and "redis_url" in settings.model_fields_set
    if sees_revocations:
        finding = _asked(_unless_revoked(settings, finding))
    say_json(_facts(finding, sees_revocations)) if as_json else _tell(finding, sees_revocations)
    return Status.NO if finding.reason else Status.OK


@app.command()
def revoke(
    user: Annotated[str, typer.Option(help="Whose tokens, all that were issued until now.")] = "",
    token_id: Annotated[str, typer.Option("--id", help="Of one token: its jti, as token check tells it.")] = "",
    lasting: Annotated[str, typer.Option("--for", help="How long they may live still: 90s, 15m, 1h, 7d.")] = "",
    as_json: Json = False,
) -> Status:
    """Revoke one token, or log a user out everywhere: replicas close and refuse them within two seconds."""
    if bool(user) == bool(token_id):
        raise Trouble("say either --user or --id", Status.USAGE)
    settings, _ = reachable()
    seconds = seconds_of(lasting) if lasting else settings.revoked_seconds
    one = _asked(_revoked(settings, checked_id(user, "user id") if user else "", token_id, seconds))
    facts = {"id": one.id, "user": one.user_id, "token_id": one.token_id, "expires_at": _iso(one.until)}
    say_json(facts) if as_json else say(f"revoked, and kept in mind until {facts['expires_at']}")
    return Status.OK


def everything(user: str, settings: Settings, role: str = "") -> Wish:
    """A developer's token: a day long, and into every channel."""
    return Wish(
        user_id=user,
        role=role,
        ttl_seconds=DEVELOPER_SECONDS,
        grants=dict.fromkeys(GRANTS, ("*",)),
        audience=settings.jwt_audience,
        issuer=settings.jwt_issuer,
    )


def signed(settings: Settings, wish: Wish) -> str:
    """The token of *wish*, if these settings can sign at all."""
    secret = settings.jwt_secret.get_secret_value()
    if not secret:
        raise Trouble("no secret to sign with: set FAIRLEAD_JWT_SECRET, or start fairlead dev", Status.CONFIGURATION)
    try:
        return mint(secret, wish)
    except ValueError as error:
        raise Trouble(str(error), Status.CONFIGURATION) from error


def _asked(work: Coroutine[Any, Any, T]) -> T:
    """What *work* with Redis comes to."""
    try:
        return asyncio.run(work)
    except ValueError as error:
        raise Trouble(f"FAIRLEAD_REDIS_URL: {error}", Status.CONFIGURATION) from error


@asynccontextmanager
async def _shards(settings: Settings, names: Names) -> AsyncIterator[Shards]:
    shards = open_shards(settings.redis_url.get_secret_value(), names, client_name="fairlead-cli")
    try:
        yield shards
    finally:
        await shards.aclose()


async def _revoked(settings: Settings, user: str, token_id: str, seconds: float) -> Revocation:
    names = Names(settings.prefix)
    async with _shards(settings, names) as shards:
        revoked = RevocationList(shards, names, Revocations(), lambda news: {}, seconds)
        one = await revoked.revoke(user_id=user, token_id=token_id, by=COMMAND)
        facts = {"by": COMMAND, "source": "cli", "token_id": token_id, "user_id": user, "revocation": one.id}
        await shards.ask(audit.written(names, "tokens_revoked", facts))
    return one


async def _unless_revoked(settings: Settings, finding: Finding) -> Finding:
    """What was found of a token, when the revocations in Redis have been looked at, too."""
    names, known = Names(settings.prefix), Revocations()
    async with _shards(settings, names) as shards:
        await RevocationList(shards, names, known, lambda news: {}, settings.revoked_seconds).look()
    assert finding.identity is not None
    try:
        known.check(finding.identity)
    except TokenRejected as rejected:
        return replace(finding, identity=None, reason=rejected.message, expired=rejected.expired)
    return finding


def _object(text: str) -> dict[str, object]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise Trouble(f"--metadata is not JSON: {error}", Status.USAGE) from error
    if not isinstance(value, dict):
        raise Trouble("--metadata must be a JSON object", Status.USAGE)
    return value


async def _examined(settings: Settings, token: str) -> Finding:
    try:
        verifier = TokenVerifier.from_settings(settings)
    except ValueError as error:
        raise Trouble(str(error), Status.CONFIGURATION) from error
    try:
        return await examine(verifier, token)
    finally:
        await verifier.aclose()


def _facts(finding: Finding, sees_revocations: bool) -> dict[str, object]:
    return {
        "valid": not finding.reason,
        "revocations_seen": sees_revocations,
        "reason": finding.reason,
        "expired": finding.expired,
        "header": dict(finding.header),
        "claims": dict(finding.claims),
    }


def _tell(finding: Finding, sees_revocations: bool) -> None:
    unseen = "" if sees_revocations else ", unless it was revoked: set FAIRLEAD_REDIS_URL or --redis to look at that"
    say(f"not valid: {finding.reason}" if finding.reason else f"valid{unseen}")
    for name, value in finding.claims.items():
        say(f"  {name:<10} {_readable(name, value)}")


def _readable(name: str, value: object) -> str:
    is_time = name in ("exp", "iat", "nbf") and isinstance(value, int | float) and 0 <= value < 1e11
    return f"{value} ({_iso(float(str(value)))})" if is_time else json.dumps(value)


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
