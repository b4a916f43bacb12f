"""Whose word is taken for where a client is: that of trusted proxies, from the nearest on, and no further (T17)."""

from __future__ import annotations

import pytest

from tests.gateway.running import new_user, serving, settings_for

HERE = "127.0.0.1"


@pytest.mark.parametrize(
    ("trusted", "claimed", "address"),
    [
        (HERE, "", HERE),
        (HERE, "9.9.9.9", "9.9.9.9"),
        (HERE, "6.6.6.6, 9.9.9.9", "9.9.9.9"),
        (f"{HERE},10.0.0.0/8", "6.6.6.6, 9.9.9.9, 10.1.1.1", "9.9.9.9"),
        (f"{HERE},10.0.0.0/8", "6.6.6.6, 10.2.2.2, 9.9.9.9, 10.1.1.1, 10.3.3.3", "9.9.9.9"),
        ("10.0.0.1", "6.6.6.6", HERE),
        ("", "6.6.6.6", HERE),
    ],
)
async def test_the_nearest_address_that_is_no_proxy_of_ours_is_the_client(
    redis_url: str, trusted: str, claimed: str, address: str
) -> None:
    async with serving(settings_for(redis_url, forwarded_allow_ips=trusted)) as gateway:
        headers = {"X-Forwarded-For": claimed, "Forwarded": "for=6.6.6.6", "X-Real-IP": "6.6.6.6"} if claimed else {}
        client = await gateway.connect(new_user(), additional_headers=headers)

        (seen,) = gateway.manager.connections()
        assert (seen.connection_id, seen.address) == (client.id, address)
