"""The relay: from what Redis published to what the members of a channel are given."""

from __future__ import annotations

from collections.abc import Callable
from time import time_ns

import orjson
import structlog

from fairlead.errors import FairleadError, InvalidMessage
from fairlead.format.control import Order, parse
from fairlead.format.envelope import CONTROL, Envelope, Opened, opened, with_offset
from fairlead.format.messages import push
from fairlead_gateway.dispatch.dispatcher import MessageDispatcher
from fairlead_gateway.dispatch.interest import Interest
from fairlead_gateway.dispatch.outgoing import Outgoing
from fairlead_gateway.dispatch.reader import Heard
from fairlead_gateway.dispatch.tracks import Tracks
from fairlead_gateway.pool.counted import Counted
from fairlead_gateway.spans import Spans

Note = Callable[[str, str, str, str, int, bytes], None]
"""Called with the channel, id, type, who is excluded, offset (0 for none) and JSON frame of a message."""

log = structlog.get_logger(__name__)


class Relay:
    """Takes each batch that the reader heard apart, channel by channel, and hands it to the dispatcher in order."""

    def __init__(
        self,
        interest: Interest,
        dispatcher: MessageDispatcher,
        tracks: Tracks,
        obey: Callable[[str, Order, str], None],
        probed: Callable[[bytes], None],
        traces: bool = False,
        counted: Counted | None = None,
        sampled: Callable[[str], None] = lambda id: None,
        spans: Spans | None = None,
    ) -> None:
        """
        :param tracks: what says whether a durable message comes next.
        :param obey: called with the channel, the order and who is spared when a control envelope arrives.
        :param probed: called with the Redis channel on which this replica hears itself.
        :param traces: whether to log the id of every message.
        :param counted: where what nobody can read is counted.
        :param sampled: called with the id of one message of each batch.
        :param spans: makes a span for messages that belong to a trace.
        """
        self._interest = interest
        self._dispatcher = dispatcher
        self._tracks = tracks
        self._obey = obey
        self._probed = probed
        self._traces = traces
        self.note: Note | None = None
        """Called with each message that passes; None while nobody looks."""
        self._counted = counted or Counted()
        self._sampled = sampled
        self._spans = spans

    def heard(self, batch: Heard) -> None:
        """What the reader calls with everything that one read yielded."""
        channel_of = self._interest.channel_of
        last = ""
        for name, payloads in batch.items():
            channel = channel_of(name)
            if channel:
                last = self._relay(channel, payloads)
            elif channel is not None:
                self._probed(name)
        if last:
            self._sampled(last)

    def _relay(self, channel: str, payloads: list[bytes]) -> str:
        """
        Hand *payloads* on in their order: what was said before an order is heard before it is obeyed.

        :returns: the id that the publisher gave the last; empty if it gave none.
        """
        messages: list[Outgoing] = []
        traced: list[tuple[str, str]] = []
        began_ns = time_ns() if self._spans is not None else 0
        track, note = self._tracks.get(channel), self.note
        for payload in payloads:
            try:
                opening = _plain(channel, payload) if payload.startswith(b"{") else opened(payload)
                offset, epoch, id_, type_, exclude, flags, trace, frame = opening
                order = parse(Envelope(id_, type_, frame, exclude, flags)) if flags & CONTROL else None
            except FairleadError as error:
                self._drop(channel, payload, error)
                continue
            if not flags & CONTROL:
                message = Outgoing(with_offset(frame, offset) if offset else frame, exclude, offset, epoch, id_)
                if not offset or track is None or self._tracks.take(track, message):
                    messages.append(message)
                if note is not None:
                    note(channel, id_, type_, exclude, offset, frame)
            elif order is not None:
                self._dispatcher.deliver(channel, messages)
                messages = []
                self._obey(channel, order, exclude)
            if trace and self._spans is not None and isinstance(trace, str):
                traced.append((trace, id_))
            if self._traces:
                log.debug("message relayed", message_id=id_, type=type_, channel=channel, offset=offset)
        self._dispatcher.deliver(channel, messages)
        if traced and self._spans is not None:
            self._spans.relay(channel, traced, began_ns)
        return messages[-1].id if messages and not payloads[-1].startswith(b"{") else ""

    def _drop(self, channel: str, payload: bytes, error: FairleadError) -> None:
        self._counted.messages_dropped += 1
        log.warning("dropped from redis", channel=channel, why=error.message, bytes=len(payload))


def _plain(channel: str, payload: bytes) -> Opened:
    """Plain JSON that any language may publish: finished here, at most once."""
    try:
        envelope = push(orjson.loads(payload), channel)
    except orjson.JSONDecodeError as error:
        raise InvalidMessage(f"not JSON: {error.msg}") from None
    return 0, "", envelope.id, envelope.type, envelope.exclude, envelope.flags, envelope.trace, envelope.frame
