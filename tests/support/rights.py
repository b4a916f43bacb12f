"""The ACL file that is shipped, made ready for a server of a test, and what that server refused."""

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import Path

from redis.asyncio import Redis

from tests.support.redis import Server

SHIPPED = Path(__file__).parents[2] / "deploy" / "redis-acl.conf"
PREFIX = "fl"
"""The prefix that the file is written for."""

_PLACEHOLDER = re.compile(r"\$\{(\w+)_PASSWORD_SHA256\}")


def password(user: str) -> str:
    """What *user* says to the servers of these tests."""
    return f"word-of-{user}"


def with_passwords() -> str:
    """The file as an operator would complete it."""
    return _PLACEHOLDER.sub(lambda found: sha256(password(found[1].lower()).encode()).hexdigest(), SHIPPED.read_text())


def acl_file(directory: Path) -> Path:
    """Only its ``user`` lines, as ``--aclfile`` takes them."""
    path = directory / "users.acl"
    path.write_text("".join(line + "\n" for line in with_passwords().splitlines() if line.startswith("user ")))
    return path


def granted(user: str) -> frozenset[str]:
    """Commands that the file gives *user*."""
    (line,) = re.findall(rf"^user {user} (.*)$", SHIPPED.read_text(), re.MULTILINE)
    return frozenset(word[1:] for word in line.split() if word.startswith("+"))


def url_of(server: Server, user: str) -> str:
    """The URL with which *user* comes to *server*."""
    return f"redis://{user}:{password(user)}@127.0.0.1:{server.port}/0"


async def refusals(admin: Redis) -> list[str]:
    """What the server refused so far, in sentences that say what to add to the file."""
    told = []
    for entry in await admin.acl_log():
        what, kind, user = (entry[name] for name in ("object", "reason", "username"))
        told.append(
            f"user {user} lacks +{what}: add it to {SHIPPED.name}"
            if kind == "command"
            else f"user {user} was refused the {kind} {what}"
        )
    return sorted(set(told))
