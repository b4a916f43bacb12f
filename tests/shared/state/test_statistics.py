"""What the overseer wrote down last is what backends are told (ADM-3)."""

from __future__ import annotations

import pytest

import fairlead
from fairlead.names import Names
from fairlead.redis.connect import open_sync
from fairlead.state.statistics import TEN, latest


@pytest.mark.parametrize(
    ("sample", "figures"),
    [
        (b'{"at":1,"figures":[1,2,3,4,5,6,7,8,9,10,11]}', dict(zip(TEN, range(1, 11), strict=True))),
        (b'{"at":1,"figures":[1,2]}', dict.fromkeys(TEN, 0) | {"total_connections": 1, "active_connections": 2}),
        (b'{"at":1,"figures":["1"]}', dict.fromkeys(TEN, 0)),
        (b"[]", dict.fromkeys(TEN, 0)),
        (b"no json", dict.fromkeys(TEN, 0)),
    ],
)
async def test_both_faces_read_the_last_sample(
    redis_url: str, prefix: str, names: Names, sample: bytes, figures: dict[str, int]
) -> None:
    with open_sync(redis_url, names) as redis:
        redis.xadd(names.stats_history, {"sample": b'{"at":0,"figures":[7]}'})
        redis.xadd(names.stats_history, {"sample": sample})
    async with fairlead.connect(redis_url, prefix=prefix) as fl:
        assert await fl.stats() == figures
    with fairlead.connect_sync(redis_url, prefix=prefix) as sync:
        assert sync.stats() == figures


async def test_where_nobody_has_counted_there_is_nothing(names: Names) -> None:
    for nothing in ([], {}):
        assert latest(names).read([nothing]) == dict.fromkeys(TEN, 0)
