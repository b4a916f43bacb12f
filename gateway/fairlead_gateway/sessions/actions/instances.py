"""``get_state`` and ``patch``: the state behind a channel, and changes of an instance's (ST-1)."""

from __future__ import annotations

import orjson

from fairlead.errors import Conflict, Forbidden, NotFound
from fairlead.names import channel, checked_channel, kind_of
from fairlead_gateway.sessions import seating
from fairlead_gateway.sessions.actions.channels import ensure_allowed
from fairlead_gateway.sessions.context import Context
from fairlead_gateway.sessions.frames import GetState, Patch
from fairlead_gateway.sessions.replies import Patched, State


async def get_state(context: Context, frame: GetState) -> State:
    """The state behind a channel that may be heard, as whoever newly hears it is told; need not be heard."""
    name = checked_channel(frame.channel)
    await ensure_allowed(context, [name])
    return await _state(context, name)


async def patch(context: Context, frame: Patch) -> Patched:
    """
    Change an instance where the claims allow writing; answers its version.

    The writer hears the patch like everybody else who hears the instance: its place among the others is what counts.
    """
    name = channel("instance", frame.instance)
    if not await context.replica.authorizer.allows(context.identity, "write", name):
        raise Forbidden(f"you may not write to {name}", channels=[name])
    try:
        sent = await context.replica.instances.patch(
            frame.instance,
            frame.patch,
            frame.patch_id,
            frame.base_version,
            unset=frame.unset,
            sender=f"user:{context.user_id}",
        )
    except Conflict as conflict:
        if conflict.detail["patches"] is None:
            conflict.detail["snapshot"] = await _state(context, name)
        raise
    reply: Patched = {"instance": frame.instance, "channel": name, "version": sent.version}
    if sent.offset:
        reply["offset"], reply["epoch"] = sent.offset, sent.epoch
    if sent.duplicate:
        reply["duplicate"] = True
    return reply


async def _state(context: Context, name: str) -> State:
    """:raises NotFound: there is none behind this channel."""
    frame = await seating.state_of(context.replica, name)
    if not frame:
        raise NotFound(f"there is no state behind {name}", kind=kind_of(name))
    # As large as a document may be, which is no fault of a client who reads slowly.
    context.connection.socket.make_room(2 * len(frame))
    state: State = orjson.loads(frame)
    return state
