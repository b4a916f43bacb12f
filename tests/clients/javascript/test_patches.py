"""Patches mean the same to the JavaScript client as to Python, and change no document in place."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from tests.browser.test_patches import case_of, in_python
from tests.clients.javascript.package import HERE, node

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "patches.json").read_text())

PROGRAM = """
import {{ readFileSync }} from "node:fs";
import {{ apply, checked }} from "{module}";

const frozen = (value) => {{
  if (typeof value === "object" && value !== null) Object.values(Object.freeze(value)).forEach(frozen);
  return value;
}};
const results = JSON.parse(readFileSync("cases.json", "utf8")).map(({{ document, patch, unset }}) => {{
  let tree;
  try {{
    tree = checked(frozen(patch), unset);
  }} catch (error) {{
    if (error instanceof TypeError) return "refused";
    throw error;
  }}
  return {{ result: apply(frozen(document), tree) }};
}});
if ({{}}.polluted !== undefined) throw new Error("a prototype was changed");
console.log(JSON.stringify(results));
"""


def in_node(folder: Path, cases: list[dict[str, Any]]) -> list[Any]:
    (folder / "cases.json").write_text(json.dumps(cases))
    results: list[Any] = node(folder, PROGRAM.format(module=HERE / "fairlead" / "patches.js"))
    return results


def test_the_examples(tmp_path: Path) -> None:
    results = in_node(tmp_path, [{"document": {}, **vector} for vector in VECTORS])

    expected = ["refused" if "error" in vector else {"result": vector["result"]} for vector in VECTORS]
    different = [case["name"] for case, got, want in zip(VECTORS, results, expected, strict=True) if got != want]
    assert different == []


def test_whatever_document_and_patch(tmp_path: Path) -> None:
    chance = random.Random(21)
    cases = [case_of(chance) for _ in range(4000)]

    results = in_node(tmp_path, cases)

    expected = [in_python(case) for case in cases]
    assert 500 < expected.count("refused") < 3500
    for case, got, want in zip(cases, results, expected, strict=True):
        assert got == want, case


def test_no_prototype_is_reached(tmp_path: Path) -> None:
    patches = [{"__proto__.polluted": 1}, {"constructor.prototype.polluted": 1}, {"a.__proto__.polluted": 1}]
    documents: list[Any] = [json.loads('{"__proto__": {"a": 1}}'), {}, []]

    results = in_node(tmp_path, [{"document": document, "patch": patch} for document in documents for patch in patches])

    assert set(results) == {"refused"}
    (kept,) = in_node(tmp_path, [{"document": documents[0], "patch": {"toString.x": 1}}])
    assert kept == {"result": {"__proto__": {"a": 1}, "toString": {"x": 1}}}
