"""``tokens``: revoked before their end, on every replica (T5)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Final

from pydantic import AwareDatetime, Field

from fairlead.errors import InvalidMessage
from fairlead_gateway.access.revocations import Revocation
from fairlead_gateway.access.roles import Rank
from fairlead_gateway.rest.route import Asked, Body, Id, Moment, Nothing, Page, Paged, Params, Rows, View, row

TokenId = Annotated[str, Field(min_length=1, max_length=256)]


class Revoke(Body):
    """Either one token, or those of a user."""

    token_id: TokenId | None = None
    """The ``jti`` of one token."""
    user_id: Id | None = None
    """Whose tokens are revoked that were issued before a moment: logged out everywhere."""
    before: AwareDatetime | None = None
    """That moment; now, unless it is given. Tokens that do not say when they were issued (``iat``) are revoked, too."""
    expires_at: AwareDatetime | None = None
    """When all those tokens have ended themselves, so that it need not be remembered longer; a setting says, else."""


class Revoked(View):
    """Tokens that were revoked."""

    id: str
    token_id: str | None
    user_id: str | None
    before: Moment | None
    revoked_at: Moment
    expires_at: Moment
    by: str


class Done(Revoked):
    """A revocation that was just made."""

    closed: int
    """Connections that it has ended."""
    silent: list[str]
    """Replicas that have not confirmed it; as soon as they reach Redis, they follow within a second."""


async def revoke_tokens(asked: Asked[Params, Revoke]) -> Done:
    """
    Revoke a token, or all tokens of a user.

    Their connections are closed with 4401 on every replica. They open nothing any more, nor do tickets that were issued
    for them. What the user gets afterwards is another token, and good.
    """
    api, body = asked.api, asked.body
    if (body.token_id is None) == (body.user_id is None):
        raise InvalidMessage("say either token_id or user_id")
    if body.before is not None and body.user_id is None:
        raise InvalidMessage("before goes with user_id: one token is revoked whenever it was issued")
    one = await api.replica.revoked.revoke(
        token_id=body.token_id or "",
        user_id=body.user_id or "",
        before=None if body.before is None else body.before.timestamp(),
        until=None if body.expires_at is None else body.expires_at.timestamp(),
        by=asked.identity.user_id,
    )
    api.replica.told.audited(
        "tokens_revoked", by=one.by, source="rest", token_id=one.token_id, user_id=one.user_id, revocation=one.id
    )
    survey = await api.surveys.ask("revoked", {"id": one.id})
    counts = [found.get("closed") for found in survey.found.values()]
    closed = sum(count for count in counts if isinstance(count, int))
    return Done(**_view(one).model_dump(), closed=closed, silent=survey.silent)


async def list_revoked(asked: Asked[Paged, Nothing]) -> Page[Revoked]:
    """List the revocations that go on, the earliest first."""
    params, revoked = asked.params, asked.api.replica.revoked
    await revoked.look()
    later = sorted((one for one in revoked.known if one.id > params.cursor), key=lambda one: one.id)
    items = later[: params.limit]
    return Page(items=[_view(one) for one in items], cursor=items[-1].id if len(later) > len(items) else "")


def _view(one: Revocation) -> Revoked:
    return Revoked(
        id=one.id,
        token_id=one.token_id or None,
        user_id=one.user_id or None,
        before=_moment(one.before) if one.user_id else None,
        revoked_at=_moment(one.at),
        expires_at=_moment(one.until),
        by=one.by,
    )


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


ROWS: Final[Rows] = (
    row("POST", "/tokens/revoke", Rank.ADMIN, revoke_tokens, body=Revoke, answer=Done, errors=("rate_limited",)),
    row("GET", "/tokens/revoked", Rank.ADMIN, list_revoked, params=Paged, answer=Page[Revoked]),
)
