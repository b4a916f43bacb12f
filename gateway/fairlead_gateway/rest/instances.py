"""``instances``: which are watched, by how many, and how each stands."""

from __future__ import annotations

from typing import Any, Final

from fairlead.names import channel
from fairlead.state import presence
from fairlead_gateway.access.roles import Rank
from fairlead_gateway.rest.route import Asked, Id, Nothing, Page, Paged, Params, Rows, View, row


class ByName(Params):
    """One instance."""

    name: Id


class Watched(View):
    """An instance that somebody watches."""

    instance: str
    connections: int


class Instance(Watched):
    """An instance, with all that is kept of it."""

    version: int
    """0 where nothing has been written."""
    state: dict[str, Any]
    messages: int
    """How many have been said in its channel, so far."""


async def list_instances(asked: Asked[Paged, Nothing]) -> Page[Watched]:
    """The instances that somebody watches on any replica, as of some seconds ago."""
    replica, params = asked.api.replica, asked.params
    alive = await replica.lane.look(presence.replicas_alive(replica.names))
    counts = await replica.lane.look(presence.instance_counts(replica.names, alive))
    names = [name for name in sorted(counts) if name > params.cursor]
    shown = names[: params.limit]
    items = [Watched(instance=name, connections=counts[name]) for name in shown]
    return Page[Watched](items=items, cursor=shown[-1] if len(names) > len(shown) else "")


async def get_instance(asked: Asked[ByName, Nothing]) -> Instance:
    """One instance: its document, its version, and how many watch it."""
    replica, name = asked.api.replica, asked.params.name
    said = await replica.history.said_in(channel("instance", name))
    instance = (await replica.instances.read(name)).instance()
    here = await replica.seats.who_is_in(channel("instance", name))
    return Instance(
        instance=name, connections=len(here), version=instance.version, state=instance.document, messages=said
    )


ROWS: Final[Rows] = (
    row("GET", "/instances", Rank.VIEWER, list_instances, params=Paged, answer=Page[Watched]),
    row("GET", "/instances/{name}", Rank.VIEWER, get_instance, params=ByName, answer=Instance),
)
