"""Where replicas of Redis must have a message, its sender is only answered when they do (DEP-3)."""

from __future__ import annotations

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
