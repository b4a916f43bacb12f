"""What /proc says of this machine and of processes on it."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_TICK_SECONDS: Final = 1 / os.sysconf("SC_CLK_TCK")
_AFTER_NAME: Final = 2
"""Fields of /proc/PID/stat are counted from 1, and the first that is split off after the name is the third."""


@dataclass(frozen=True, slots=True)
class Cores:
    """One core for the server, all others for what loads it."""

    server: frozenset[int]
    load: frozenset[int]

    @classmethod
    def divided(cls) -> Cores:
        """Those this process may use; a single core is shared, and nothing measured on it is worth quoting."""
        first, *others = sorted(os.sched_getaffinity(0))
        return cls(frozenset({first}), frozenset(others or [first]))

    @property
    def shared(self) -> bool:
        return self.server == self.load


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def cpu_seconds(pids: tuple[int, ...]) -> float:
    """User and system time of whole processes, all threads together."""
    ticks = 0
    for pid in pids:
        fields = _stat(pid)
        ticks += int(fields[13 - _AFTER_NAME]) + int(fields[14 - _AFTER_NAME])
    return ticks * _TICK_SECONDS


def busy_seconds(cores: frozenset[int]) -> float:
    """What everybody together has used of *cores* since the machine started."""
    lines = (line.split() for line in Path("/proc/stat").read_text().splitlines())
    names = {f"cpu{core}" for core in cores}
    return sum(sum(map(int, times)) - _idle(times) for name, *times in lines if name in names) * _TICK_SECONDS


def _idle(times: list[str]) -> int:
    """Idle, waiting for a disk, and the time of guests, which is in user time already."""
    return int(times[3]) + int(times[4]) + sum(map(int, times[8:]))


def family(pid: int) -> tuple[int, ...]:
    """A process and all that descend from it."""
    children = [
        int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()
    ]
    return (pid, *(member for child in children for member in family(child)))


def open_files(pids: tuple[int, ...]) -> int:
    """Files and sockets that processes hold."""
    return sum(1 for pid in pids for _ in Path(f"/proc/{pid}/fd").iterdir())


def resident_kb(pids: tuple[int, ...]) -> int:
    """Proportional set size in kB: resident memory, with shared pages divided among those who share them."""
    return sum(_pss_kb(pid) for pid in pids)


def _pss_kb(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    raise LookupError(f"no Pss in /proc/{pid}/smaps_rollup")


def facts() -> dict[str, str | int]:
    """What a figure must be read beside."""
    cpus = Path("/proc/cpuinfo").read_text().splitlines()
    models = (line.partition(":")[2].strip() for line in cpus if line.startswith("model name"))
    return {
        "cpu": next(models, platform.machine()),
        "cores": os.cpu_count() or 1,
        "kernel": platform.release(),
        "python": platform.python_version(),
    }
