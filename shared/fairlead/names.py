"""Every name that a gateway and a backend must agree on: ids, channels, and what they are called in Redis."""

from __future__ import annotations

import re
from binascii import crc_hqx
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from fairlead.errors import InvalidMessage
from fairlead.fleet import FleetNames

PARTITIONS: Final = 128
"""Hash tags that channels are spread over; the same for every replica and backend of one prefix."""

KINDS: Final = ("user", "session", "instance", "topic", "task", "device", "role", "connection")
"""What may stand before the colon of a channel; ``broadcast`` is the one channel without an id."""

BROADCAST: Final = "broadcast"

FLEET: Final = "fleet"
"""The channel that every replica hears and no client can ask for: orders to all of them."""

ADMINS: Final = "admins"
"""The channel that the sockets of administrators hear and no client can ask for: what the overseer tells."""

DURABLE_KINDS: Final = ("user", "session", "instance", "task", "device", "role")
"""Kinds whose messages get an offset and are kept, unless a setting says otherwise."""

_ID = re.compile(r"[A-Za-z0-9_\-.:@]{1,128}")


def is_id(value: object) -> bool:
    """Whether *value* may name a user, session, instance …: 1–128 of ``A-Z a-z 0-9 _ - . : @``."""
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def checked_id(value: object, what: str = "id") -> str:
    """*value* as an id, or `InvalidMessage` that says what is wrong with it."""
    if isinstance(value, str) and _ID.fullmatch(value):
        return value
    raise InvalidMessage(f"{what} must be 1-128 characters of A-Z a-z 0-9 _ - . : @")


def channel(kind: str, name: str) -> str:
    """The channel of one user, session, …: ``channel("user", "42") == "user:42"``."""
    if kind not in KINDS:
        raise InvalidMessage(f"unknown kind of channel {kind[:32]!r}; use one of {', '.join(KINDS)} or {BROADCAST}")
    return f"{kind}:{checked_id(name, kind + ' id')}"


def replica_channel(replica: str) -> str:
    """The channel that one replica hears and no client can ask for."""
    return f"replica:{replica}"


def checked_channel(value: object) -> str:
    """*value* as a channel such as ``session:s1``, or `InvalidMessage`."""
    if value == BROADCAST:
        return BROADCAST
    if not isinstance(value, str) or ":" not in value:
        raise InvalidMessage(f"a channel is kind:id, such as session:s1, or {BROADCAST}")
    kind, _, name = value.partition(":")
    return channel(kind, name)


def kind_of(channel: str) -> str:
    """``user`` of ``user:42``; ``broadcast`` of itself."""
    return channel.partition(":")[0]


def id_of(channel: str) -> str:
    """``42`` of ``user:42``; empty for ``broadcast``."""
    return channel.partition(":")[2]


@lru_cache(maxsize=16_384)
def partition_of(channel: str) -> int:
    """Which of the `PARTITIONS` a channel lives in: CRC16 as ``CLUSTER KEYSLOT`` counts it."""
    return crc_hqx(channel.encode(), 0) % PARTITIONS


@dataclass(frozen=True, slots=True)
class Names(FleetNames):
    """Keys and pub/sub channels below one prefix. Whatever changes together in one script shares a hash tag."""

    # -- one channel ---------------------------------------------------------------------------

    def pubsub(self, channel: str) -> str:
        """Where messages of *channel* are published: ``fl:{17}:user:42``."""
        return f"{self.prefix}:{{{partition_of(channel)}}}:{channel}"

    def log(self, channel: str) -> str:
        """Stream of what was said, entry id = offset."""
        return self.pubsub(channel) + ":log"

    def meta(self, channel: str) -> str:
        """Hash of epoch ``e`` and top offset ``o``."""
        return self.pubsub(channel) + ":meta"

    def seen(self, channel: str) -> str:
        """Sorted set: message ids of the duplicate window, scored by offset."""
        return self.pubsub(channel) + ":seen"

    def of_durable(self, channel: str) -> tuple[str, str, str, str]:
        """Log, meta, seen and term: what the scripts of a durable channel are given, in their order."""
        base = self.pubsub(channel)
        return base + ":log", base + ":meta", base + ":seen", self.term(partition_of(channel))

    def here(self, channel: str) -> str:
        """Hash of connection id to who is in *channel* now."""
        return self.pubsub(channel) + ":here"

    def people(self, channel: str) -> str:
        """Hash of user id to how many of its connections are in a session now."""
        return self.pubsub(channel) + ":people"

    def latest(self, channel: str) -> str:
        """The last message of *channel* that was sent to be kept as its state."""
        return self.pubsub(channel) + ":latest"

    def members(self, session_id: str) -> str:
        """Set of users who may join a session."""
        return self.pubsub(f"session:{session_id}") + ":members"

    def conns(self, user_id: str) -> str:
        """Hash of connection id to where one user's connections are."""
        return self.pubsub(f"user:{user_id}") + ":conns"

    def cursor(self, user_id: str) -> str:
        """Hash of device id to the last position in the user's own channel that it acknowledged."""
        return self.pubsub(f"user:{user_id}") + ":cursor"

    def ack(self, channel: str, message_id: str) -> str:
        """
        Hash of what became of one message that was to be acknowledged: ``state, by, deadline, reply``.

        An id may hold anything, a channel never a slash: so nobody can name the key of somebody else's message.
        """
        return f"{self.pubsub(channel)}:ack/{message_id}"

    def awaited(self, channel: str) -> str:
        """Sorted set: ids of the messages of *channel* that somebody waits to be acknowledged, by deadline (ms)."""
        return self.pubsub(channel) + ":awaited"

    def ask(self, id: str) -> str:
        """Hash of one question: what is asked of whom, how it stands, and what was said to it."""
        return self.pubsub(f"ask:{id}")

    def asks_due(self, id: str) -> str:
        """Sorted set: questions of the same partition as *id*, by when something is to be done about them (ms)."""
        return f"{self.prefix}:{{{partition_of(f'ask:{id}')}}}:asks:due"

    def all_asks_due(self) -> list[str]:
        """`asks_due` of every partition."""
        return [f"{self.prefix}:{{{partition}}}:asks:due" for partition in range(PARTITIONS)]

    def asks(self, channel: str) -> str:
        """Sorted set: questions that a user or role has yet to answer, or that belong to a task, by deadline (ms)."""
        return self.pubsub(channel) + ":asks"

    def task(self, task_id: str) -> str:
        """Hash of what is known of a task: its fields as JSON, and ours, which begin with ``@``."""
        return self.state(f"task:{task_id}")

    def state(self, channel: str) -> str:
        """Hash of the state behind a channel, where it has one."""
        return self.pubsub(channel) + ":state"

    def tasks_due(self, task_id: str) -> str:
        """Sorted set: running tasks of the same partition as this one, by when to look whether one has stalled (ms)."""
        return f"{self.prefix}:{{{partition_of(f'task:{task_id}')}}}:tasks:due"

    def all_tasks_due(self) -> list[str]:
        """`tasks_due` of every partition."""
        return [f"{self.prefix}:{{{partition}}}:tasks:due" for partition in range(PARTITIONS)]

    def tasks_going_on(self, task_id: str) -> str:
        """Sorted set: tasks of the same partition as this one that have not ended, by when heard of last (ms)."""
        return f"{self.prefix}:{{{partition_of(f'task:{task_id}')}}}:tasks:on"

    def all_tasks_going_on(self) -> list[str]:
        """`tasks_going_on` of every partition."""
        return [f"{self.prefix}:{{{partition}}}:tasks:on" for partition in range(PARTITIONS)]

    def tasks(self, user_id: str) -> str:
        """Sorted set of the tasks that a user owns, by when that was said last (ms); bounded."""
        return self.pubsub(f"user:{user_id}") + ":tasks"

    def replies(self, waiter: str) -> str:
        """Stream on which one process, or one call of it, is told that what it waits for has happened; bounded."""
        return f"{self.prefix}:{{{partition_of(waiter)}}}:replies:{waiter}"

    def answer(self, user_id: str, ask_id: str) -> str:
        """Hash of what a backend answered to one action of a user: ``state, result, tell``; see `ack` for the slash."""
        return f"{self.pubsub(f'user:{user_id}')}:answer/{ask_id}"

    def instance_state(self, name: str) -> str:
        """Hash: the document of an instance, and the patches since it was folded; see ``patch.lua``."""
        return self.pubsub(f"instance:{name}") + ":state"

    def instance_changes(self, name: str) -> str:
        """Sorted set: message ids of the latest changes of an instance, by version."""
        return self.pubsub(f"instance:{name}") + ":changes"

    @property
    def audit(self) -> str:
        """Stream of who was asked, and who decided what; bounded. In a partition, since backends write it as well."""
        return self.pubsub("audit")

    # -- one partition -------------------------------------------------------------------------

    def term(self, partition: int) -> str:
        """Head of the master's replication id, as the last to connect saw it; no expiry."""
        return f"{self.prefix}:{{{partition}}}:term"

    def online(self, partition: int) -> str:
        """Set of users of this partition with at least one connection."""
        return f"{self.prefix}:{{{partition}}}:online"

    def sessions(self, partition: int) -> str:
        """Set of sessions of this partition with somebody in them."""
        return f"{self.prefix}:{{{partition}}}:sessions"

    def last_seen(self, partition: int) -> str:
        """Sorted set of users of this partition, scored by when the last connection of each ended (ms)."""
        return f"{self.prefix}:{{{partition}}}:seen"

    def departures(self, partition: int) -> tuple[str, str]:
        """
        Who has left and may come back within the grace: ``user:42`` or ``session:s1 42``.

        A sorted set of them by when the grace ends (ms), and a hash of what is to be said then.
        """
        base = f"{self.prefix}:{{{partition}}}:departures"
        return base, base + ":facts"
