"""The package for npm: small, whole, and usable in an empty folder."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import sys
from pathlib import Path

import pytest

from fairlead.version import __version__
from tests.clients.javascript.package import ENTRY, HERE, MODULES, binaries, node, tsc
from tests.support.npm import npm

ROOT = Path(__file__).parents[3]
BUNDLE_BYTES = 12_000
SOURCE_BYTES = 26_000

PROGRAM = """
import { Client, FairleadError, type Message, type StateChange } from "fairlead";
import WebSocket from "ws";

const token = async (reason: string) => (reason === "refused" ? null : "t");
const client = new Client("wss://example.org/ws", { token, WebSocket });
const off = client.onState((change: StateChange) => console.log(change.word.length + change.retryInMs));
client.on("*", (message: Message) => console.log(message.type, message["anything"]));
client.onQuestion(async (question, signal) => {
  signal.addEventListener("abort", () => off());
  return { proceed: true, choice: question.choices[0]?.value };
});
export async function main(): Promise<string> {
  await client.connect();
  const room = client.session("s1");
  const { message_id } = await room.send({ a: 1 }, { messageId: "m1", timeoutMs: 10 });
  try {
    await client.instance("i").patch({ "a.b": 1 }, { baseVersion: 3 });
  } catch (error) {
    if (error instanceof FairleadError && error.code === "conflict") return String(error.detail["version"]);
  }
  // @ts-expect-error: there is no such option
  new Client("/ws", { tokn: "t" });
  // @ts-expect-error: a state is only read
  client.state = "open";
  return message_id;
}
"""


@pytest.fixture(scope="module")
def tarball(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ``npm pack`` makes of a clean copy."""
    folder = tmp_path_factory.mktemp("packed")
    copy = shutil.copytree(HERE, folder / "client", ignore=shutil.ignore_patterns("fairlead.min.js"))
    npm("pack", "--silent", "--pack-destination", str(folder), folder=copy, PATH=binaries())
    return folder / f"fairlead-{__version__}.tgz"


@pytest.fixture(scope="module")
def installed(tarball: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of somebody's, in which nothing is but the package."""
    folder = tmp_path_factory.mktemp("shop")
    (folder / "package.json").write_text('{"type": "module", "private": true}')
    npm("install", "--offline", "--no-audit", "--no-fund", "--silent", str(tarball), folder=folder)
    return folder / "node_modules" / "fairlead"


def test_it_is_the_version_of_the_gateway() -> None:
    package = json.loads((HERE / "package.json").read_text())

    assert package["version"] == __version__
    assert package["license"] == "MIT"
    assert "dependencies" not in package
    assert (HERE / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()


def test_it_holds_what_programs_load_and_nothing_else(installed: Path) -> None:
    modules = {f"fairlead/{path.name}" for path in MODULES} | {"fairlead/types.d.ts"}
    others = {"fairlead.js", "fairlead.d.ts", "fairlead.min.js", "package.json", "README.md", "LICENSE"}

    assert {
        path.relative_to(installed).as_posix() for path in installed.rglob("*") if path.is_file()
    } == modules | others


def test_it_is_small(installed: Path) -> None:
    bundle = len(gzip.compress((installed / "fairlead.min.js").read_bytes()))
    sources = sum(len(gzip.compress(path.read_bytes())) for path in (ENTRY, *MODULES))

    sys.stdout.write(f"gzipped: {bundle} bytes minified, {sources} bytes of modules as they are served\n")
    assert bundle < BUNDLE_BYTES
    assert sources < SOURCE_BYTES


@pytest.mark.parametrize("name", ["fairlead", "fairlead/fairlead.min.js"])
def test_it_is_imported_and_leaves_nothing_behind(installed: Path, name: str) -> None:
    names = node(
        installed.parents[1],
        f"""
        const before = new Set(Reflect.ownKeys(globalThis));
        const module = await import("{name}");
        const client = new module.Client("ws://127.0.0.1:9/ws", {{ token: "t" }});
        client.close();
        const state = client.state;
        const left = Reflect.ownKeys(globalThis).filter((key) => typeof key === "string" && !before.has(key));
        console.log(JSON.stringify({{ names: Object.keys(module).sort(), state, left }}));
        """,
        seconds=10,
    )

    assert names == {
        "names": ["Client", "FairleadError", "Instance", "Session", "Task", "default"],
        "state": "stopped",
        "left": [],
    }


def test_what_its_readme_shows_compiles_against_it(installed: Path) -> None:
    (shown,) = re.findall(r"```js\n(.*?)```", (installed / "README.md").read_text(), re.DOTALL)
    folder = installed.parents[1]
    (folder / "shown.ts").write_text(shown)

    tsc(folder, [folder / "shown.ts"], allowJs=False, checkJs=False)


def test_a_typescript_program_compiles_against_it(installed: Path) -> None:
    folder = installed.parents[1]
    (folder / "program.ts").write_text(
        PROGRAM.replace('import WebSocket from "ws";', "declare const WebSocket: unknown;")
    )

    tsc(folder, [folder / "program.ts"], allowJs=False, checkJs=False)
