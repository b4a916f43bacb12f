"""Messages that count as sent when replicas of Redis have them (DEP-3), on a real master with a real replica."""

from __future__ import annotations

import asyncio

import pytest

import fairlead
from fairlead.names import Names
from fairlead.publishing.copies import Copies
from fairlead.publishing.forms import PUBLISH
from fairlead.publishing.outgoing import Outgoing
from tests.support.pair import pair

USER = "user:42"


async def test_a_message_is_sent_when_the_replica_has_it(binary: str, names: Names) -> None:
    async with pair(binary) as both:
        async with fairlead.connect(both.master.url, prefix=names.prefix, durable_replicas=1) as fl:
            first, topic = await asyncio.gather(
                fl.send_to_user("42", {"type": "x"}), fl.send_to_topic("t", {"type": "x"})
            )
            both.replica.freeze()
            with pytest.raises(fairlead.Unavailable, match="not on enough replicas") as refused:
                async with asyncio.timeout(15):
                    await fl.send_to_user("42", {"type": "x"}, message_id="m-2")
            unheard = await fl.send_to_topic("t", {"type": "x"})
            both.replica.thaw()
            again = await fl.send_to_user("42", {"type": "x"}, message_id="m-2")

        assert (first.offset, topic.offset, unheard.offset) == (1, 0, 0)
        assert refused.value.detail == {"message_id": "m-2", "unknown": True}
        assert again.offset == 2, "it was stored the first time"
        assert await both.redis.xlen(names.log(USER)) == 2


async def test_a_replica_that_comes_back_in_time_is_waited_for(binary: str, names: Names) -> None:
    async with pair(binary) as both, both.redis.pubsub() as pubsub:
        await pubsub.subscribe(names.pubsub(USER))
        both.replica.freeze()
        async with fairlead.connect(both.master.url, prefix=names.prefix, durable_replicas=1, timeout_seconds=20) as fl:
            sending = asyncio.ensure_future(fl.send_to_user("42", {"type": "x"}))
            async with asyncio.timeout(10):
                while not await both.redis.xlen(names.log(USER)):
                    await asyncio.sleep(0.02)
            # Longer than one WAIT, so that it is tried again.
            await asyncio.wait([sending], timeout=0.6)
            assert not sending.done(), "the master alone has it"

            both.replica.thaw()
            sent = await asyncio.wait_for(sending, 15)
            end = await fl.send_to_user("42", {"type": "end"})

        heard = []
        async with asyncio.timeout(5):
            while len(heard) < 2:
                message = await pubsub.get_message(ignore_subscribe_messages=True, timeout=1)
                heard += [message] if message else []

        assert (sent.offset, sent.duplicate, sent.receivers, end.offset) == (1, False, 1, 2)
        assert await both.redis.xlen(names.log(USER)) == 2
        assert [b'"end"' in message["data"] for message in heard] == [False, True], "delivered once"


async def test_another_connection_waits_for_what_the_first_one_wrote(binary: str, names: Names) -> None:
    """WAIT answers at once on a connection that has written nothing: a duplicate must not pass for replicated."""
    async with pair(binary) as both:
        async with fairlead.connect(both.master.url, prefix=names.prefix) as relay:
            both.replica.freeze()
            sent = await relay.send_to_user("42", {"type": "x"}, message_id="m-1")
        async with fairlead.connect(
            both.master.url, prefix=names.prefix, durable_replicas=1, timeout_seconds=1
        ) as replicated:
            with pytest.raises(fairlead.Unavailable, match="not on enough replicas"):
                await replicated.send_to_user("42", {"type": "x"}, message_id="m-1")

        assert sent.offset == 1


async def test_the_blocking_client_waits_for_replicas_too(binary: str, names: Names) -> None:
    async with pair(binary) as both:
        with fairlead.connect_sync(both.master.url, prefix=names.prefix, durable_replicas=1, timeout_seconds=1) as fl:
            first = await asyncio.to_thread(fl.send_to_user, "42", {"type": "x"})
            both.replica.freeze()
            with pytest.raises(fairlead.Unavailable, match="not on enough replicas") as refused:
                await asyncio.to_thread(fl.send_to_user, "42", {"type": "x"}, message_id="m-2")
            both.replica.thaw()
            again = await asyncio.to_thread(fl.send_to_user, "42", {"type": "x"}, message_id="m-2")

        assert (first.offset, again.offset) == (1, 2)
        assert refused.value.detail["unknown"] is True
        assert await both.redis.xlen(names.log(USER)) == 2


async def test_a_master_that_lacks_replicas_says_so_and_is_waited_for(binary: str, names: Names) -> None:
    async with pair(binary) as both:
        async with fairlead.connect(both.master.url, prefix=names.prefix, timeout_seconds=1) as fl:
            await fl.send_to_user("42", {"type": "x"})
            await both.redis.config_set("min-replicas-to-write", 2)
            with pytest.raises(fairlead.Unavailable, match="min-replicas-to-write") as refused:
                await fl.send_to_user("42", {"type": "x"}, message_id="m-2")
            await both.redis.config_set("min-replicas-to-write", 1)
            sent = await fl.send_to_user("42", {"type": "x"}, message_id="m-2")

        assert refused.value.detail == {"message_id": "m-2", "unknown": False}
        assert (sent.offset, sent.duplicate) == (2, False)


def test_without_replicas_or_durable_messages_nothing_is_asked() -> None:
    durable, ephemeral = Outgoing("m-1", 0, b"", PUBLISH), Outgoing("m-2", 0, b"", None)

    assert Copies(0, 5.0).question([durable]) == b""
    assert Copies(2, 5.0).question([ephemeral]) == b""
    assert Copies(2, 5.0).question([ephemeral, durable]) == b"*3\r\n$4\r\nWAIT\r\n$1\r\n2\r\n$3\r\n200\r\n"


def test_a_wait_always_ends() -> None:
    assert Copies(1, 0.001).question([Outgoing("m-1", 0, b"", PUBLISH)]).endswith(b"$1\r\n1\r\n")

    with pytest.raises(ValueError, match="negative"):
        Copies(-1, 5.0)
