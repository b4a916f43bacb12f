"""Runs a command on given cores, with as many files as allowed, and not longer than whoever started it."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys

_PR_SET_PDEATHSIG = 1


def command(cores: frozenset[int], argv: list[str]) -> list[str]:
    """What to start so that *argv* runs pinned: this file, by path, so that no package is imported for it."""
    return [sys.executable, "-I", __file__, ",".join(map(str, sorted(cores))), *argv]


def pin(cores: frozenset[int]) -> None:
    """Bind this process to *cores*, open the limit on files, and end with the parent."""
    os.sched_setaffinity(0, cores)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    pin(frozenset(map(int, sys.argv[1].split(","))))
    os.execvp(sys.argv[2], sys.argv[2:])
