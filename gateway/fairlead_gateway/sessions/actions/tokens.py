"""``refresh``: a new token for a connection that stays (CON-3)."""

from __future__ import annotations

from functools import partial

from fairlead import codes
from fairlead.errors import Forbidden
from fairlead_gateway.pool import Connection
from fairlead_gateway.sessions import admins, leaving, questions, revoking, seating
from fairlead_gateway.sessions.context import Context
from fairlead_gateway.sessions.frames import Refresh
from fairlead_gateway.sessions.replica import Replica
from fairlead_gateway.sessions.replies import Refreshed


async def refresh(context: Context, frame: Refresh) -> Refreshed:
    """
    Take over the claims and the expiry of a new token of the same user; another user's ends the connection.

    Channels that the new claims no longer allow are left, and named in the reply. What a new role has yet to answer is
    shown. Where the new role may not look at the fleet, a connection that does ends.
    """
    replica, connection = context.replica, context.connection
    identity = await replica.verifier.identify(frame.token)
    if identity.user_id != connection.user_id:
        leaving.end(replica, connection, codes.FORBIDDEN, "refresh with the token of another user")
        raise Forbidden("this token belongs to another user")
    kept = admins.HEARD if admins.is_admin(connection) else ()
    if kept and not admins.may_enter(identity, replica.settings):
        leaving.end(replica, connection, codes.FORBIDDEN, admins.REFUSAL)
        raise Forbidden(admins.REFUSAL)
    identity = identity.on_device(connection.identity.device_id)
    allows = replica.authorizer.allows
    heard = [name for name in connection.channels if name not in kept]
    lost = [name for name in heard if not await allows(identity, "subscribe", name)]
    before = questions.asked_of(connection)
    caught = await seating.become(replica, connection, identity)
    if replica.revoked.known.revokes(identity):
        # Meanwhile; whoever revoked it did not find it here.
        leaving.end(replica, connection, codes.TOKEN_EXPIRED, revoking.REASON)
    context.afterwards.append(partial(seating.go_on, replica, connection, caught))
    if new := [name for name in questions.asked_of(connection) if name not in before]:
        context.afterwards.append(partial(_show, replica, connection, new))
    replica.watches.reconsider(replica, connection)
    leaving.forget_expiry(replica, connection)
    leaving.expect_expiry(replica, connection)
    seating.stand_up(replica, connection, lost)
    return {"expires_at": identity.expires_at, "removed": lost}


def _show(replica: Replica, connection: Connection, channels: list[str]) -> None:
    replica.tasks.start(questions.show_again(replica, connection, channels), name="open questions")
