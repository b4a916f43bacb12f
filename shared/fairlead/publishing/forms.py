"""The forms in which something durable is said: the script that does it, and what its reply means."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, Final, NamedTuple, TypeAlias

from fairlead.errors import FairleadError
from fairlead.publishing.sent import Fate
from fairlead.redis.scripts import Script, Text, load

Reply: TypeAlias = "int | list[Any]"
"""Receivers of an ephemeral message, or what the script of a form returns."""


class Form:
    """
    One script that says things, which may be run twice with the same id.

    Its keys are log, meta, seen and term of the channel, then *keys* more. Its arguments are pub/sub channel, messages
    to keep, seconds to keep them, ids to remember, seconds to remember them, epoch, message id, then *args* more.

    :param read: what a reply means, given how often the message was written.
    """

    __slots__ = ("args", "keys", "read", "script")

    def __init__(self, script: Script, keys: int, args: int, read: Callable[[Any, int], Fate | FairleadError]) -> None:
        self.script = script
        self.keys = 4 + keys
        self.args = 7 + args
        self.read = read

    def words(self, text: Text) -> bytes:
        """First words of the command, for a server that understands the script as *text*."""
        return b"*%d\r\n" % (3 + self.keys + self.args) + bulk("EVALSHA", text.sha, self.keys)


class Change(NamedTuple):
    """A change of the state behind a channel, which its members hear of as a message; said as an envelope is."""

    id: str
    form: Form
    keys: tuple[str, ...]
    args: tuple[str | int | bytes, ...]


def words_for(text: Callable[[Script], Text]) -> Callable[[Form], bytes]:
    """`Form.words` on a server that understands each script as *text* says."""
    return cache(lambda form: form.words(text(form.script)))


def fate(reply: Reply, tries: int = 1) -> Fate:
    """What *reply* says about a message that was written *tries* times; a fifth item is the version of a state."""
    if isinstance(reply, int):
        return Fate(0, "", False, reply)
    offset, epoch, duplicate, receivers, *version = reply
    # After a second try it is most likely our first that Redis remembers, of which only the answer was lost.
    return Fate(offset, str(epoch, "ascii"), bool(duplicate) and tries == 1, receivers, *version)


def bulk(*words: str | int | bytes) -> bytes:
    """*words* as a Redis command carries them."""
    encoded = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    return b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in encoded)


PUBLISH: Final = Form(load("publish"), keys=0, args=1, read=fate)
"""A message, as its envelope."""
