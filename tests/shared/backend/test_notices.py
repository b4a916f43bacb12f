"""Notices of a kind of their own: devices, AI, messages; exactly as clients expect them (ST-3, ST-5)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis

import fairlead
from fairlead.errors import InvalidMessage
from fairlead.format.envelope import unseal
from fairlead.names import Names


@pytest.fixture
async def fl(redis_url: str, prefix: str) -> AsyncIterator[fairlead.Backend]:
    async with fairlead.connect(redis_url, prefix=prefix, name="crm") as fl:
        yield fl


@pytest.fixture
async def heard(redis: Redis, names: Names) -> AsyncIterator[Any]:
    """Called with nothing, the next frame on device:456 or session:s1."""
    async with redis.pubsub() as pubsub:
        await pubsub.subscribe(names.pubsub("device:456"), names.pubsub("session:s1"))
        for _ in range(2):
            assert await pubsub.get_message(timeout=5)

        async def next_frame() -> dict[str, Any]:
            message = await pubsub.get_message(timeout=5)
            assert message is not None
            delivery = unseal(message["data"])
            return {**json.loads(delivery.envelope.frame), "offset": delivery.offset}

        yield next_frame


@pytest.mark.parametrize("status", ["online", "offline", "error", "risk_control", "banned"])
async def test_a_device_is_told_of_as_the_source_document_shows(fl: fairlead.Backend, heard: Any, status: Any) -> None:
    sent = await fl.device_status(456, status, message="in rack 7")

    frame = await heard()

    assert {key: frame[key] for key in ("type", "device_id", "status", "message")} == {
        "type": "device_status",
        "device_id": 456,
        "status": status,
        "message": "in rack 7",
    }
    assert (frame["id"], frame["from"]) == (sent.id, "service:crm")
    assert frame["timestamp"].endswith("Z")
    assert sent.receivers == 1


async def test_the_last_status_of_a_device_is_kept_for_whoever_comes_later(
    fl: fairlead.Backend, redis_url: str, redis: Redis, names: Names
) -> None:
    before = await fl.device_state(456)
    await fl.device_status(456, "online")
    await fl.device_status("456", "error", timestamp="2025-06-17T10:30:00Z")
    with fairlead.connect_sync(redis_url, prefix=names.prefix) as sync:
        state = sync.device_state(456)
        sync.device_status(456, "banned")
        with sync.batch():
            sync.device_status("other", "offline")

    assert before is None
    assert state is not None
    assert (state["device_id"], state["status"], state["timestamp"]) == ("456", "error", "2025-06-17T10:30:00Z")
    after, other = await fl.device_state("456"), await fl.device_state("other")
    assert after is not None and other is not None
    assert (after["status"], other["status"]) == ("banned", "offline")
    assert 2_591_990 < await redis.ttl(names.latest("device:456")) <= 2_592_000


async def test_garbage_where_a_state_is_kept_is_no_state(fl: fairlead.Backend, redis: Redis, names: Names) -> None:
    await redis.set(names.latest("device:456"), b"\xff not an envelope")

    assert await fl.device_state(456) is None


async def test_where_devices_have_a_history_sending_again_does_not_bring_an_old_state_back(
    redis_url: str, names: Names
) -> None:
    async with fairlead.connect(redis_url, prefix=names.prefix, durable=("device",)) as fl:
        first = await fl.device_status(456, "online")
        second = await fl.device_status(456, "offline")
        state = await fl.device_state(456)

    assert (first.offset, second.offset) == (1, 2)
    assert state is not None and state["status"] == "offline"


@pytest.mark.parametrize(
    ("device", "status"),
    [(456, "fine"), (456, ""), ("a b", "online"), (None, "online"), (True, "online"), (1.5, "online")],
)
async def test_what_is_no_device_or_no_status_is_refused(fl: fairlead.Backend, device: Any, status: Any) -> None:
    with pytest.raises(InvalidMessage):
        await fl.device_status(device, status)


async def test_what_the_ai_does_is_shown_and_not_kept(
    fl: fairlead.Backend, heard: Any, redis: Redis, names: Names
) -> None:
    await fl.ai_status("s1", "thinking", "looking it up", progress=40)
    async with fl.batch():
        await fl.ai_status("s1", "done")

    thinking, done = await heard(), await heard()

    facts = {key: thinking[key] for key in ("type", "session_id", "status", "message", "progress", "from", "offset")}
    assert facts == {
        "type": "ai_processing_status",
        "session_id": "s1",
        "status": "thinking",
        "message": "looking it up",
        "progress": 40,
        "from": "ai",
        "offset": 0,
    }
    assert (done["status"], done["offset"], "message" in done) == ("done", 0, False)
    assert not await redis.exists(names.log("session:s1"))


async def test_what_became_of_a_message_is_kept_with_its_session(fl: fairlead.Backend, heard: Any) -> None:
    sent = await fl.message_status("s1", "m-1", "delivered", to_device="phone")

    frame = await heard()

    assert {key: frame[key] for key in ("type", "session_id", "message_id", "status", "offset")} == {
        "type": "message_status_update",
        "session_id": "s1",
        "message_id": "m-1",
        "status": "delivered",
        "offset": 1,
    }
    assert sent.offset == 1


@pytest.mark.parametrize(("message", "status"), [("m-1", "seen"), ("", "read"), (None, "read"), ("x" * 129, "read")])
async def test_what_is_no_status_of_a_message_is_refused(fl: fairlead.Backend, message: Any, status: Any) -> None:
    with pytest.raises(InvalidMessage):
        await fl.message_status("s1", message, status)
