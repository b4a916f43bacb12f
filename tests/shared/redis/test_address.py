"""What FAIRLEAD_REDIS_URL may say, and that what it may not say is refused without a secret."""

from __future__ import annotations

import pytest

from fairlead.names import Names
from fairlead.redis.address import Kind, addresses, shown
from fairlead.redis.shards import open_shards
from fairlead.redis.sync_shards import open_shards_sync

SECRET = "canary-4711"


def test_one_server_is_named_as_before() -> None:
    (one,) = addresses("redis://user:word@host:6380/2")

    assert (one.kind, one.name, one.url) == (Kind.SERVER, "host:6380/2", "redis://user:word@host:6380/2")


def test_several_are_split_at_commas_before_a_scheme() -> None:
    found = addresses("redis://:a,b@h1, rediss://h2:1/1,redis+sentinel://s1,s2:2/main,unix:///run/redis.sock")

    assert [(one.kind, one.name) for one in found] == [
        (Kind.SERVER, "h1/0"),
        (Kind.SERVER, "h2:1/1"),
        (Kind.SENTINEL, "main"),
        (Kind.SERVER, "/run/redis.sock"),
    ]


def test_sentinels_and_their_service() -> None:
    (one,) = addresses("rediss+sentinel://u:p%40@s1,s2:26380,[::1]:7/my-main/3?ssl_ca_certs=/ca&sentinel_password=w%2F")

    assert one.hosts == (("s1", 26379), ("s2", 26380), ("::1", 7))
    assert (one.kind, one.name, one.service) == (Kind.SENTINEL, "my-main", "my-main")
    assert one.url == "rediss://u:p%40@s1:26379/3?ssl_ca_certs=%2Fca"
    assert one.sentinel_url == "rediss://s1:26379?password=w%2F&ssl_ca_certs=%2Fca"


def test_a_cluster_and_some_of_its_nodes() -> None:
    (one,) = addresses("redis+cluster://:word@h1:7000,h2/")

    assert (one.kind, one.hosts) == (Kind.CLUSTER, (("h1", 7000), ("h2", 6379)))
    assert one.url == "redis://:word@h1:7000/0"


@pytest.mark.parametrize(
    "url",
    [
        f"redis+ring://:{SECRET}@h",
        f"http+cluster://:{SECRET}@h",
        f"redis+sentinel://:{SECRET}@h1,h2",
        f"redis+sentinel://:{SECRET}@h1:x/main",
        f"redis+sentinel://:{SECRET}@,/main",
        f"redis+sentinel://:{SECRET}@h1/main/zero",
        f"redis+cluster://:{SECRET}@h1/3",
        f"redis+cluster://:{SECRET}@h1,redis://h2",
        f"redis://:{SECRET}@h1/0,redis://:{SECRET}@h1/0",
        f"redis://:{SECRET}@h1/0,nonsense://:{SECRET}@h2",
        f"redis+cluster://:{SECRET}@h1?no_such_option=1",
        f"redis+sentinel://:{SECRET}@h1/main?no_such_option=1",
        f"{SECRET}",
    ],
)
def test_what_is_no_address_is_refused_at_once_without_repeating_it(url: str) -> None:
    for connect in (open_shards, open_shards_sync):
        with pytest.raises(ValueError, match=r"\w") as caught:
            connect(url, Names("t"))
        assert SECRET not in str(caught.value)
        assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("redis://user:hunter2@host:6379/3?ssl_ca_certs=/x", "host:6379/3"),
        ("rediss://:hunter2@host", "host/0"),
        ("redis://:hunter2@one:1/0,redis://:hunter2@two:2/0", "one:1/0, two:2/0"),
        (
            "redis+sentinel://u:hunter2@h1,h2:2/mymaster/0?sentinel_password=hunter2",
            "mymaster behind the Sentinels h1:26379,h2:2",
        ),
        ("redis+cluster://u:hunter2@h1:7000,h2:7001/", "the cluster of h1:7000,h2:7001"),
        ("redis+nonsense://u:hunter2@h1", "no address that we know"),
    ],
)
def test_people_are_shown_where_it_leads_and_no_password(url: str, text: str) -> None:
    assert shown(url) == text
