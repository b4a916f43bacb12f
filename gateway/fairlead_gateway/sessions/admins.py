"""Connections of ``/ws/admin/monitor``: who may have one, and what it hears that nobody else can ask for (ADM-2)."""

from __future__ import annotations

from typing import Final

from fairlead.names import ADMINS
from fairlead_gateway.access.identity import Identity
from fairlead_gateway.access.roles import Rank, rank_of
from fairlead_gateway.facts.news import EVERYBODY
from fairlead_gateway.pool import Connection
from fairlead_gateway.settings import Settings

HEARD: Final = (ADMINS, EVERYBODY)
"""Its channels, whatever the claims in the token allow."""

REFUSAL: Final = "this takes one of the roles in FAIRLEAD_VIEWER_ROLES, or above"


def may_enter(identity: Identity, settings: Settings) -> bool:
    """Whether somebody may look at the whole fleet."""
    return rank_of(identity, settings) >= Rank.VIEWER


def is_admin(connection: Connection) -> bool:
    """Whether a connection is one of these: no other can hear `ADMINS`."""
    return ADMINS in connection.channels
