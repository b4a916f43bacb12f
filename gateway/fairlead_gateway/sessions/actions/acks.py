"""``ack``: what a client has got, message by message or up to an offset of its user's own channel (RT-4, RT-5)."""

from __future__ import annotations

from fairlead.errors import Forbidden
from fairlead.format.position import Position
from fairlead.names import checked_channel
from fairlead.publishing.sent import Acknowledger
from fairlead_gateway.sessions import seating
from fairlead_gateway.sessions.context import Context
from fairlead_gateway.sessions.frames import Ack
from fairlead_gateway.sessions.replies import Acknowledged


async def ack(context: Context, frame: Ack) -> Acknowledged:
    """
    Answers what became of each id, and where the cursor of this device stands.

    An offset says that everything up to it was got, so that it acknowledges what somebody waits for there as well.
    """
    own = f"user:{context.user_id}"
    name = own if frame.channel is None else checked_channel(frame.channel)
    if name not in (*context.connection.channels, *seating.own_channels(context.connection)):
        raise Forbidden(f"you do not hear {name}", channels=[name])
    message_ids = list(frame.message_ids or ())
    reply: Acknowledged = {"acknowledged": {}}
    if frame.offset is not None:
        who = (context.user_id, context.connection_id, context.identity.device_id, "cursor")
        context.replica.trail.stretch("acknowledged", name, 1, frame.offset, frame.epoch or "", *who)
        cursor = await _move(context, frame, frame.offset) if name == own else None
        reply["cursor"] = cursor and {"channel": own, "offset": cursor.offset, "epoch": cursor.epoch}
        message_ids += await context.replica.acks.awaited(name, frame.offset, frame.epoch or "")
    reply["acknowledged"] = await _acknowledge(context, name, message_ids)
    return reply


async def _acknowledge(context: Context, name: str, message_ids: list[str]) -> dict[str, str]:
    by = Acknowledger(context.user_id, context.identity.device_id, context.connection_id)
    results = await context.replica.acks.acknowledge(name, message_ids, by)
    by_facts = (by.user_id, by.connection_id, by.device_id)
    for message_id, result in results.items():
        if result != "unknown":
            context.replica.trail.note("acknowledged", message_id, name, *by_facts, result)
        if result == "delivered":
            facts = {"message_id": message_id, "channel": name, **by._asdict()}
            context.replica.events.emit("message_acknowledged", **facts)
    return results


async def _move(context: Context, frame: Ack, offset: int) -> Position | None:
    """Where this device stands now; None for one without an id, whose position only it can keep."""
    device_id = context.identity.device_id
    if not device_id:
        return None
    epoch, message_id = frame.epoch or "", frame.message_id or ""
    return await context.replica.cursors.move(context.user_id, device_id, offset, epoch, message_id)
