"""
How many newcomers a roll of two workers costs: ``python -m tests.bench.roll [PER_SECOND] [SECONDS]``.

Starts a Redis and ``fairlead serve --workers 2`` of its own, opens so many WebSockets a second, each closed once it was
greeted, sends SIGHUP after the first fifth, and prints how they fared.
"""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.bench.drain import request
from tests.support.redis import Server, free_port
from tests.support.replica import SECRET, environment, wait_until

WORKERS = 2
START_SECONDS = 60.0
ATTEMPT_SECONDS = 5.0
CLOSE = b"\x88\x82\0\0\0\0\x03\xe8"


async def attempt(port: int, hello: bytes) -> tuple[str, float]:
    """How one handshake went, and the seconds until that was known."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    try:
        async with asyncio.timeout(ATTEMPT_SECONDS):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(hello)
                said = b""
                while b"connection_established" not in said and b"drain: " not in said:
                    if not (more := await reader.read(4096)):
                        return "ended", loop.time() - began
                    said += more
                took = loop.time() - began
                writer.write(CLOSE)
                await reader.read()
            finally:
                writer.close()
    except OSError as error:  # a TimeoutError, too
        return type(error).__name__, loop.time() - began
    return ("greeted" if b"connection_established" in said else "sent elsewhere"), took


async def measure(fleet: subprocess.Popen[bytes], port: int, per_second: int, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    began, count = loop.time(), int(per_second * seconds)
    loop.call_later(seconds / 5, fleet.send_signal, signal.SIGHUP)
    async with asyncio.TaskGroup() as tasks:
        attempts = []
        for number in range(count):
            await asyncio.sleep(began + number / per_second - loop.time())
            attempts.append(tasks.create_task(attempt(port, request(f"u{number % 500}"))))
    ends = Counter(task.result()[0] for task in attempts)
    times = sorted(task.result()[1] for task in attempts)
    print(f"{count} attempts: {dict(ends)}; failed {count - ends['greeted']}")
    print(f"greeted within: median {times[count // 2] * 1000:.1f} ms, longest {times[-1] * 1000:.0f} ms")


def main() -> None:
    per_second = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 15.0
    port = free_port()
    with Server() as server, tempfile.NamedTemporaryFile() as log:
        pace = {"drain_linger_seconds": 0.5, "drain_seconds": 1}
        env = environment(redis_url=server.url, jwt_secret=SECRET, log_format="json", **pace)
        fleet = subprocess.Popen(
            [sys.executable, "-m", "fairlead_gateway", "serve", "--port", str(port), "--workers", str(WORKERS)],
            env=env,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            wait_until(lambda: Path(log.name).read_text().count("lease taken") >= WORKERS, START_SECONDS, "workers")
            asyncio.run(measure(fleet, port, per_second, seconds))
            print(f"rolled: {Path(log.name).read_text().count('process replaced')} of {WORKERS} workers replaced")
        finally:
            fleet.terminate()
            print(f"exit status {fleet.wait(timeout=30)}")


if __name__ == "__main__":
    main()
