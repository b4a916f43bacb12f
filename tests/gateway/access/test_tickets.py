"""Tickets: once, soon, and for whom they were issued."""

from __future__ import annotations

import asyncio
import time

import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from fairlead.errors import Forbidden, Unavailable
from fairlead.names import Names
from fairlead_gateway.access.identity import Identity
from fairlead_gateway.access.rejected import TokenRejected
from fairlead_gateway.access.tickets import LIFETIME_SECONDS, Tickets

ADA = Identity("ada", "admin", {"sessions": ("s1", "team-*")}, time.time() + 3600, "phone", {"username": "Ada"})


@pytest.fixture
def tickets(redis: Redis, names: Names) -> Tickets:
    return Tickets(redis, names)


async def test_a_ticket_lets_in_exactly_whom_it_was_issued_to(tickets: Tickets) -> None:
    assert await tickets.redeem(await tickets.issue(ADA)) == ADA


async def test_a_ticket_is_taken_once_even_by_many_at_the_same_moment(tickets: Tickets) -> None:
    ticket = await tickets.issue(ADA)

    results = await asyncio.gather(*(tickets.redeem(ticket) for _ in range(20)), return_exceptions=True)

    assert [result for result in results if result == ADA] == [ADA]
    assert sum(isinstance(result, TokenRejected) for result in results) == 19


async def test_a_ticket_ends_after_thirty_seconds(tickets: Tickets, redis: Redis, names: Names) -> None:
    ticket = await tickets.issue(ADA)

    assert LIFETIME_SECONDS - 5 < await redis.ttl(names.ticket(ticket)) <= LIFETIME_SECONDS == 30


async def test_tickets_carry_128_random_bits(tickets: Tickets) -> None:
    issued = {await tickets.issue(ADA) for _ in range(50)}

    assert len(issued) == 50
    assert {len(ticket) for ticket in issued} == {22}  # 22 characters of base64url hold 128 bits


async def test_a_ticket_does_not_outlive_its_token(redis: Redis, names: Names) -> None:
    ended = Identity("ada", expires_at=time.time() - 1)
    strict = Tickets(redis, names, leeway_seconds=0)

    with pytest.raises(TokenRejected, match="exp: ") as caught:
        await strict.redeem(await strict.issue(ended))

    assert caught.value.expired


async def test_who_has_no_token_gets_no_ticket(tickets: Tickets) -> None:
    with pytest.raises(Forbidden):
        await tickets.issue(Identity("anon", anonymous=True))


@pytest.mark.parametrize(
    "ticket", ["", "x", "a" * 21, "a" * 23, "a" * 21 + "*", "../../../../etc/passwd", "é" * 22, "a" * 22]
)
async def test_what_was_never_issued_is_refused(ticket: str, tickets: Tickets) -> None:
    with pytest.raises(TokenRejected, match="fetch a new one") as caught:
        await tickets.redeem(ticket)

    assert len(ticket) < 21 or ticket not in caught.value.message


@pytest.mark.parametrize(
    "foreign",
    [b"", b"x", b"[]", b"null", b'{"sub": "ada"}', b'{"sub": 5, "exp": 99999999999}', b"\xff\xfe", b"[" * 9000],
)
async def test_what_somebody_else_wrote_in_redis_lets_nobody_in(
    foreign: bytes, tickets: Tickets, redis: Redis, names: Names
) -> None:
    ticket = "a" * 22
    await redis.set(names.ticket(ticket), foreign, ex=30)

    with pytest.raises(TokenRejected):
        await tickets.redeem(ticket)


async def test_without_redis_tickets_are_unavailable(names: Names) -> None:
    nowhere = Redis(port=1, retry=Retry(NoBackoff(), 0))

    with pytest.raises(Unavailable):
        await Tickets(nowhere, names).issue(ADA)
    with pytest.raises(Unavailable):
        await Tickets(nowhere, names).redeem("a" * 22)
    await nowhere.aclose()
