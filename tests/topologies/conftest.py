"""Without Debian's Redis there is no sentinel."""

from __future__ import annotations

import pytest

from tests.support.redis import debian_binary


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if debian_binary() is None:
        for item in items:
            if "topologies" in item.nodeid and ("sentinel" in item.nodeid or "Debian" in item.nodeid):
                item.add_marker(pytest.mark.skip(reason="needs Debian's redis-server"))
