"""Patches mean the same in a browser as in Python, for the examples and for documents that nobody thought of."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from fairlead.errors import InvalidMessage
from fairlead.state.patches import apply, checked
from tests.support.browser import BINARY, Page

pytestmark = pytest.mark.skipif(BINARY is None, reason="chromium is not installed")

VECTORS = Path(__file__).parents[1] / "vectors"

KEYS = ["a", "b", "0", "1", "2", "01", "103", "a.b", "\\", "length", "toString", "ü💧", "__proto__"]

SAME = """
(cases) => cases.map(({document, patch, unset}) => {
  let tree;
  try { tree = checked(patch, unset); } catch { return "refused"; }
  return {result: apply(document, tree)};
})
"""


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    async with Page() as page:
        await page.command("Runtime.evaluate", expression=(VECTORS / "patches.js").read_text())
        yield page


async def test_the_examples(page: Page) -> None:
    vectors = json.loads((VECTORS / "patches.json").read_text())
    cases = [{"document": {}, **vector} for vector in vectors]

    results = await in_browser(page, cases)

    expected = ["refused" if "error" in vector else {"result": vector["result"]} for vector in vectors]
    different = [case["name"] for case, got, want in zip(cases, results, expected, strict=True) if got != want]
    assert different == []


async def test_whatever_document_and_patch(page: Page) -> None:
    chance = random.Random(20)
    cases = [case_of(chance) for _ in range(4000)]

    results = await in_browser(page, cases)

    expected = [in_python(case) for case in cases]
    assert 500 < expected.count("refused") < 3500
    for case, got, want in zip(cases, results, expected, strict=True):
        assert got == want, case


async def in_browser(page: Page, cases: list[dict[str, Any]]) -> list[Any]:
    # As text both ways: the protocol of the browser would lose what JSON does not.
    text = await page.evaluate(f"JSON.stringify(({SAME})(JSON.parse({json.dumps(json.dumps(cases))})))")
    results: list[Any] = json.loads(text)
    return results


def in_python(case: dict[str, Any]) -> Any:
    try:
        tree = checked(deepcopy(case["patch"]), case["unset"])
    except InvalidMessage:
        return "refused"
    return {"result": apply(deepcopy(case["document"]), tree)}


def case_of(chance: random.Random) -> dict[str, Any]:
    ends = {path_of(chance): value_of(chance, 2) for _ in range(chance.randint(0, 4))}
    return {
        "document": value_of(chance, 4),
        "patch": ends,
        "unset": [path_of(chance) for _ in range(chance.randint(0, 2))],
    }


def path_of(chance: random.Random) -> str:
    if chance.random() < 0.05:
        return "".join(chance.choices("a.\\", k=3))
    keys = chance.choices(KEYS[:-1] if chance.random() < 0.98 else KEYS, k=chance.randint(1, 4))
    return ".".join(key.replace("\\", "\\\\").replace(".", "\\.") for key in keys)


def value_of(chance: random.Random, levels: int) -> Any:
    kind = chance.random()
    if levels == 0 or kind < 0.3:
        return chance.choice([None, True, False, 0, 1.5, "", "x"])
    if kind < 0.6:
        return [value_of(chance, levels - 1) for _ in range(chance.randint(0, 3))]
    return {key: value_of(chance, levels - 1) for key in chance.sample(KEYS[:-1], chance.randint(0, 4))}
