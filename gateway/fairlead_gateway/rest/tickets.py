"""``tickets``: what may stand in a URL, where a token may not."""

from __future__ import annotations

from typing import Final

from fairlead_gateway.access.roles import Rank
from fairlead_gateway.access.tickets import LIFETIME_SECONDS
from fairlead_gateway.rest.route import Asked, Nothing, Params, Rows, View, row


class Ticket(View):
    """A credential that opens one connection, once and soon."""

    ticket: str
    expires_in: int
    """Seconds."""


async def issue_ticket(asked: Asked[Params, Nothing]) -> Ticket:
    """Issue a single-use ticket for a connection of the caller."""
    return Ticket(ticket=await asked.api.tickets.issue(asked.identity), expires_in=LIFETIME_SECONDS)


ROWS: Final[Rows] = (row("POST", "/tickets", Rank.USER, issue_ticket, answer=Ticket, status=201, is_public=True),)
