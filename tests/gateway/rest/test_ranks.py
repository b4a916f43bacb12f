"""Every route of the table, asked by every rank, by nobody, and with a token that was revoked."""

from __future__ import annotations

import re
import time

import jwt
import pytest

from fairlead_gateway.access.minting import Wish, mint
from fairlead_gateway.access.roles import Rank
from fairlead_gateway.rest.route import Row
from fairlead_gateway.rest.table import ROWS
from tests.gateway.rest.calling import calling
from tests.gateway.running import Gateway, new_user
from tests.support.replica import SECRET
from tests.support.rest import Rest

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROLES = {Rank.USER: "", Rank.VIEWER: "viewer", Rank.OPERATOR: "operator", Rank.ADMIN: "admin"}

rows = pytest.mark.parametrize("row", ROWS, ids=[f"{row.method} {row.path}" for row in ROWS])


async def asked(api: Rest, row: Row) -> int:
    """The status that the route is answered with, for something that does not exist and a body that says nothing."""
    path = re.sub(r"{\w+}", "nothing-of-the-kind", row.path)
    return (await api.ask(row.method, path, {} if row.method in ("POST", "PUT") else None))[0]


@rows
async def test_who_has_not_the_rank_is_refused_whatever_is_sent(gateway: Gateway, row: Row) -> None:
    for rank, role in ROLES.items():
        async with calling(gateway, role) as caller:
            status = await asked(caller, row)
        assert (status == 403) if rank < row.rank else status not in (401, 405, 415, 500), (rank, status)


@rows
async def test_nobody_gets_anything_without_a_token_in_force(gateway: Gateway, row: Row) -> None:
    ended = mint(SECRET, Wish("root", role="admin", ttl_seconds=60), now=time.time() - 3600)
    foreign = mint("another-secret-of-somebody-else-x", Wish("root", role="admin"))
    for bearer in ("", "x", ended, foreign):
        async with calling(gateway, bearer=bearer) as caller:
            assert await asked(caller, row) == 401


@rows
async def test_a_revoked_token_opens_no_route(gateway: Gateway, row: Row) -> None:
    bearer = mint(SECRET, Wish(new_user(), role="admin"))
    id = jwt.decode(bearer, SECRET, ["HS256"])["jti"]
    await gateway.manager._parts.replica.revoked.revoke(token_id=id, by="root")

    async with calling(gateway, bearer=bearer) as caller:
        assert await asked(caller, row) == 401
