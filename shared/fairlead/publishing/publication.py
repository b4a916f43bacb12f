"""What is said as the Redis command that says it."""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from random import getrandbits
from typing import Final, TypeAlias

from fairlead.format.envelope import EPHEMERAL, Envelope
from fairlead.names import DURABLE_KINDS, Names, kind_of
from fairlead.publishing.forms import PUBLISH, Change, Form, bulk

SEEN_IDS: Final = 10_000
"""Message ids that a durable channel remembers."""

SEEN_SECONDS: Final = 300
"""How long after the last message it remembers them."""

TASK_MESSAGES: Final = 32
"""Messages kept at most for a task: who comes is told its state first, and only who was away shortly misses some."""

BATCH_MESSAGES: Final = 1024
"""Messages that go to Redis before their answers are read."""

Sayable: TypeAlias = Envelope | Change
"""What can be said in a channel: a message, or a change of the state behind it."""


class Publications:
    """
    Packs messages for Redis.

    Packed by hand, because it is done for every message: a channel's keys are packed once and kept, and what is
    left is one formatting of bytes.

    :param durable: kinds of channel whose messages get an offset and are kept.
    :param is_sharded: whether they are for a cluster, where a message is published in its shard only.
    """

    def __init__(
        self,
        names: Names,
        *,
        durable: Collection[str] = DURABLE_KINDS,
        history_size: int = 256,
        history_ttl_seconds: int = 3600,
        is_sharded: bool = False,
    ) -> None:
        verb = "SPUBLISH" if is_sharded else "PUBLISH"
        self._durable = frozenset(durable)

        def history(channel: str, messages: int) -> bytes:
            kept = min(messages, TASK_MESSAGES) if kind_of(channel) == "task" else messages
            return bulk(kept, history_ttl_seconds, SEEN_IDS, SEEN_SECONDS)

        @lru_cache(maxsize=8192)
        def keys(channel: str) -> bytes:
            return bulk(*names.of_durable(channel), names.pubsub(channel)) + history(channel, history_size)

        @lru_cache(maxsize=8192)
        def parts(channel: str) -> tuple[bytes, bytes]:
            kept = history_size if kind_of(channel) in self._durable else 0
            return bulk(*names.of_durable(channel)), bulk(names.pubsub(channel)) + history(channel, kept)

        @lru_cache(maxsize=8192)
        def head(channel: str) -> bytes:
            return b"*3\r\n" + bulk(verb, names.pubsub(channel))

        self._keys = keys
        self._parts = parts
        self._head = head

    def is_durable(self, channel: str) -> bool:
        """Whether messages of *channel* get an offset and are kept."""
        return kind_of(channel) in self._durable

    def pack(self, channel: str, said: Sayable, durable: bool | None = None) -> tuple[bytes, Form | None]:
        """
        What to write, and in which form; without one it is ephemeral, and the whole command.

        :param durable: overrides what kind of channel and message say; of a change, which is kept anyway, nothing.
        """
        if isinstance(said, Change):
            return self._pack_change(channel, said), said.form
        if durable is None:
            durable = self.is_durable(channel) and not said.flags & EPHEMERAL
        if durable:
            return self._pack_durable(channel, said), PUBLISH
        return self._pack_ephemeral(channel, said), None

    def _pack_durable(self, channel: str, envelope: Envelope) -> bytes:
        """The command without its first words, which depend on the server (see `Form.words`)."""
        id_, data = envelope.id.encode(), envelope.seal()
        return b"%b$12\r\n%012x\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n" % (
            self._keys(channel),
            getrandbits(48),
            len(id_),
            id_,
            len(data),
            data,
        )

    def _pack_change(self, channel: str, change: Change) -> bytes:
        """As `_pack_durable`; in a channel that keeps nothing, the state is kept all the same."""
        keys, constants = self._parts(channel)
        return keys + bulk(*change.keys) + constants + bulk(f"{getrandbits(48):012x}", change.id, *change.args)

    def _pack_ephemeral(self, channel: str, envelope: Envelope) -> bytes:
        """The whole command."""
        data = envelope.seal()
        return b"%b$%d\r\n%b\r\n" % (self._head(channel), len(data), data)
