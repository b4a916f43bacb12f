"""A replica answers as many questions as it can, and no more; what is asked of it holds up nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from fairlead.errors import Unavailable
from fairlead.format.control import SurveyOrder
from fairlead_gateway.admin import surveys
from fairlead_gateway.admin.surveys import Surveys
from fairlead_gateway.sessions.replica import Replica
from tests.gateway.admin.crowd import lonely_replica
from tests.gateway.patience import until

ORDER = SurveyOrder("id", "slow", {}, "replica:x")


async def test_a_replica_answers_no_more_at_once_than_it_can_and_goes_on_when_it_is_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(surveys, "ANSWERING", 3)
    replica, go_on, begun = lonely_replica(), asyncio.Event(), 0

    async def slow(replica: Replica, about: Mapping[str, Any]) -> Mapping[str, Any]:
        nonlocal begun
        begun += 1
        await go_on.wait()
        raise Unavailable("nobody to tell it")

    asked = Surveys(replica, {"slow": slow})
    for _ in range(1000):
        asked.obey(ORDER)
    await until(lambda: begun == 3)
    assert replica.tasks.running == 3

    go_on.set()
    await until(lambda: replica.tasks.running == 0)
    asked.obey(ORDER)
    await until(lambda: begun == 4)


async def test_nobody_is_answered_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surveys, "ANSWERING_SECONDS", 0.05)
    replica, ended = lonely_replica(), asyncio.Event()

    async def endless(replica: Replica, about: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return {}

    Surveys(replica, {"slow": endless}).obey(ORDER)

    await asyncio.wait_for(ended.wait(), 5)
    await until(lambda: replica.tasks.running == 0)
