"""Where replicas of Redis must have a message, its sender is only answered when they do (DEP-3)."""

from __future__ import annotations

import asyncio

import pytest

import fairlead
from fairlead.errors import Unavailable
from tests.gateway.running import new_session, serving, settings_for
from tests.support.pair import pair
from tests.support.redis import valkey_binary


async def test_a_message_is_answered_when_the_replica_of_redis_has_it() -> None:
    session = new_session()
    async with pair(valkey_binary()) as both:
        settings = settings_for(both.master.url, durable_replicas=1, message_timeout_seconds=2.0)
        async with serving(settings) as gateway:
            sender = await gateway.connect("a", f"/ws/chat/session/{session}")
            stored = await sender.ask("message", session_id=session, content="one")

            both.replica.freeze()
            refused = await sender.ask("message", session_id=session, content="two")
            typing = await sender.ask("typing", session_id=session, is_typing=True)
            both.replica.thaw()
            again = await sender.ask("message", session_id=session, content="three")

    assert (stored["type"], stored["offset"]) == ("reply", 1)
    assert (refused["type"], refused["code"]) == ("error", "unavailable")
    assert "not on enough replicas" in refused["message"]
    assert refused["detail"]["unknown"] is True
    assert typing["type"] == "reply", "what is not kept waits for nobody"
    assert (again["type"], again["offset"]) == ("reply", 3), "the one that was refused was stored all the same"


async def test_an_answer_counts_when_the_replica_of_redis_has_it(prefix: str) -> None:
    async with pair(valkey_binary()) as both:
        settings = settings_for(both.master.url, prefix=prefix, durable_replicas=1, message_timeout_seconds=2.0)
        options = {"prefix": prefix, "durable_replicas": 1, "timeout_seconds": 8}
        async with serving(settings) as gateway, fairlead.connect(both.master.url, **options) as backend:  # type: ignore[arg-type]
            anna = await gateway.connect("anna")
            asking = asyncio.create_task(backend.ask("anna", "Go on?", timeout=60))
            asked = await anna.hear("task_step_result")

            both.replica.freeze()
            refused = await anna.ask("confirm", callback_id=asked["callback_id"], proceed=True)
            await asyncio.wait([asking], timeout=1.5)
            assert not asking.done(), "the master alone has it"
            both.replica.thaw()
            accepted = await anna.ask("confirm", callback_id=asked["callback_id"], proceed=True)
            confirmation = await asyncio.wait_for(asking, 5)

    assert (refused["type"], refused["code"]) == ("error", "unavailable")
    assert accepted["status"] in ("accepted", "duplicate")
    assert confirmation.by_human


@pytest.mark.parametrize("face", ["asyncio", "threads"])
async def test_nobody_is_shown_a_question_that_one_server_alone_has(prefix: str, face: str) -> None:
    async with pair(valkey_binary()) as both:
        options = {"prefix": prefix, "durable_replicas": 1, "timeout_seconds": 0.6}
        both.replica.freeze()
        with pytest.raises(Unavailable, match="not on enough replicas"):
            if face == "asyncio":
                async with fairlead.connect(both.master.url, **options) as backend:  # type: ignore[arg-type]
                    await backend.begin_ask("anna", "Go on?")
            else:
                with fairlead.connect_sync(both.master.url, **options) as blocking:  # type: ignore[arg-type]
                    await asyncio.to_thread(blocking.begin_ask, "anna", "Go on?")
        said = await both.redis.keys(f"{prefix}:*:user:anna:log")

    assert said == []
