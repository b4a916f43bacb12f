"""``alerts``: what an operator should know, while it lasts and some time after."""

from __future__ import annotations

from typing import Final, Literal

from fairlead_gateway.access.roles import Rank
from fairlead_gateway.rest.findings import read
from fairlead_gateway.rest.route import Asked, Moment, Nothing, Page, Params, Rows, View, row


class OfState(Params):
    """Which of them."""

    state: Literal["firing", "resolved"] | None = None
    """Only those; both unless given."""


class Alert(View):
    """One of them."""

    id: str
    rule: str
    severity: Literal["warning", "critical"]
    replica: str | None
    """None for the fleet."""
    value: float
    """What it is now, some seconds old at most, as the message says it; of one that is over, what it was at the end."""
    worst: float
    """The worst that it has been, to within a tenth."""
    threshold: float
    message: str
    since: Moment
    until: Moment | None
    """When it was over."""
    state: Literal["firing", "resolved"]


async def list_alerts(asked: Asked[OfState, Nothing]) -> Page[Alert]:
    """What fires, then what is over, the latest first; all on one page."""
    found = read(Alert, {"alerts": await asked.api.administration.alarms.alarm.alerts()}, "alerts")
    return Page[Alert](items=[one for one in found if asked.params.state in (None, one.state)], cursor="")


ROWS: Final[Rows] = (row("GET", "/alerts", Rank.VIEWER, list_alerts, params=OfState, answer=Page[Alert]),)
