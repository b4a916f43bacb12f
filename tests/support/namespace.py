"""A network namespace beside this machine's own network: what is dropped there is dropped as by a broken switch."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from itertools import count
from types import TracebackType
from typing import Final, Self

_NUMBERS = count(1)

UP: Final = "output"
"""What those inside send."""

DOWN: Final = "input"
"""What is sent to them."""


def is_possible() -> bool:
    """Whether we may make one: as root, with Debian's iproute2 and nftables."""
    return os.geteuid() == 0 and all(shutil.which(tool) for tool in ("ip", "nft"))


class Namespace:
    """One veth pair between here and there, until the end of the block."""

    def __init__(self) -> None:
        number = next(_NUMBERS)
        self._name = f"fairlead-{os.getpid()}-{number}"
        self._pair = (f"fl{os.getpid() % 100_000}h{number}", f"fl{os.getpid() % 100_000}n{number}")
        subnet = f"10.213.{os.getpid() % 250}"
        self.here = f"{subnet}.{4 * number + 1}"
        """Our address, for those inside."""
        self.there = f"{subnet}.{4 * number + 2}"
        """The address of those inside."""

    @property
    def within(self) -> tuple[str, ...]:
        """What to put in front of a command to run it inside."""
        return ("ip", "netns", "exec", self._name)

    def drop(self, port: int, *ways: str, one_of: int = 1) -> None:
        """Let nothing pass to (`UP`) or from (`DOWN`) *port* here, or lose *one_of* so many; nobody is told."""
        by_chance = ("numgen", "random", "mod", str(one_of), "0") if one_of > 1 else ()
        for way in ways:
            end = "dport" if way == UP else "sport"
            rule = ("tcp", end, str(port), *by_chance, "counter", "drop")
            self._inside("nft", "add", "rule", "inet", "faults", way, *rule)

    def dropped(self) -> int:
        """Packets that were dropped since the last `clear`."""
        rules = self._inside("nft", "list", "table", "inet", "faults")
        return sum(int(count) for count in re.findall(r"packets (\d+)", rules))

    def clear(self) -> None:
        """All passes again."""
        for way in (UP, DOWN):
            self._inside("nft", "flush", "chain", "inet", "faults", way)

    def __enter__(self) -> Self:
        host, inner = self._pair
        _run("ip", "netns", "add", self._name)
        try:
            _run("ip", "link", "add", host, "type", "veth", "peer", "name", inner, "netns", self._name)
            _run("ip", "addr", "add", f"{self.here}/30", "dev", host)
            _run("ip", "link", "set", host, "up")
            self._inside("ip", "addr", "add", f"{self.there}/30", "dev", inner)
            for device in (inner, "lo"):
                self._inside("ip", "link", "set", device, "up")
            self._inside("nft", "add", "table", "inet", "faults")
            for way in (UP, DOWN):
                hook = f"{{ type filter hook {way} priority 0; }}"
                self._inside("nft", "add", "chain", "inet", "faults", way, hook)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _run("ip", "netns", "delete", self._name)

    def _inside(self, *command: str) -> str:
        return _run(*self.within, *command)


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout
