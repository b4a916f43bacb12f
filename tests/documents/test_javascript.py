"""Every block of JavaScript is run by Node, before two replicas and some life around it, until it shows something."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import fairlead
from tests.documents.life import life
from tests.documents.pages import Block, blocks_in
from tests.documents.unrun import is_named
from tests.support.npm import NODE, run, tools
from tests.support.redis import Server
from tests.support.replica import Replica, token

STATIC = Path(__file__).parents[2] / "gateway" / "fairlead_gateway" / "static" / "client"
PACKAGE = "gateway/fairlead_gateway/static/client/README.md"
CLIENT = re.compile(r'(?<=from )"(?:(?:http://127\.0\.0\.1:8000)?/static/fairlead\.js|fairlead)"')
TOOLS = ("ws@8.23.0", "@msgpack/msgpack@3.1.2")
REACT = """
export const useState = (value) => [value, (next) => globalThis.show(next)];
export const useEffect = (effect) => void effect();
"""
"""As much of React as a hook needs to be run once."""

SCRIPTS = [
    block._replace(text=found[1])
    for block in blocks_in("python")
    if (found := re.search(r'<script type="module">\n(.*?)</script>', block.text, re.DOTALL))
]
"""Of pages that stand in Python."""

BLOCKS = [block for block in blocks_in("js") if block.note in ("run: page", "run: node") or block.page == PACKAGE]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what blocks import, beside the client itself."""
    folder = tmp_path_factory.mktemp("page")
    modules = folder / "node_modules"
    (modules / "react").mkdir(parents=True)
    (modules / "react" / "package.json").write_text('{"name": "react", "type": "module", "main": "index.js"}')
    (modules / "react" / "index.js").write_text(REACT)
    for found in (tools(TOOLS) / "node_modules").iterdir():
        if not found.name.startswith("."):
            (modules / found.name).symlink_to(found)
    return folder


@pytest.fixture(scope="module", autouse=True)
def neighbours(server: Server, fleet: list[Replica]) -> Iterator[None]:
    with fairlead.connect_sync(server.url) as fl:
        fl.set_state("counter", {"state": {"params": {"count": 41}}})
    with life(server.url, fleet):
        yield


@pytest.mark.parametrize("block", [*SCRIPTS, *BLOCKS], ids=lambda block: block.place)
def test_a_block_shows_something(
    block: Block, fleet: list[Replica], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", token("42"))
    written = place / f"block-{block.line}.mjs"
    text = CLIENT.sub(f'"{STATIC.as_uri()}/fairlead.js"', block.text)
    written.write_text(re.sub(r"ws://127\.0\.0\.1:8000/ws|wss://example\.org/ws", fleet[0].url, text))

    said = run(
        *(str(NODE), str(Path(__file__).with_name("page.mjs")), str(written), fleet[0].http, token("42")), folder=place
    )

    assert said


def test_every_block_is_run_or_named_with_a_reason() -> None:
    others = [block for block in blocks_in("js", "ts", "javascript") if block not in BLOCKS]

    assert [block.place for block in others if not is_named(block)] == []
