"""Devices: who watches one learns how it is, the last status first (ST-3)."""

from __future__ import annotations

import pytest

from tests.gateway.running import Gateway, new_session, new_user
from tests.support.replica import token

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_watcher_is_told_the_last_status_first_and_then_every_other(gateway: Gateway) -> None:
    device = new_session()
    await gateway.manager.device_status(device, "online")
    await gateway.manager.device_status(device, "error", error="link down")
    watcher = await gateway.connect()

    await watcher.ask("subscribe", channels=[f"device:{device}"])
    first = await watcher.hear("device_status")
    await gateway.manager.device_status(device, "offline")
    second = await watcher.hear("device_status")

    assert (first["device_id"], first["status"], first["error"]) == (device, "error", "link down")
    assert second["status"] == "offline"
    assert await watcher.heard() == []


async def test_a_device_of_which_nothing_is_known_is_silent(gateway: Gateway) -> None:
    watcher = await gateway.connect()

    await watcher.ask("subscribe", channels=[f"device:{new_session()}"])

    assert await watcher.heard() == []


async def test_only_those_whose_claims_name_it_watch_a_device(gateway: Gateway) -> None:
    await gateway.manager.device_status(456, "risk_control")
    allowed = await gateway.connect(bearer=token(new_user(), devices=["4*"]))
    denied = await gateway.connect(bearer=token(new_user(), devices=["5*"]))

    yes = await allowed.ask("subscribe", channels=["device:456"])
    no = await denied.ask("subscribe", channels=["device:456"])

    assert (yes["ok"], no["code"]) == (True, "forbidden")
    assert (await allowed.hear("device_status"))["device_id"] == 456
    assert await denied.heard() == []
