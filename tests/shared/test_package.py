"""What a user sees of the package: its names, its weight, its types."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import fairlead

ROOT = Path(__file__).parents[2]

HEAVY = ("redis", "pydantic", "pydantic_core", "msgpack", "tenacity", "fairlead_gateway")
NOT_OURS = ("fairlead_gateway", "orjson", "starlette", "uvicorn", "jwt", "structlog")

USER_SCRIPT = """
import asyncio
import fairlead


async def main() -> None:
    async with fairlead.connect("redis://localhost", name="crm") as fl:
        sent = await fl.send_to_user("42", {"type": "report_ready", "content": {"report": 7}}, message_id="r-7")
        offset: int = sent.offset
        epoch: str = sent.epoch
        reveal_type(sent)
        results = await asyncio.gather(fl.send_to_session("s1", {"type": "x"}), fl.broadcast({"type": "y"}))
        receivers: list[int] = [result.receivers for result in results]
        task = asyncio.create_task(fl.send_to_topic("prices", {"type": "z"}))
        duplicate: bool = (await task).duplicate
        async with fl.batch() as batch:
            await fl.send_to_instance("counter", {"type": "z"})
        ids: list[str] = [one.id for one in batch.sent]
        users: set[str] = await fl.online_users()
        online: bool = await fl.is_online("42")
        names: list[str] = [member.user_id for member in await fl.presence("session:s1")]
        await fl.grant_session("s1", ["42", "43"])
        async for event in fl.events(group="crm", types=["user_connected"]):
            who: str = event.facts["user_id"]
            await event.ack()
            print(who, event.at)
            break
        async with fl.inbound(group="bot") as inbound:
            async for m in inbound:
                outcome: str = await m.reply({"content": f"you said {m.content}"})
                await m.error("not_found", "there is no such thing", name=outcome)
        ended: list[float] = [record.seconds for record in await fl.connection_history("42", count=10)]
        print(ended)
    print(offset, epoch, receivers, duplicate, ids, users, online, names)


def task() -> fairlead.Sent:
    with fairlead.connect_sync("redis://localhost") as fl:
        try:
            for m in fl.inbound(group="bot"):
                said: str = m.reply({"content": "x"})
                print(said)
            for event in fl.events(group="crm"):
                event.ack()
            return fl.send_to_user("42", {"type": "x"})
        except fairlead.Unavailable as error:
            print(error.message, error.detail, error.code)
            raise


asyncio.run(main())
"""


CLIENT_SCRIPT = """
import asyncio
import fairlead


async def token(reason: str) -> str | None:
    return "a token" if reason == "connect" else None


async def ask(question: fairlead.Question) -> bool | fairlead.Answer | None:
    print(question.message, question.choices[0].label, question.remaining())
    return fairlead.Answer(proceed=False, feedback="not now") if question.severity == "danger" else True


async def main() -> None:
    client = fairlead.Client("wss://example.org/ws", token=token, positions={"user:42": fairlead.Position(7, "e.1")})
    ends = client.on("report_ready", lambda message: print(message["content"]))
    ends()

    @client.on("tick")
    async def tick(message: dict[str, object]) -> None:
        print(message)

    client.on_question(ask)
    client.on_state(lambda change: print(change.state, change.word, change.retry_in))
    client.on_recovered(lambda recovery: print(recovery.channel, recovery.missed))
    async with client as same:
        reveal_type(same)
        await client.subscribe("topic:prices")
        offset: int = (await client.session("s1").send("hi"))["offset"]
        people: list[str] = [member["user_id"] for member in await client.presence("session:s1")]
        counter = client.instance("counter")
        counter.on_change(lambda change: print(change.version, change.document))
        await counter.open()
        try:
            await counter.patch({"n": 1}, base_version=counter.version)
        except fairlead.Conflict as conflict:
            print(conflict.detail["version"])
        except fairlead.ClientError as error:
            print(error.code)
        async for message in client.messages("tick"):
            print(message["content"], offset, people, same.positions["user:42"].offset)
            break


asyncio.run(main())
"""


def python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.strip()


def test_importing_fairlead_loads_none_of_what_it_is_built_on() -> None:
    assert python(f"import fairlead, sys; print([name for name in {HEAVY} if name in sys.modules])") == "[]"


def test_the_backend_needs_nothing_of_the_gateway() -> None:
    code = "import fairlead, sys; fairlead.connect; fairlead.connect_sync;"
    code += "import fairlead.streams.ingress, fairlead.format.control;"

    assert python(f"{code} print([name for name in {NOT_OURS} if name in sys.modules])") == "[]"


def test_every_public_name_exists() -> None:
    for name in fairlead.__all__:
        assert getattr(fairlead, name) is not None
    assert set(fairlead.__all__) <= set(dir(fairlead))
    assert not hasattr(fairlead, "no_such_name")


def test_what_a_client_needs_is_named_where_it_is_missing() -> None:
    code = "import sys; sys.modules['websockets.asyncio.client'] = None; from fairlead import *; import fairlead;"

    said = python(f"""{code}
try:
    fairlead.Client("ws://127.0.0.1/ws")
except ImportError as error:
    print(error)""")

    assert said == "fairlead.Client needs the library websockets: pip install 'fairlead[client]'"


def test_a_client_needs_nothing_of_the_gateway() -> None:
    code = "import fairlead, sys; fairlead.Client('ws://127.0.0.1/ws');"

    assert python(f"{code} print([name for name in {NOT_OURS} if name in sys.modules])") == "[]"
    assert python(f"{code} print('redis' in sys.modules)") == "False"


@pytest.mark.parametrize(
    ("source", "revealed"),
    [(USER_SCRIPT, "fairlead.publishing.sent.Sent"), (CLIENT_SCRIPT, "fairlead.client.client.Client")],
)
def test_a_users_script_passes_strict_type_checking(tmp_path: Path, source: str, revealed: str) -> None:
    script = tmp_path / "script.py"
    script.write_text(source)

    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", f"--cache-dir={tmp_path}", str(script)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=110, cwd=tmp_path)

    assert done.returncode == 0, done.stdout + done.stderr
    assert f'Revealed type is "{revealed}"' in done.stdout
