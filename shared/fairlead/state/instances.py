"""Instances: named documents that everybody who watches sees change, patch by patch (ST-1)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from fairlead.errors import Conflict, FairleadError, InvalidJson, InvalidMessage, TooLarge, Unavailable
from fairlead.format.codec import MAX_BYTES, bounded, from_json, to_json
from fairlead.format.messages import MAX_ID, checked_message_id, push
from fairlead.format.messages import now as timestamp
from fairlead.ids import uuid7
from fairlead.names import Names, channel
from fairlead.publishing.forms import Change, Form, fate
from fairlead.publishing.sent import Fate
from fairlead.redis.calls import Call
from fairlead.redis.query import Query, pairs
from fairlead.redis.scripts import load
from fairlead.state.patches import MAX_DOCUMENT_DEPTH, MAX_VALUE_DEPTH, apply, checked, depth

if TYPE_CHECKING:
    from fairlead.pushes import PatchPush, Snapshot

STATE_TTL_SECONDS: Final = 30 * 24 * 3600
"""How long a state is kept after its last change."""

MAX_DOCUMENT_BYTES: Final = MAX_BYTES

FOLD_PATCHES: Final = 128
"""Patches, and `FOLD_BYTES` of them, that may lie on top of a document before they are folded into it."""

FOLD_BYTES: Final = 256 * 1024

_PATCH_ID: Final = "patch:"
"""Makes the id of a message out of the id of a patch, so that patches are not taken for other messages."""

_FINISH_BYTES: Final = 100
"""What the script adds to a frame."""

_FOLD: Final = load("fold")


@dataclass(frozen=True, slots=True)
class Instance:
    """The state of an instance at one moment."""

    name: str
    version: int
    """Changes so far: 0 for an instance that nobody has written to, or not for long."""
    document: dict[str, Any]


class Standing(NamedTuple):
    """What Redis has of an instance: a document as of the version *folded*, and the patches since."""

    name: str
    run: bytes
    folded: int
    version: int
    text: bytes
    patches: list[bytes]

    def document(self) -> dict[str, Any]:
        """
        The document of now.

        :raises Unavailable: what Redis holds was not written by us.
        """
        try:
            document = from_json(self.text)
            trees = [_tree_in(frame) for frame in self.patches]
        except (InvalidJson, InvalidMessage) as error:
            raise _damaged(self.name) from error
        if not isinstance(document, dict):
            raise _damaged(self.name)
        return reduce(apply, trees, document)

    def instance(self) -> Instance:
        """The state as its readers get it."""
        return Instance(self.name, self.version, self.document())

    def snapshot(self) -> bytes:
        """The state as the JSON frame that clients get."""
        text = to_json(self.document()) if self.patches else self.text
        about = {"type": "snapshot", "instance": self.name, "channel": channel("instance", self.name)}
        rest = {"version": self.version, "timestamp": timestamp()}
        return b'%b,"document":%b,%b' % (to_json(about)[:-1], text, to_json(rest)[1:])


def patched(
    names: Names,
    instance_name: str,
    patch: Mapping[str, object],
    unset: Iterable[str] = (),
    *,
    patch_id: str | int | None = None,
    base_version: int | None = None,
    sender: str,
    ttl_seconds: int,
) -> tuple[str, Change]:
    """
    The channel of an instance, and what patches its document and tells everybody there.

    Published, it ends as `Conflict` when the instance is at another version than *base_version*: its detail has the
    ``version`` and the ``patches`` since *base_version*, as clients got them; these are None when they are too many,
    or folded, so that the document must be read. As `TooLarge` when the document has grown too large.

    :param patch_id: a patch with an id that the instance has seen within the window changes nothing.
    :raises InvalidMessage: *patch* or *unset* is not as `fairlead.state.patches` says, or an id or version is none.
    :raises InvalidJson: a value cannot be carried.
    :raises TooLarge: above `MAX_BYTES`.
    """
    gone = unset if isinstance(unset, str | Mapping) else list(unset)
    checked(patch, gone)
    id_ = uuid7() if patch_id is None else _checked_patch_id(patch_id)
    message: PatchPush = {"type": "patch", "instance": instance_name, "patch": dict(patch), "patch_id": id_}
    if gone:
        message["unset"] = list(gone)
    return _changed(names, instance_name, message, f"{_PATCH_ID}{id_}", b"", base_version, sender, ttl_seconds)


def replaced(
    names: Names,
    instance_name: str,
    document: Mapping[str, object],
    *,
    base_version: int | None = None,
    sender: str,
    ttl_seconds: int,
) -> tuple[str, Change]:
    """As `patched`: another document in the place of the one there is; everybody in the channel gets it whole."""
    if not isinstance(document, Mapping):
        raise InvalidMessage(f"a document is a mapping, not {type(document).__name__}")
    text = bounded(to_json(document), MAX_DOCUMENT_BYTES)
    message: Snapshot = {"type": "snapshot", "instance": instance_name, "document": dict(document)}
    return _changed(names, instance_name, message, uuid7(), text, base_version, sender, ttl_seconds)


def standing(names: Names, instance_name: str) -> Query[Standing]:
    """What Redis has of an instance."""
    channel("instance", instance_name)

    def read(replies: list[Any]) -> Standing:
        found = {b"run": b"", b"document": b"{}", b"folded": b"0", b"version": b"0", **dict(pairs(replies[0]))}
        patches = sorted((int(field), patch) for field, patch in found.items() if _is_version(field))
        folded, version = found[b"folded"], found[b"version"]
        if not (_is_version(folded) and _is_version(version)) or int(version) != int(folded) + len(patches):
            raise _damaged(instance_name)
        return Standing(
            instance_name,
            found[b"run"],
            int(folded),
            int(version),
            found[b"document"],
            [patch for _, patch in patches],
        )

    return Query([("HGETALL", names.instance_state(instance_name))], read)


def _is_version(text: bytes) -> bool:
    return text.isdigit() and len(text) < 20


def fold(names: Names, before: Standing) -> Call:
    """Writes the document of now in the place of the one before and its patches; a race lost changes nothing."""
    text = to_json(before.document())
    kept = text if len(text) <= MAX_DOCUMENT_BYTES else b""
    args = (before.run, before.folded, before.version, sum(map(len, before.patches)), kept)
    return _FOLD, [names.instance_state(before.name)], args


def _changed(
    names: Names,
    instance_name: str,
    message: Mapping[str, object],
    message_id: str,
    document: bytes,
    base_version: int | None,
    sender: str,
    ttl_seconds: int,
) -> tuple[str, Change]:
    if base_version is not None and (isinstance(base_version, bool) or not isinstance(base_version, int)):
        raise InvalidMessage("base_version is a number: the version that was read")
    name = channel("instance", instance_name)
    envelope = push(message, name, sender=sender, message_id=message_id, max_bytes=MAX_BYTES - _FINISH_BYTES)
    _ensure_flat(envelope.frame, MAX_DOCUMENT_DEPTH + 1 if document else MAX_VALUE_DEPTH + 2)
    args = (
        envelope.head(),
        envelope.frame[:-1],
        document,
        "" if base_version is None else base_version,
        ttl_seconds,
        FOLD_PATCHES,
        FOLD_BYTES,
    )
    keys = (names.instance_state(instance_name), names.instance_changes(instance_name))
    return name, Change(message_id, PATCH, keys, args)


def _ensure_flat(frame: bytes, limit: int) -> None:
    if frame.count(b"[") + frame.count(b"{") > limit and depth(from_json(frame)) > limit:
        raise InvalidMessage(f"nested too deep: a value may be {MAX_VALUE_DEPTH} deep, a document {MAX_DOCUMENT_DEPTH}")


def _checked_patch_id(value: object) -> str | int:
    if isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63:
        return value
    if isinstance(value, str) and len(value) <= MAX_ID - len(_PATCH_ID):
        return checked_message_id(value)
    raise InvalidMessage(f"patch_id is a number or a string of 1-{MAX_ID - len(_PATCH_ID)} printable characters")


def _tree_in(frame: bytes) -> Any:
    match from_json(frame):
        case {"patch": patch, "unset": unset}:
            return checked(patch, unset)
        case {"patch": patch}:
            return checked(patch)
    raise InvalidMessage("no patch")


def _damaged(name: str) -> Unavailable:
    return Unavailable(f"what Redis holds of instance {name} is damaged; replace it with set_state")


def _read(reply: Any, tries: int) -> Fate | FairleadError:
    """What ``patch.lua`` says."""
    match reply:
        case [b"conflict", version, patches]:
            return Conflict(
                f"the instance is at version {version}; apply what you missed and try again",
                version=version,
                patches=[from_json(patch) for patch in patches] or None,
            )
        case [b"too_large", version]:
            return TooLarge(
                f"the document is larger than {MAX_DOCUMENT_BYTES} bytes; it takes no patches until set_state",
                version=version,
                limit=MAX_DOCUMENT_BYTES,
            )
    *said, is_due = reply
    return fate(said, tries)._replace(is_due=bool(is_due))


PATCH: Final = Form(load("patch"), keys=2, args=7, read=_read)
