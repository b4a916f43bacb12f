"""Devices that the server knows: one that comes back without a position goes on at its cursor (RT-4)."""

from __future__ import annotations

from fairlead_gateway.access.identity import Identity
from fairlead_gateway.dispatch.tracks import Caught
from fairlead_gateway.sessions.frames import Position as Claimed
from fairlead_gateway.sessions.replica import Replica
from fairlead_gateway.sessions.seating import Recover


async def go_on(replica: Replica, identity: Identity, recover: Recover) -> Recover:
    """*recover*, and the cursor of the device where it does not say itself where it stands in its user's channel."""
    own = f"user:{identity.user_id}"
    if not identity.device_id or own in recover:
        return recover
    stood = await replica.cursors.read(identity.user_id, identity.device_id)
    if stood is None:
        return recover
    return {**recover, own: Claimed(offset=stood.offset, epoch=stood.epoch, id=stood.id)}


async def note(replica: Replica, identity: Identity, recover: Recover, caught: Caught) -> None:
    """
    Write down where a device stands that has come, so that what it does not acknowledge is given to it next time.

    Where it said itself that it stands, it has acknowledged; where its history is gone, it begins anew.
    """
    if not identity.device_id:
        return
    user, device = identity.user_id, identity.device_id
    stood = recover.get(f"user:{user}")
    if stood is None:
        await replica.cursors.begin(user, device, *caught.position)
    elif caught.recovered:
        await replica.cursors.move(user, device, stood.offset, stood.epoch, stood.id or "")
    else:
        await replica.cursors.move(user, device, *caught.position)
