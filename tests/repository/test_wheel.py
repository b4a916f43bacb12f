"""What people install: the wheel, made from the source archive, in an environment where nothing else is (CL-4)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tarfile
import urllib.request
import venv
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from websockets.sync.client import connect

from tests.cli.test_dev import announced_by, free_pair
from tests.shared.test_package import NOT_OURS, USER_SCRIPT
from tests.support.processes import descendants_of, ended
from tests.support.replica import environment

ROOT = Path(__file__).parents[2]

SECONDS: Final = 100.0
BACKEND: Final = "hatchling>=1.27"

SERVED: Final = ("/demo", "/dashboard", "/docs", "/static/fairlead.js", "/openapi.json", "/asyncapi.json", "/metrics")


class Environment:
    """A virtual environment of its own."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "bin"
        venv.create(folder, symlinks=True)

    def install(self, what: str) -> None:
        """By the pip of these tests, which finds packages as it does for them."""
        pip = (sys.executable, "-m", "pip", "--python", str(self.bin / "python"), "--disable-pip-version-check")
        ran(*pip, "install", "--quiet", "--no-compile", what)

    def __call__(self, *command: str, folder: Path, status: int = 0) -> subprocess.CompletedProcess[str]:
        return ran(str(self.bin / command[0]), *command[1:], folder=folder, status=status)


def ran(*command: str, folder: Path = ROOT, status: int = 0) -> subprocess.CompletedProcess[str]:
    """What *command* said; it must end with *status*."""
    done = subprocess.run(
        command, cwd=folder, env=clean(), capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert done.returncode == status, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done


def clean() -> dict[str, str]:
    """Our environment, but for what would find this checkout."""
    return {name: value for name, value in environment().items() if not name.startswith("PYTHON")}


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source archive."""
    builder = Environment(tmp_path_factory.mktemp("builder") / "env")
    builder.install(BACKEND)
    made = builder.bin.parent.parent / "sdist"
    builder("python", "-m", "hatchling", "build", "-t", "sdist", "-d", str(made), folder=ROOT)
    (found,) = made.glob("*.tar.gz")
    return found


@pytest.fixture(scope="module")
def wheel(archive: Path) -> Path:
    """The wheel, as it is built where there is nothing but the archive."""
    folder = archive.parent / "unpacked"
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    (source,) = folder.iterdir()
    builder = archive.parent.parent / "env" / "bin" / "python"
    ran(str(builder), "-m", "hatchling", "build", "-t", "wheel", "-d", str(archive.parent), folder=source)
    (found,) = archive.parent.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def light(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """What a backend installs."""
    made = Environment(tmp_path_factory.mktemp("light") / "env")
    made.install(str(wheel))
    return made


@pytest.fixture(scope="module")
def whole(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """What somebody installs who tries it out."""
    made = Environment(tmp_path_factory.mktemp("whole") / "env")
    made.install(f"{wheel}[dev]")
    return made


def test_the_archive_and_the_wheel_hold_what_is_needed(archive: Path, wheel: Path) -> None:
    with tarfile.open(archive) as packed:
        sources = {name.partition("/")[2] for name in packed.getnames()}
    with zipfile.ZipFile(wheel) as packed_wheel:
        files = set(packed_wheel.namelist())
    tracked = subprocess.run(
        ["git", "ls-files", "shared/fairlead", "gateway/fairlead_gateway"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    ).stdout.split()

    assert {"pyproject.toml", "hatch_build.py", "README.md", "LICENSE", "CHANGELOG.md"} <= sources
    assert set(tracked) <= sources
    assert {name.partition("/")[2] for name in tracked} <= files
    assert not [name for name in files if "tests" in name.split("/")]
    assert any("static/vendor/preact/" in name for name in files)


def test_a_backend_has_the_library_and_is_told_what_else_there_is(light: Environment, tmp_path: Path) -> None:
    installed = {line.split("==")[0] for line in _frozen(light)}
    imports = light("python", "-c", "import fairlead; print(fairlead.__file__)", folder=tmp_path)
    refused = light("fairlead", "dev", folder=tmp_path, status=1)

    assert "site-packages" in imports.stdout
    assert installed.isdisjoint({*NOT_OURS, "typer", "websockets"}) and {"fairlead", "redis", "pydantic"} <= installed
    assert "fairlead[dev]" in refused.stderr and refused.stderr.count("\n") == 1


def test_a_users_script_passes_strict_type_checking_with_the_library_alone(light: Environment, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(USER_SCRIPT)

    strict = ("--strict", "--config-file=", f"--cache-dir={tmp_path}", f"--python-executable={light.bin / 'python'}")
    done = ran(sys.executable, "-m", "mypy", *strict, str(script), folder=tmp_path)

    assert 'Revealed type is "fairlead.publishing.sent.Sent"' in done.stdout


def test_everything_is_there_in_an_empty_folder(whole: Environment, tmp_path: Path) -> None:
    with developing(whole, tmp_path) as (process, told):
        pages = [urllib.request.urlopen(told["pages"][0] + path[1:], timeout=20) for path in SERVED]
        bearer = {"Authorization": f"Bearer {told['token']}"}
        with connect(told["sockets"][1], additional_headers=bearer, proxy=None) as client:
            greeting = json.loads(client.recv(timeout=20))
        looked = subprocess.run(
            [whole.bin / "fairlead", "doctor", "--json"],
            cwd=tmp_path,
            env=clean() | {"XDG_RUNTIME_DIR": str(tmp_path / "runtime")},
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        others = descendants_of(process.pid)
        process.send_signal(signal.SIGINT)
        status = process.wait(timeout=SECONDS)

    assert [page.status for page in pages] == [200] * len(SERVED)
    assert (greeting["type"], greeting["user_id"]) == ("connection_established", told["user"])
    assert json.loads(looked.stdout)["ok"], looked.stdout
    assert status == 0
    assert others and all(ended(pid) for pid in others)
    assert list((tmp_path / "empty").iterdir()) == []


@contextmanager
def developing(whole: Environment, place: Path) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """``fairlead dev`` of an environment, in a folder with nothing in it."""
    for name in ("empty", "runtime"):
        (place / name).mkdir(mode=0o700)
    process = subprocess.Popen(
        [whole.bin / "fairlead", "dev", "--port", str(free_pair()), "--json"],
        cwd=place / "empty",
        env=clean() | {"XDG_RUNTIME_DIR": str(place / "runtime"), "FAIRLEAD_LOG_FORMAT": "json"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    )
    try:
        yield process, announced_by(process)
    finally:
        for pid in [*descendants_of(process.pid), process.pid]:
            if not ended(pid):
                os.kill(pid, signal.SIGKILL)
        process.communicate(timeout=SECONDS)


def _frozen(made: Environment) -> list[str]:
    pip = (sys.executable, "-m", "pip", "--python", str(made.bin / "python"), "--disable-pip-version-check")
    return ran(*pip, "list", "--format=freeze").stdout.splitlines()
