"""No secret is in anything that a replica writes or answers, from its start over an outage to its end (T2, T19)."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import Any, Final

import httpx2
from redis.asyncio import Redis
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from fairlead_gateway.rest.route import PREFIX
from fairlead_gateway.rest.table import ROWS
from tests.support.redis import Server, free_port
from tests.support.replica import Replica, environment, wait_until

SECONDS = 20.0

REDIS_PASSWORD: Final = "canary-of-redis-4711-6a0c"
JWT_SECRET: Final = "canary0of0tokens0f3a1c5e7092b4d6880ac1e3f5d7b9024"
WEBHOOK_SECRET: Final = "canary0of0the0webhook0b4d6880ac1e3f5d7b9024f3a1c"
WEBHOOK_PATH: Final = "canary-path-of-the-webhook"
QUERY_TOKEN: Final = "canary-token-in-a-query"

PAGES: Final = ("/healthz", "/readyz", "/metrics", "/openapi.json", "/asyncapi.json", "/docs", "/dashboard")


def test_no_secret_is_written_or_answered(prefix: str) -> None:
    port = free_port()
    settings: dict[str, Any] = {
        "jwt_secret": JWT_SECRET,
        "log_level": "debug",
        "alerts": "backends_behind=0/0",
        "alert_webhook_url": f"http://127.0.0.1:{free_port()}/{WEBHOOK_PATH}",
        "alert_webhook_secret": WEBHOOK_SECRET,
        "lease_seconds": 3,
    }
    url = f"redis://:{REDIS_PASSWORD}@127.0.0.1:{port}/0"
    with Server("--requirepass", REDIS_PASSWORD, port=port) as redis, Replica(url, prefix, **settings) as replica:
        bearer = asyncio.run(_lives(replica, url, prefix))
        redis.stop()
        wait_until(lambda: not replica.is_ready(), SECONDS, "it notices that Redis is away")
        answers = asyncio.run(_answers(replica, bearer))
        with Server("--requirepass", "another", port=port):
            wait_until(lambda: "credentials" in replica.log, SECONDS, "it notices that it is refused")
            answers += asyncio.run(_answers(replica, bearer))
        redis.start()
        wait_until(replica.is_ready, SECONDS, "Redis is back")
        asyncio.run(_fall_behind(url, prefix))
        wait_until(lambda: "webhook not told" in replica.log, SECONDS, "the webhook is not there")
        answers += asyncio.run(_answers(replica, bearer))
        assert replica.stop() == 0
        told = {"log": replica.log, "answers": answers, "commands": _commands(url, settings)}

    canaries = {
        REDIS_PASSWORD,
        JWT_SECRET,
        WEBHOOK_SECRET,
        WEBHOOK_PATH,
        QUERY_TOKEN,
        bearer,
        bearer.rpartition(".")[2],
    }
    assert {(where, canary) for where, text in told.items() for canary in canaries if canary in text} == set()
    assert "Traceback" not in told["log"]
    assert len(told["log"]) > 1000 and "backends_behind" in told["answers"] and "REDIS_URL" in told["commands"]


async def _lives(replica: Replica, url: str, prefix: str) -> str:
    """Clients come in every way there is, good and bad; the token of an admin."""
    bearer = _token()
    for headers, query in (
        ({"Authorization": f"Bearer {bearer}"}, ""),
        ({"Authorization": f"Bearer {bearer}x"}, ""),
        ({"Cookie": f"token={bearer}"}, ""),
        ({}, f"?token={QUERY_TOKEN}"),
        ({}, f"?ticket={QUERY_TOKEN}"),
    ):
        async with connect(replica.url + query, additional_headers=headers, proxy=None) as socket:
            try:
                await socket.send('{"action":"refresh","id":"1","token":"' + bearer + 'x"}')
                await asyncio.wait_for(socket.recv(), SECONDS)
            except ConnectionClosed:
                continue
    return bearer


def _token() -> str:
    from fairlead_gateway.access.minting import Wish, mint

    return mint(JWT_SECRET, Wish("canary", role="admin", ttl_seconds=3600))


async def _fall_behind(url: str, prefix: str) -> None:
    """Let backends owe something."""
    async with Redis.from_url(url) as redis:
        await redis.xgroup_create(f"{prefix}:events", "slow", id="0", mkstream=True)
        await redis.xadd(f"{prefix}:events", {"event": "x"})


async def _answers(replica: Replica, bearer: str) -> str:
    """All that it answers to an admin, headers too."""
    paths = [PREFIX + row.path for row in ROWS if row.method == "GET" and not row.in_path]
    said = []
    async with httpx2.AsyncClient(base_url=replica.http, timeout=SECONDS) as http:
        for path in (*PAGES, *paths):
            answer = await http.get(path, headers={"authorization": f"Bearer {bearer}"})
            said.append(f"{path} {answer.status_code} {answer.headers} {answer.text}")
        answer = await http.post(f"{PREFIX}/tickets", headers={"authorization": f"Bearer {bearer}x"})
        said.append(f"{answer.status_code} {answer.text}")
    # What a client sends is ours to see, not to repeat.
    return "\n".join(said)


def _commands(url: str, settings: dict[str, Any]) -> str:
    """What the commands say that show settings, good ones and bad."""
    said = ""
    for wrong in ({}, {"alert_webhook_url": f"http://canary.example/{WEBHOOK_PATH}"}, {"redis_url": f"x{url}"}):
        env = environment(**{"redis_url": url, **settings, **wrong})
        for command in (
            ("config", "show"),
            ("config", "show", "--json"),
            ("config", "check"),
            ("serve", "--port", "0"),
        ):
            if command[0] == "serve" and not wrong:
                continue
            ran = subprocess.run(
                [sys.executable, "-m", "fairlead_gateway", *command],
                env=env,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            said += ran.stdout + ran.stderr
    return said
