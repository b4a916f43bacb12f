"""The list of revoked tokens in Redis: everybody has it, loses none of it, and brings it back when Redis does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import pytest
from redis.asyncio import Redis

from fairlead.errors import InvalidMessage, Unavailable
from fairlead.names import Names
from fairlead.redis.connect import open_async
from fairlead_gateway.access import revoked
from fairlead_gateway.access.identity import Identity
from fairlead_gateway.access.revocations import Revocation, Revocations
from fairlead_gateway.access.revoked import RevocationList
from tests.support.redis import Server

WEEK = 7 * 86_400.0


class Reader(RevocationList):
    """One replica's list, and what it was told of."""

    def __init__(self, redis: Redis, names: Names) -> None:
        self.news: list[str] = []
        super().__init__(redis, names, Revocations(), self._hear, WEEK)

    def _hear(self, news: Sequence[Revocation]) -> dict[str, int]:
        self.news += [one.id for one in news]
        return {one.id: 3 for one in news}

    @property
    def ids(self) -> set[str]:
        return {one.id for one in self.known}


@pytest.fixture
def one(redis: Redis, names: Names) -> Reader:
    return Reader(redis, names)


@pytest.fixture
def other(redis: Redis, names: Names) -> Reader:
    return Reader(redis, names)


async def test_what_one_revokes_the_other_finds_once(one: Reader, other: Reader) -> None:
    await other.look()
    assert other.was_read and not one.was_read

    first = await one.revoke(token_id="jti-1", by="root")
    second = await one.revoke(user_id="ada", by="root")
    for _ in range(3):
        await other.look()

    assert other.news == [first.id, second.id] == one.news
    assert other.known.revokes(Identity("x", token_id="jti-1"))
    assert other.known.revokes(Identity("ada", issued_at=second.at - 1))
    assert not other.known.revokes(Identity("ada", issued_at=second.at + 1))
    assert (other.closed(first.id), other.closed("unknown")) == (3, 0)


async def test_it_goes_on_for_as_long_as_was_said_or_is_usual(one: Reader) -> None:
    usual = await one.revoke(token_id="a", by="root")
    said = await one.revoke(user_id="ada", before=5.0, until=time.time() + 60, by="root")

    assert usual.until == pytest.approx(usual.at + WEEK)
    assert (said.before, said.until - said.at) == (5.0, pytest.approx(60, abs=5))
    for until, before in ((time.time() - 1, None), (time.time() + 60, time.time() + 61)):
        with pytest.raises(InvalidMessage, match="expires_at"):
            await one.revoke(user_id="ada", before=before, until=until, by="root")


@pytest.mark.parametrize("until", [253_402_300_799.0, 253_402_351_199.0], ids=["the last moment", "beyond it"])
async def test_what_is_never_to_end_ends_with_the_years_that_can_be_told(
    one: Reader, other: Reader, until: float
) -> None:
    found = await one.revoke(user_id="ada", until=until, before=-1e9, by="root")
    await other.look()

    assert (found.until, found.before) == (253_402_300_799.0, 0.0)
    assert one.ids == other.ids == {found.id}


async def test_a_list_of_many_counts_from_its_first_page_on(
    one: Reader, other: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revoked, "PAGE", 4)
    for number in range(12):
        await one.revoke(token_id=f"jti-{number}", by="root")
    known: list[int] = []
    ask = other._ask

    async def seen(*command: str | int) -> object:
        known.append(len(other.known))
        return await ask(*command)

    other._ask = seen  # type: ignore[method-assign]
    await other.look()

    assert known[:4] == [0, 4, 8, 12]


async def test_a_reader_asks_for_no_more_than_what_is_new(one: Reader, other: Reader, redis: Redis) -> None:
    for number in range(50):
        await one.revoke(token_id=f"jti-{number}", by="root")
    await other.look()
    reads: list[int] = []
    read = other._read

    async def counted(first: str) -> list[revoked.Entry]:
        found = await read(first)
        reads.append(len(found))
        return found

    other._read = counted  # type: ignore[method-assign]
    await other.look()
    await one.revoke(token_id="new", by="root")
    await other.look()

    assert reads == [1, 2], "its anchor, then that and what is new"


async def test_pages_hide_nothing(one: Reader, other: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revoked, "PAGE", 4)
    for number in range(12):
        await one.revoke(token_id=f"jti-{number}", by="root")

    await other.look()

    assert other.ids == one.ids and len(one.ids) == 12


async def test_what_redis_forgets_is_written_down_again_once(
    one: Reader, other: Reader, redis: Redis, names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revoked, "RESTORE_SECONDS", 0.0)
    for number in range(5):
        await one.revoke(token_id=f"jti-{number}", by="root")
    await other.look()

    await redis.delete(names.revoked)
    for _ in range(3):
        await one.look()
        await other.look()
    newcomer = Reader(redis, names)
    await newcomer.look()

    assert newcomer.ids == one.ids == other.ids
    assert len(other.news) == 5, "nothing is news twice"
    assert await redis.xlen(names.revoked) == 5


async def test_what_a_server_that_lagged_behind_has_lost_comes_back_beside_what_came_since(
    one: Reader, other: Reader, redis: Redis, names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revoked, "RESTORE_SECONDS", 0.0)
    kept = await one.revoke(token_id="kept", by="root")
    lost = await one.revoke(token_id="lost", by="root")
    ((place, _),) = await redis.xrevrange(names.revoked, count=1)
    await redis.xdel(names.revoked, place)
    since = await other.revoke(token_id="since", by="root")

    for _ in range(3):
        await one.look()
    await other.look()

    assert one.ids == other.ids == {kept.id, lost.id, since.id}


async def test_what_has_ended_is_taken_out_and_is_no_loss(
    one: Reader, redis: Redis, names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revoked, "KEPT_BEYOND_SECONDS", 0.0)
    await one.revoke(token_id="short", until=time.time() + 0.2, by="root")
    await one.revoke(token_id="long", by="root")
    async with asyncio.timeout(5):
        while len(one.known) > 1:
            await asyncio.sleep(0.05)
            await one.look()
    one._tidy_at = 0.0
    await one.look()

    assert await redis.xlen(names.revoked) == 1
    assert {entry.token_id for entry in one.known} == {"long"}


async def test_what_nobody_of_ours_wrote_is_left_out(one: Reader, redis: Redis, names: Names) -> None:
    real = await one.revoke(token_id="jti", by="root")
    timeless = [{**_fields(real), "id": "z", name: "1e300"} for name in ("until", "before", "at")]
    endless = [{**_fields(real), "id": "z", name: "inf"} for name in ("until", "before", "at")]
    strange = [{"x": "y"}, {**_fields(real), "until": "soon"}, {**_fields(real), "id": "z", "user_id": "ada"}]
    for foreign in (*strange, *timeless, *endless):
        await redis.xadd(names.revoked, foreign)

    await one.look()

    assert one.ids == {real.id}


async def test_without_redis_what_is_known_still_counts(own_server: Server, names: Names) -> None:
    redis = open_async(own_server.url, names)
    one = Reader(redis, names)
    await one.revoke(token_id="jti", by="root")
    own_server.stop()

    with pytest.raises(Unavailable):
        await one.look()
    with pytest.raises(Unavailable):
        await one.revoke(token_id="other", by="root")

    assert one.known.revokes(Identity("x", token_id="jti"))
    await redis.aclose()


def _fields(one: Revocation) -> dict[str, str]:
    return {name: str(value) for name, value in one._asdict().items()}
