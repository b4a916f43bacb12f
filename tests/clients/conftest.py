"""Both clients, one suite: every scenario runs against each, and names the rules of ``docs/clients.md`` it shows."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.clients.drivers import Driver, NodeDriver, PythonDriver
from tests.clients.scripted import Scripted
from tests.support.npm import NODE

KINDS = ("python", "javascript")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "rules(*ids): the rules of docs/clients.md that a scenario shows")
    config.addinivalue_line("markers", "only(kind): a rule that one of the clients alone can keep")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "client_kind" in metafunc.fixturenames:
        only = metafunc.definition.get_closest_marker("only")
        metafunc.parametrize("client_kind", only.args if only else KINDS)


@pytest.fixture
async def client(client_kind: str) -> AsyncIterator[Driver]:
    """A client that is yet to be made."""
    driver: Driver = PythonDriver() if client_kind == "python" else NodeDriver(NODE)
    yield driver
    await driver.leave()


@pytest.fixture
async def gateway() -> AsyncIterator[Scripted]:
    """A gateway that does what the scenario says."""
    async with Scripted() as scripted:
        yield scripted
