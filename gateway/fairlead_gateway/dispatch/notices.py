"""What a replica itself writes into a channel, beside what it was given: from the log, or about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
import structlog

from fairlead.errors import InvalidMessage
from fairlead.format.envelope import for_clients, with_offset
from fairlead.format.messages import now as timestamp
from fairlead.format.position import Entry
from fairlead_gateway.dispatch.outgoing import Outgoing
from fairlead_gateway.dispatch.track import Track

if TYPE_CHECKING:
    from fairlead.pushes import EpochChanged

log = structlog.get_logger(__name__)


def logged(channel: str, entry: Entry, epoch: str) -> Outgoing:
    """An *entry* of the log as the message it was; what is for no client holds its place, so that none is missed."""
    try:
        _, _, id_, _, exclude, _, _, frame = for_clients(entry.envelope)
    except InvalidMessage as error:
        log.warning("not for clients, in the log", channel=channel, offset=entry.offset, why=error.message)
        empty = Outgoing(b"", "", entry.offset, epoch, entry.id)
        return empty._replace(frame=empty.stand_in(channel))
    return Outgoing(with_offset(frame, entry.offset), exclude, entry.offset, epoch, id_)


def epoch_changed(track: Track, *, recovered: bool) -> Outgoing:
    """
    The notice that offsets go on from here under another epoch.

    :param recovered: whether nothing was lost; if not, clients reload their state.
    """
    notice: EpochChanged = {
        "type": "epoch_changed",
        "channel": track.channel,
        "epoch": track.epoch,
        "offset": track.offset,
        "recovered": recovered,
        "timestamp": timestamp(),
    }
    return Outgoing(orjson.dumps(notice))
