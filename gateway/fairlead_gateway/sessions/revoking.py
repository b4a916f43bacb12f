"""How connections end whose token was revoked (T5)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fairlead import codes
from fairlead_gateway.access.revocations import Revocation
from fairlead_gateway.pool import Connection
from fairlead_gateway.sessions import leaving
from fairlead_gateway.sessions.replica import Replica

REASON = "this token was revoked; log in again"


def end(replica: Replica, news: Sequence[Revocation]) -> dict[str, int]:
    """
    Close every connection that *news* are about; how many, by the id of each revocation.

    With 4401, as a token is revoked and no user: who may get another one comes back with that, and whoever gets none
    any more is asked to log in.
    """
    ended = dict.fromkeys((one.id for one in news), 0)
    for connection, id in list(_meant(replica, news)):
        if connection.joined:
            leaving.end(replica, connection, codes.TOKEN_EXPIRED, REASON)
            ended[id] += 1
    return ended


def _meant(replica: Replica, news: Sequence[Revocation]) -> Iterator[tuple[Connection, str]]:
    of_token = {one.token_id: one.id for one in news if one.token_id}
    if of_token:
        yield from ((one, of_token[id]) for one in replica.pool if (id := one.identity.token_id) in of_token)
    for revocation in news:
        if revocation.user_id:
            heard = replica.pool.everyone(f"user:{revocation.user_id}")
            yield from ((one, revocation.id) for one in heard if revocation.is_about(one.identity))
