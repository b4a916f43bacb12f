"""What the demonstration page says of a recovery is what came, not what was hoped for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.browser import BINARY, Page
from tests.support.replica import Replica

pytestmark = pytest.mark.skipif(BINARY is None, reason="chromium is not installed")

LOBBY, OWN = "session:lobby", "user:ada"

VERDICT = """
import("/demo/static/core/ledger.js").then(({ Ledger }) => {
  const [before, recoveries, heard] = %s;
  const ledger = new Ledger();
  ledger.lost(before);
  for (const one of recoveries) ledger.recovered(one);
  const positions = structuredClone(before);
  for (const one of heard) {
    ledger.heard(one);
    positions[one.channel] = { offset: one.offset };
  }
  return { ...ledger.verdict(positions), isWhole: ledger.isWhole(positions) };
})
"""


def said(*offsets: int, channel: str = LOBBY, type: str = "new_message") -> list[dict[str, Any]]:
    return [{"channel": channel, "type": type, "offset": offset} for offset in offsets]


def back(missed: int, channel: str = LOBBY, **told: Any) -> dict[str, Any]:
    return {"channel": channel, "recovered": True, "missed": missed, **told}


CASES = {
    "nothing was missed": ([back(0)], [], "nothing was missed", True),
    "one": ([back(1)], said(11), "1 message missed, all here, in order", True),
    "what is new by then does not count": ([back(2)], said(11, 12, 13), "2 messages missed, all here, in order", True),
    "updates beside": (
        [back(1), back(2, OWN)],
        said(11) + said(11, 12, channel=OWN, type="message_status_update"),
        "1 message and 2 updates missed, all here, in order",
        True,
    ),
    "the last one is not here": ([back(3)], said(11, 12), "2 messages missed, not all here, in order", False),
    "two have changed places": ([back(2)], said(12, 11), "2 messages missed, not all here, out of order", False),
    "one came twice": ([back(2)], said(11, 11, 12), "3 messages missed, all here, out of order", False),
    "gone": ([back(5, recovered=False)], [], "what was missed in session:lobby is gone; it begins anew", False),
    "not to be heard any more": ([back(0, recovered=False, code="forbidden")], [], "nothing was missed", True),
}


async def test_the_verdict(page: Page, pair: list[Replica]) -> None:
    await page.open(f"{pair[0].http}/healthz")
    before = {LOBBY: {"offset": 10}, OWN: {"offset": 10}}

    for name, (recoveries, heard, text, is_good) in CASES.items():
        verdict = await page.evaluate(VERDICT % json.dumps([before, recoveries, heard]))

        assert (verdict["text"], verdict["isGood"]) == (text, is_good), name
