"""How connections end whose token was revoked (T5)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from fairlead import codes
from fairlead_gateway.access.revocations import Revocation
from fairlead_gateway.pool import Connection
from fairlead_gateway.sessions import leaving
from fairlead_gateway.sessions.replica import Replica

REASON = "this token was revoked; log in again"

TOGETHER: Final = 50
"""Connections closed in a row; then others have their turn."""


def end(replica: Replica, news: Sequence[Revocation]) -> Mapping[str, int]:
    """
    Close every connection that *news* are about, many of them one after the other; how many, by the id of each.

    With 4401, as a token is revoked and no user: who may get another one comes back with that, and whoever gets none
    any more is asked to log in.
    """
    # By connection: one may be meant twice.
    meant = {connection: id for connection, id in _meant(replica, news) if connection.joined}
    if meant:
        replica.tasks.start(_end(replica, list(meant)), name="end of revoked tokens")
    return Counter(meant.values())


async def _end(replica: Replica, connections: Sequence[Connection]) -> None:
    for number, connection in enumerate(connections, start=1):
        leaving.end(replica, connection, codes.TOKEN_EXPIRED, REASON)
        if number % TOGETHER == 0:
            await replica.turns.next()


def _meant(replica: Replica, news: Sequence[Revocation]) -> Iterator[tuple[Connection, str]]:
    of_token = {one.token_id: one.id for one in news if one.token_id}
    if of_token:
        yield from ((one, of_token[id]) for one in replica.pool if (id := one.identity.token_id) in of_token)
    for revocation in news:
        if revocation.user_id:
            heard = replica.pool.everyone(f"user:{revocation.user_id}")
            yield from ((one, revocation.id) for one in heard if revocation.is_about(one.identity))
