"""Which processes there are, from ``/proc``."""

from __future__ import annotations

from pathlib import Path


def ended(pid: int) -> bool:
    """Whether *pid* runs no more; one that was not yet waited for counts as ended."""
    return _state(pid) in ("", "Z", "X")


def children_of(pid: int) -> list[int]:
    """Child processes of *pid*, the earliest first."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        found.extend(map(int, task.read_text().split()))
    return sorted(found)


def descendants_of(pid: int) -> list[int]:
    """Children, their children, and so on."""
    children = children_of(pid)
    return children + [inner for child in children for inner in descendants_of(child)]


def alive_in_group(group: int) -> list[int]:
    """Processes of the process group *group* that have not ended."""
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()]
    return [pid for pid in pids if _field(pid, 2) == str(group) and not ended(pid)]


def _state(pid: int) -> str:
    return _field(pid, 0)


def _field(pid: int, number: int) -> str:
    """A field of ``/proc/PID/stat`` after the name: 0 state, 1 parent, 2 group."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[number]
    except OSError:
        return ""
