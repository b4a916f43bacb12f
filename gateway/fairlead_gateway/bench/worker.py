"""A process of the load, and how it is told what to do."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Generic, Protocol, TypeVar, cast

from fairlead_gateway.bench import pinned

Answer = TypeVar("Answer")
Answer_co = TypeVar("Answer_co", covariant=True)


class Order(Generic[Answer_co]):
    """What a worker is told; the type parameter is what it answers."""


class WorkerFailed(Exception):
    """A worker of the load could not do what it was told; the figures of this run mean nothing."""


class TooLate(Exception):
    """Something of the bench did not happen within its deadline."""


class Work(Protocol):
    """What runs in the process of a worker, until it is told to end."""

    def __call__(self, pipe: Connection, /) -> None: ...


class Worker:
    """The near end: orders go out, answers come back in the same order."""

    def __init__(self, work: Work, cores: frozenset[int], name: str) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, far = context.Pipe()
        self._process = context.Process(target=_begin, args=(work, far, cores), name=name, daemon=True)
        self._process.start()
        far.close()
        self.name = name

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def tell(self, order: Order[Answer]) -> Callable[[float], Answer]:
        """Send *order*; the result, called with seconds to wait, is the answer."""
        self._pipe.send(order)
        return lambda seconds: cast(Answer, self._hear(order, seconds))

    def ask(self, order: Order[Answer], seconds: float = 10.0) -> Answer:
        return self.tell(order)(seconds)

    def _hear(self, order: Order[Answer], seconds: float) -> object:
        if not self._pipe.poll(seconds):
            raise TooLate(f"{self.name} did not answer {type(order).__name__} within {seconds:.0f} s")
        try:
            answer: object = self._pipe.recv()
        except EOFError as error:
            raise WorkerFailed(f"{self.name} is gone") from error
        if isinstance(answer, WorkerFailed):
            raise answer
        return answer

    def end(self) -> None:
        """Close the pipe, which ends the work; a worker that does not notice within a second is killed."""
        self._pipe.close()
        self._process.join(1)
        if self._process.is_alive():
            self._process.kill()
        self._process.join(5)


@contextmanager
def worker(work: Work, cores: frozenset[int], name: str) -> Iterator[Worker]:
    """A worker that is gone when the block is."""
    started = Worker(work, cores, name)
    try:
        yield started
    finally:
        started.end()


def _begin(work: Work, pipe: Connection, cores: frozenset[int]) -> None:
    pinned.pin(cores)
    try:
        work(pipe)
    except (EOFError, BrokenPipeError, KeyboardInterrupt):
        os._exit(0)  # told to end: nothing here needs tidying, and thousands of sockets close faster this way
    except Exception as error:  # noqa: BLE001 whatever it was, the other side must not wait for an answer
        pipe.send(WorkerFailed(f"{type(error).__name__}: {error}"))


def deadline_in(seconds: float) -> Callable[[], float]:
    """Seconds left until then, never negative."""
    end = time.monotonic() + seconds
    return lambda: max(0.0, end - time.monotonic())
