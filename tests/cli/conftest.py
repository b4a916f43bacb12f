"""The command line, called in this process with an environment of its own."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest

from fairlead_gateway.cli.commands import run
from tests.support.replica import SECRET, Replica


@dataclass(frozen=True)
class Outcome:
    """What a command said and ended with."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Fairlead(Protocol):
    def __call__(self, *args: str) -> Outcome: ...


@pytest.fixture(autouse=True)
def runtime(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No settings from outside, and no development server but those of the test."""
    for name in os.environ:
        if name.startswith(("FAIRLEAD_", "WEBSOCKET_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def fairlead(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Fairlead:
    def call(*args: str) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["fairlead", *args])
        capsys.readouterr()
        status = run()
        said = capsys.readouterr()
        return Outcome(status, said.out, said.err)

    return call


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch, redis_url: str, prefix: str) -> None:
    """The environment of an operator: a Redis and a secret."""
    for name, value in {"REDIS_URL": redis_url, "PREFIX": prefix, "JWT_SECRET": SECRET}.items():
        monkeypatch.setenv(f"FAIRLEAD_{name}", value)


@pytest.fixture
def replica(configured: None, redis_url: str, prefix: str) -> Iterator[Replica]:
    with Replica(redis_url, prefix, name="cli") as running:
        yield running
