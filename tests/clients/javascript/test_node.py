"""The client in Node, with and without a WebSocket of its own, in both formats, against a real replica."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.javascript.package import ENTRY, node
from tests.support.npm import tools
from tests.support.redis import free_port
from tests.support.replica import Replica, replicas, token

PROGRAM = """
import {{ Client }} from "{entry}";
{imports}
const client = new Client(process.env.URL, {{ token: process.env.TOKEN{options} }});
const heard = [];
client.on("new_message", ({{ content, offset }}) => heard.push([content, offset]));
await client.connect();
const {{ offset }} = await client.message("user:43", {{ "é💧": [1.5, null, true] }});
const missing = await client.presence("topic:none").catch((error) => error.code);
client.close();
console.log(JSON.stringify({{ offset, missing, user: client.userId, state: client.state }}));
"""

WITHOUT = ("--no-experimental-websocket",)
WS = 'import WebSocket from "{tools}/ws/wrapper.mjs";'
MSGPACK = 'import * as msgpack from "{tools}/@msgpack/msgpack/dist.esm/index.mjs";'


@pytest.fixture(scope="module")
def replica(redis_url: str) -> Iterator[Replica]:
    with replicas(1, redis_url, "tjs-node", admin_port=free_port()) as (one,):
        yield one


def test_it_is_served_where_clients_connect_and_where_operators_do(replica: Replica) -> None:
    paths = ("/static/fairlead.js", "/static/fairlead.d.ts", "/static/fairlead/client.js", "/dashboard")

    assert [replica.status(path) for path in paths] == [200, 200, 200, 404]


@pytest.mark.parametrize(
    ("flags", "imports", "options"),
    [
        ((), "", ""),
        ((), MSGPACK, ", msgpack"),
        (WITHOUT, WS, ", WebSocket"),
        (WITHOUT, WS + MSGPACK, ", WebSocket, msgpack"),
    ],
    ids=["its own", "its own, msgpack", "of ws", "of ws, msgpack"],
)
def test_it_connects_asks_and_ends(
    tmp_path: Path, replica: Replica, flags: tuple[str, ...], imports: str, options: str
) -> None:
    user = f"node-{len(imports)}-{len(flags)}"
    program = PROGRAM.format(entry=ENTRY, imports=imports.format(tools=tools() / "node_modules"), options=options)

    said = node(tmp_path, program, *flags, seconds=20, URL=replica.url, TOKEN=token(user))

    assert said == {"offset": said["offset"], "missing": "forbidden", "user": user, "state": "stopped"}
    assert said["offset"] > 0


def test_without_any_websocket_it_says_what_to_do(tmp_path: Path) -> None:
    program = f"""
    import {{ Client }} from "{ENTRY}";
    try {{ new Client("ws://127.0.0.1:9/ws"); }} catch (error) {{ console.log(JSON.stringify(error.message)); }}
    """

    assert "option WebSocket" in node(tmp_path, program, *WITHOUT)


def test_an_address_that_is_none_is_refused_at_once(tmp_path: Path) -> None:
    program = f"""
    import {{ Client }} from "{ENTRY}";
    try {{ new Client("/ws"); }} catch (error) {{ console.log(JSON.stringify(error.name)); }}
    """

    assert node(tmp_path, program) == "TypeError"
