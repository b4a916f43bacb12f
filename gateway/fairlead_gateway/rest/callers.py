"""``me``: who the caller is here, so that a page offers only what they may do."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

from fairlead_gateway.access.roles import Rank
from fairlead_gateway.rest.route import Asked, Nothing, Params, Rows, View, row

RankName: TypeAlias = Literal["user", "viewer", "operator", "admin"]

RANKS: Final[dict[Rank, RankName]] = {
    Rank.USER: "user",
    Rank.VIEWER: "viewer",
    Rank.OPERATOR: "operator",
    Rank.ADMIN: "admin",
}


class Caller(View):
    """Who asks."""

    user_id: str
    role: str
    """As the token has it."""
    rank: RankName
    """What that role may do here."""


async def get_me(asked: Asked[Params, Nothing]) -> Caller:
    """Who the caller is, and the rank that the role in their token has here."""
    identity = asked.identity
    return Caller(user_id=identity.user_id, role=identity.role, rank=RANKS[asked.rank])


ROWS: Final[Rows] = (row("GET", "/me", Rank.USER, get_me, answer=Caller, is_public=True),)
