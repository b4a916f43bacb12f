"""What a user may do beyond things of their own: ranks, and how the roles that tokens carry map to them."""

from __future__ import annotations

from enum import IntEnum

from fairlead_gateway.access.identity import Identity
from fairlead_gateway.settings import Settings


class Rank(IntEnum):
    """What a caller may do; each rank may do what those below it may."""

    USER = 1
    """Anybody with a token: things of their own."""
    VIEWER = 2
    """Sees the whole fleet, and changes nothing."""
    OPERATOR = 3
    """Sends, asks, disconnects, cancels."""
    ADMIN = 4
    """Revokes tokens, answers for others, sees settings and what messages say."""


def rank_of(identity: Identity, settings: Settings) -> Rank:
    """The rank that the role in a token has here."""
    for rank, roles in (
        (Rank.ADMIN, settings.admin_roles),
        (Rank.OPERATOR, settings.operator_roles),
        (Rank.VIEWER, settings.viewer_roles),
    ):
        if identity.role in roles:
            return rank
    return Rank.USER
