"""The relay: from what Redis published to what the members of a channel are given."""

from __future__ import annotations

from collections.abc import Callable

import orjson
import structlog

from fairlead.control import CloseOrder, parse
from fairlead.envelope import CONTROL, Delivery, unseal, with_offset
from fairlead.errors import FairleadError, InvalidMessage
from fairlead.messages import push
from fairlead_gateway.dispatch.dispatcher import MessageDispatcher, Outgoing
from fairlead_gateway.dispatch.interest import Interest
from fairlead_gateway.dispatch.reader import Heard

log = structlog.get_logger(__name__)


class Relay:
    """Takes each batch that the reader heard apart, channel by channel, and hands it to the dispatcher in order."""

    def __init__(
        self,
        interest: Interest,
        dispatcher: MessageDispatcher,
        obey: Callable[[str, CloseOrder, str], None],
        probed: Callable[[], None],
        traces: bool = False,
    ) -> None:
        """
        :param obey: called with the channel, the order and who is spared when a control envelope arrives.
        :param probed: called when this replica hears its own probe.
        :param traces: whether to log the id of every message.
        """
        self._interest = interest
        self._dispatcher = dispatcher
        self._obey = obey
        self._probed = probed
        self._traces = traces
        self.dropped = 0
        """Messages from Redis that were not in any shape we know."""

    def heard(self, batch: Heard) -> None:
        """What the reader calls with everything that one read yielded."""
        channel_of = self._interest.channel_of
        for name, payloads in batch.items():
            channel = channel_of(name)
            if channel:
                messages = [message for payload in payloads if (message := self._message(channel, payload))]
                if messages:
                    self._dispatcher.deliver(channel, messages)
            elif channel is not None:
                self._probed()

    def _message(self, channel: str, payload: bytes) -> Outgoing | None:
        try:
            delivery = self._plain(channel, payload) if payload[:1] == b"{" else unseal(payload)
            offset, _, envelope = delivery
            if envelope.flags & CONTROL:
                order = parse(envelope)
                if order is not None:
                    self._obey(channel, order, envelope.exclude)
                return None
        except FairleadError as error:
            self.dropped += 1
            log.warning("dropped from redis", channel=channel, why=error.message, bytes=len(payload))
            return None
        if self._traces:
            log.debug("message relayed", message_id=envelope.id, type=envelope.type, channel=channel, offset=offset)
        return Outgoing(with_offset(envelope.frame, offset) if offset else envelope.frame, envelope.exclude)

    @staticmethod
    def _plain(channel: str, payload: bytes) -> Delivery:
        """Plain JSON that any language may publish: finished here, at most once."""
        try:
            return Delivery(0, "", push(orjson.loads(payload), channel))
        except orjson.JSONDecodeError as error:
            raise InvalidMessage(f"not JSON: {error.msg}") from None
