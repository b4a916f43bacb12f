"""``replicas``: the processes of the fleet, and those that died lately."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from fairlead.state import presence
from fairlead_gateway.access.roles import Rank
from fairlead_gateway.facts.statistics import Said
from fairlead_gateway.rest.route import Asked, Moment, Nothing, Page, Paged, Rows, View, row


class Replica(View):
    """One process of the gateway."""

    replica: str
    host: str
    port: int
    version: str
    started_at: Moment | None
    connections: int
    """None of them is held any more where it is dead."""
    is_alive: bool
    """Whether its lease has not ended; who died is listed for five minutes."""
    is_ready: bool
    """Whether clients should be sent there."""
    lease_seconds_left: float


async def list_replicas(asked: Asked[Paged, Nothing]) -> Page[Replica]:
    """The replicas of the fleet, and those that died within the last minutes."""
    api, params = asked.api, asked.params
    said = (await api.administration.statistics.sums()).replicas
    names = [name for name in sorted(said) if name > params.cursor]
    shown = names[: params.limit]
    lane, names_of = api.replica.lane, api.replica.names
    items = [_replica(name, said[name], await lane.look(presence.replica_facts(names_of, name))) for name in shown]
    return Page[Replica](items=items, cursor=shown[-1] if len(names) > len(shown) else "")


def _replica(name: str, said: Said, facts: dict[str, str]) -> Replica:
    port = facts.get("port", "")
    return Replica(
        replica=name,
        host=facts.get("host", ""),
        port=int(port) if port.isdecimal() and len(port) <= 5 else 0,
        version=facts.get("version", ""),
        started_at=_moment(facts.get("started_at", "")),
        connections=said.gauges.get("total_connections", 0) if said.is_alive else 0,
        is_alive=said.is_alive,
        is_ready=said.is_alive and bool(said.gauges.get("is_ready")),
        lease_seconds_left=round(said.lease_ms / 1000, 1),
    )


def _moment(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


ROWS: Final[Rows] = (row("GET", "/replicas", Rank.VIEWER, list_replicas, params=Paged, answer=Page[Replica]),)
