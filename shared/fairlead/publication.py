"""One message as the Redis command that publishes it, and the reply to it as what became of the message."""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from random import getrandbits
from typing import Final, TypeAlias

from fairlead.envelope import Envelope
from fairlead.names import DURABLE_KINDS, Names, kind_of
from fairlead.redis.scripts import Script, Text, load
from fairlead.sent import Fate

SEEN_IDS: Final = 10_000
"""Message ids that a durable channel remembers."""

SEEN_SECONDS: Final = 300
"""How long after the last message it remembers them."""

BATCH_MESSAGES: Final = 1024
"""Messages that go to Redis before their answers are read."""

Reply: TypeAlias = "int | tuple[int, bytes, int, int]"
"""Receivers of an ephemeral message, or what the publish script returns."""

SCRIPT: Final[Script] = load("publish")


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
        constants = bulk(history_size, history_ttl_seconds, SEEN_IDS, SEEN_SECONDS)

        @lru_cache(maxsize=8192)
        def keys(channel: str) -> bytes:
            return bulk(*names.of_durable(channel), names.pubsub(channel)) + constants

        @lru_cache(maxsize=8192)
        def head(channel: str) -> bytes:
            return b"*3\r\n" + bulk(verb, names.pubsub(channel))

        self._keys = keys
        self._head = head

    def is_durable(self, channel: str) -> bool:
        """Whether messages of *channel* get an offset and are kept."""
        return kind_of(channel) in self._durable

    def pack(self, channel: str, envelope: Envelope, durable: bool | None = None) -> tuple[bytes, bool]:
        """What to write, and whether it is durable; *durable* overrides what the kind of channel says."""
        if self.is_durable(channel) if durable is None else durable:
            return self._pack_durable(channel, envelope), True
        return self._pack_ephemeral(channel, envelope), False

    def _pack_durable(self, channel: str, envelope: Envelope) -> bytes:
        """The command without its first words, which depend on the server (see `evalsha`)."""
        id_, data = envelope.id.encode(), envelope.seal()
        return b"%b$12\r\n%012x\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n" % (
            self._keys(channel),
            getrandbits(48),
            len(id_),
            id_,
            len(data),
            data,
        )

    def _pack_ephemeral(self, channel: str, envelope: Envelope) -> bytes:
        """The whole command."""
        data = envelope.seal()
        return b"%b$%d\r\n%b\r\n" % (self._head(channel), len(data), data)


def evalsha(text: Text) -> bytes:
    """First words of a durable publish, for a server that understands the script in this form."""
    return b"*15\r\n" + bulk("EVALSHA", text.sha, 4)


def fate(reply: Reply, tries: int = 1) -> Fate:
    """What *reply* says about a message that was written *tries* times."""
    if isinstance(reply, int):
        return Fate(0, "", False, reply)
    offset, epoch, duplicate, receivers = reply
    # After a second try it is most likely our first that Redis remembers, of which only the answer was lost.
    return Fate(offset, str(epoch, "ascii"), bool(duplicate) and tries == 1, receivers)


def bulk(*words: str | int) -> bytes:
    """*words* as a Redis command carries them."""
    encoded = [str(word).encode() for word in words]
    return b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in encoded)
