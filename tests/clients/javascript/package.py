"""The JavaScript client as files, and the tools that look at them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fairlead_gateway.rest.pages import CLIENT, FOLDER
from tests.support.npm import NODE, run, tools

HERE = FOLDER / CLIENT
MODULES = sorted((HERE / "fairlead").glob("*.js"))
ENTRY = HERE / "fairlead.js"


def binaries() -> str:
    """The folder of programs that npm has put in place."""
    return str(tools() / "node_modules" / ".bin")


def tsc(folder: Path, files: list[Path], **options: object) -> str:
    """What TypeScript has to say about *files*, strictly; an error if it has anything."""
    wanted: dict[str, object] = {
        "strict": True,
        "noEmit": True,
        "allowJs": True,
        "checkJs": True,
        "noUnusedLocals": True,
        "target": "es2022",
        "lib": ["es2022", "dom", "dom.iterable"],
        "module": "nodenext",
        "types": [],
    }
    project = {"compilerOptions": wanted | options, "files": [str(file) for file in files]}
    (folder / "tsconfig.json").write_text(json.dumps(project))
    return run(str(tools() / "node_modules" / ".bin" / "tsc"), "-p", ".", folder=folder, seconds=120)


def node(folder: Path, script: str, *options: str, seconds: float = 60, **variables: str) -> Any:
    """What a module prints, as JSON; it must end by itself within *seconds*."""
    (folder / "script.mjs").write_text(script)
    said = run(str(NODE), *options, "script.mjs", folder=folder, seconds=seconds, **variables)
    return json.loads(said)
