"""What a user sees of the package: its names, its weight, its types."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

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


def python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.strip()


def test_importing_fairlead_loads_none_of_what_it_is_built_on() -> None:
    assert python(f"import fairlead, sys; print([name for name in {HEAVY} if name in sys.modules])") == "[]"


def test_the_backend_needs_nothing_of_the_gateway() -> None:
    code = "import fairlead, sys; fairlead.connect; fairlead.connect_sync; import fairlead.ingress, fairlead.control;"

    assert python(f"{code} print([name for name in {NOT_OURS} if name in sys.modules])") == "[]"


def test_every_public_name_exists() -> None:
    for name in fairlead.__all__:
        assert getattr(fairlead, name) is not None
    assert set(fairlead.__all__) <= set(dir(fairlead))
    assert not hasattr(fairlead, "no_such_name")


def test_a_users_script_passes_strict_type_checking(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(USER_SCRIPT)

    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", f"--cache-dir={tmp_path}", str(script)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=110, cwd=tmp_path)

    assert done.returncode == 0, done.stdout + done.stderr
    assert 'Revealed type is "fairlead.sent.Sent"' in done.stdout
