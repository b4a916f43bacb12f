"""Where a running ``fairlead dev`` tells the other commands how to reach it: a file that only its user can read."""

from __future__ import annotations

import json
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

_PRIVATE_DIRECTORY: Final = 0o700
_PRIVATE_FILE: Final = 0o600
_OTHERS: Final = 0o077


@dataclass(frozen=True, slots=True)
class DevServer:
    """A development server that is running."""

    pid: int
    redis_url: str
    prefix: str
    secret: str
    urls: tuple[str, ...]
    """WebSocket addresses of its replicas."""


def directory() -> Path:
    """``$XDG_RUNTIME_DIR/fairlead``, else a folder of this user among the temporary files."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    return Path(runtime, "fairlead") if runtime else Path(tempfile.gettempdir(), f"fairlead-{os.getuid()}")


def path() -> Path:
    """The file itself."""
    return directory() / "dev.json"


@contextmanager
def announced(server: DevServer) -> Iterator[None]:
    """Tell of *server* inside the block. Of several, the one started last is told of."""
    place = path()
    place.parent.mkdir(mode=_PRIVATE_DIRECTORY, parents=True, exist_ok=True)
    if not _is_ours(place.parent):
        raise PermissionError(f"{place.parent} can be changed by other users: remove it, or set XDG_RUNTIME_DIR")
    draft = place.with_suffix(f".{server.pid}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _PRIVATE_FILE), "w") as file:
        json.dump(asdict(server), file)
    draft.replace(place)
    try:
        yield
    finally:
        if (current := find()) is None or current.pid == server.pid:
            place.unlink(missing_ok=True)


def find() -> DevServer | None:
    """The development server of this user, if one is running."""
    place = path()
    if not (_is_ours(place.parent) and _is_ours(place)):
        return None
    with suppress(OSError, ValueError, TypeError, KeyError):  # half a file of a killed process is no server
        facts = json.loads(place.read_text())
        server = DevServer(**{**facts, "urls": tuple(facts["urls"])})
        return server if _is_alive(server.pid) else None
    return None


def _is_ours(place: Path) -> bool:
    """Whether only this user can have written it: somebody else's file would send our tokens to their server."""
    try:
        facts = place.lstat()
    except OSError:
        return False
    return facts.st_uid == os.getuid() and not stat.S_ISLNK(facts.st_mode) and not facts.st_mode & _OTHERS


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True
