"""``watch_live`` and ``unwatch_live``: what passes by on every replica, for who is at ``/ws/admin/monitor`` (ADM-2)."""

from __future__ import annotations

from fairlead.errors import Forbidden
from fairlead_gateway.sessions import admins
from fairlead_gateway.sessions.context import Context
from fairlead_gateway.sessions.frames import UnwatchLive, WatchLive
from fairlead_gateway.sessions.replies import Done, Watching


async def watch_live(context: Context, frame: WatchLive) -> Watching:
    """
    Show messages and events of all replicas from now on, as frames of the type ``live``; instead of what was watched.

    Answers how many replicas look, and whether messages will be shown with what they say.
    """
    _ensure_admin(context)
    return await context.replica.watches.begin(context.replica, context.connection, frame)


async def unwatch_live(context: Context, frame: UnwatchLive) -> Done:
    """Show no more of it; where nothing was watched, nothing changes."""
    _ensure_admin(context)
    context.replica.watches.end(context.replica, context.connection)
    return {}


def _ensure_admin(context: Context) -> None:
    """:raises Forbidden: the connection came another way."""
    if not admins.is_admin(context.connection):
        raise Forbidden("what passes by is shown at /ws/admin/monitor; connect there")
