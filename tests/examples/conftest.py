"""The examples as they stand, before a Redis of their own and two replicas."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import fairlead
from fairlead.backend.backend import Backend
from fairlead_gateway.processes import bound_to
from tests.support.client import Client, Frame
from tests.support.redis import Server
from tests.support.replica import Replica, environment, replicas

EXAMPLES = Path(__file__).parents[2] / "deploy" / "examples"


@pytest.fixture(scope="package")
def redis_url() -> Iterator[str]:
    """Examples use the prefix that everybody has."""
    with Server() as server:
        yield server.url


@pytest.fixture(scope="package")
def fleet(redis_url: str) -> Iterator[list[Replica]]:
    with replicas(2, redis_url, "fl") as fleet:
        yield fleet


@pytest.fixture
async def fl(redis_url: str) -> AsyncIterator[Backend]:
    async with fairlead.connect(redis_url, name="examples") as backend:
        yield backend


@contextmanager
def example(redis_url: str, log: Path, *python: str) -> Iterator[subprocess.Popen[bytes]]:
    """A Python process among the examples, in a process group of its own, which is killed at the end."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, *python],
            cwd=EXAMPLES,
            env=environment() | {"REDIS_URL": redis_url, "PYTHONDONTWRITEBYTECODE": "1"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            process_group=0,
            preexec_fn=bound_to(os.getpid()),
        )
    try:
        yield process
    finally:
        kill(process)


def kill(process: subprocess.Popen[bytes]) -> None:
    """End a process and its children as a power cut would."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=10)


async def answered(client: Client, asked: Frame, **answer: object) -> None:
    ack = await client.ask("confirm", callback_id=asked["callback_id"], **answer)
    assert ack["status"] == "accepted", ack


def questions(client: Client) -> set[str]:
    """Everything that a client has been asked so far."""
    return {frame["callback_id"] for frame in client.frames if frame["type"] == "task_step_result"}
