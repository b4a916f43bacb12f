"""What can be sent to, by name; the asyncio face, the blocking face and their batches share these methods."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final, Generic, Literal, TypeAlias, TypedDict, TypeVar, Unpack, get_args

from fairlead.errors import InvalidMessage
from fairlead.format.envelope import EPHEMERAL, Envelope
from fairlead.format.messages import AI, SYSTEM, checked_message_id, checked_sender, checked_status, push
from fairlead.names import BROADCAST, Names, channel, checked_channel, checked_id
from fairlead.publishing.acks import ACK_SECONDS, checked_seconds
from fairlead.publishing.publication import Sayable
from fairlead.state import devices, instances, tasks
from fairlead.state.devices import DeviceId, DeviceStatus, device_channel
from fairlead.state.instances import STATE_TTL_SECONDS
from fairlead.state.task import TaskStatus

if TYPE_CHECKING:
    from fairlead.pushes import AiStatus, MessageStatusUpdate

Receipt = TypeVar("Receipt", covariant=True)
"""What a send gives: a `Sent`, or something to await that gives one."""

MessageStatus: TypeAlias = Literal["sent", "delivered", "read", "failed"]

MESSAGE_STATUSES: Final[tuple[str, ...]] = get_args(MessageStatus)

Message: TypeAlias = Mapping[str, object]
"""At least a ``type``; see `fairlead.format.messages.push`."""


class Options(TypedDict, total=False):
    """What every send may be told; their defaults are those of `Sends.send`."""

    message_id: str | None
    """Makes sending again harmless on durable channels; None for a new one."""

    exclude: str
    """``connection:<id>`` or ``user:<id>`` who must not get the message."""

    requires_ack: bool
    """
    Whether clients are to acknowledge it. The receipt then comes when the outcome is known, and has it as ``status``;
    what nobody acknowledges is meanwhile sent again under the same id. Not in a batch.
    """

    ack_timeout: float
    """Seconds to wait for the first acknowledgement."""


class Sends(ABC, Generic[Receipt]):
    """
    Sending, one method a kind of channel; each takes `Options`.

    What cannot be sent raises `InvalidMessage`, `InvalidJson` or `TooLarge` at once, before Redis is touched.

    :param sender: whom messages come from when they do not say so themselves.
    :param state_ttl_seconds: how long the state of an instance is kept after its last change.
    """

    def __init__(self, sender: str, names: Names, state_ttl_seconds: int = STATE_TTL_SECONDS) -> None:
        self._sender = sender
        self._names = names
        self._state_ttl_seconds = state_ttl_seconds

    @abstractmethod
    def _say(self, channel: str, said: Sayable) -> Receipt:
        """Send on its way what has been checked."""

    @abstractmethod
    def _say_after(self, first: tuple[str, Sayable], channel: str, said: Sayable) -> Receipt:
        """As `_say`, in one round trip with *first*, whose own receipt nobody needs; either may fail both."""

    @abstractmethod
    def _say_and_wait(self, channel: str, envelope: Envelope, ack_seconds: float) -> Receipt:
        """As `_say`, for a message that must be acknowledged within *ack_seconds*."""

    def send(
        self,
        channel: str,
        message: Message,
        *,
        message_id: str | None = None,
        exclude: str = "",
        requires_ack: bool = False,
        ack_timeout: float = ACK_SECONDS,
    ) -> Receipt:
        """Send to a channel such as ``session:s1`` or ``broadcast``; a ``from`` in *message* says who speaks."""
        channel = checked_channel(channel)
        given = message.get("from") if isinstance(message, Mapping) else None
        sender = self._sender if given is None else checked_sender(given)
        envelope = push(
            message, channel, sender=sender, message_id=message_id, exclude=exclude, requires_ack=requires_ack
        )
        if requires_ack:
            return self._say_and_wait(channel, envelope, checked_seconds(ack_timeout))
        return self._say(channel, envelope)

    def send_to_user(self, user_id: str, message: Message, **options: Unpack[Options]) -> Receipt:
        """Send to every device of a user, now or when it comes back."""
        return self.send(channel("user", user_id), message, **options)

    def send_to_session(self, session_id: str, message: Message, **options: Unpack[Options]) -> Receipt:
        """Send to the members of a session."""
        return self.send(channel("session", session_id), message, **options)

    def send_to_instance(self, name: str, message: Message, **options: Unpack[Options]) -> Receipt:
        """Send to whoever watches an instance."""
        return self.send(channel("instance", name), message, **options)

    def send_to_topic(self, name: str, message: Message, **options: Unpack[Options]) -> Receipt:
        """Send to whoever has subscribed to a topic at this moment."""
        return self.send(channel("topic", name), message, **options)

    def send_to_connection(self, connection_id: str, message: Message, **options: Unpack[Options]) -> Receipt:
        """Send to one connection, as long as it lives."""
        return self.send(channel("connection", connection_id), message, **options)

    # -- notices of a kind of their own ------------------------------------------------------------

    def device_status(self, device_id: DeviceId, status: DeviceStatus, **extra: object) -> Receipt:
        """
        Tell the watchers of ``device:<id>`` how a device is, and whoever begins to watch within a month (ST-3).

        :param extra: more fields of the message, such as ``message``.
        :raises InvalidMessage: *status* is none that a device has.
        """
        name = device_channel(device_id)
        envelope = push(devices.notice(device_id, status, extra), name, sender=self._sender)
        return self._say(name, devices.kept(self._names, name, envelope))

    def ai_status(self, session_id: str, status: str, message: str | None = None, **extra: object) -> Receipt:
        """Show the members of a session what its AI is doing, in the name of ``ai``; at most once (ST-5)."""
        name = channel("session", session_id)
        said: AiStatus = {"type": "ai_processing_status", "status": checked_status(status)}
        if message is not None:
            said["message"] = message
        return self._say(name, push({**extra, **said}, name, sender=AI)._replace(flags=EPHEMERAL))

    def message_status(self, session_id: str, message_id: str, status: MessageStatus, **extra: object) -> Receipt:
        """
        Tell the members of a session what became of a message; kept with the session (ST-5).

        A message that was read was delivered, too. Clients say themselves what they have read, by ``read``.

        :raises InvalidMessage: *status* is none that a message has.
        """
        name = channel("session", session_id)
        if status not in MESSAGE_STATUSES:
            raise InvalidMessage(f"the status of a message is one of {', '.join(MESSAGE_STATUSES)}")
        facts: MessageStatusUpdate = {
            "type": "message_status_update",
            "message_id": checked_message_id(message_id or ""),
            "status": status,
        }
        return self.send(name, {**extra, **facts})

    def broadcast(self, message: Message, **options: Unpack[Options]) -> Receipt:
        """Send to everybody who is connected at this moment."""
        return self.send(BROADCAST, message, **options)

    # -- tasks -------------------------------------------------------------------------------------

    def update_task(
        self,
        task_id: str | int,
        *,
        status: TaskStatus | None = None,
        progress: float | None = None,
        step: str | int | None = None,
        current_device: str | int | None = None,
        total_devices: int | None = None,
        completed_devices: int | None = None,
        message: str | None = None,
        owner: str | None = None,
        watchers: Iterable[str] | None = None,
        stalled_after: float | None = None,
        ephemeral: bool = False,
        message_id: str | None = None,
        **extra: object,
    ) -> Receipt:
        """
        Say how far a task has come, to whoever watches it (ST-2). What is not given stays as it was.

        A task begins with its first update, ``running`` unless that says otherwise, and has ended with ``completed``,
        ``failed`` or ``cancelled``: then the same status again is a duplicate, and everything else a `Conflict`.

        :param progress: percent.
        :param owner: the user it is done for, who may watch and cancel it; stays the same. Enough to be said once.
        :param watchers: other users who may watch it, in place of those named before.
        :param stalled_after: seconds of silence after which a running task has stalled; 0 for never. None for what was
            said before, or else what ``FAIRLEAD_TASK_STALLED_SECONDS`` says.
        :param ephemeral: at most once for those who watch now, and not in the history; the state holds it all the same.
        :param extra: fields of your own, which clients get beside the others.
        """
        fields = {
            "status": status,
            "progress": progress,
            "step": step,
            "current_device": current_device,
            "total_devices": total_devices,
            "completed_devices": completed_devices,
            "message": message,
            **extra,
        }
        change = tasks.update(
            self._names,
            task_id,
            fields,
            sender=self._sender,
            message_id=message_id,
            owner=owner,
            watchers=watchers,
            stalled_after=stalled_after,
            ephemeral=ephemeral,
        )
        name = tasks.task_channel(task_id)
        if owner is None:
            return self._say(name, change)
        return self._say_after(tasks.own(self._names, owner, task_id), name, change)

    # -- the state of instances --------------------------------------------------------------------

    def send_patch(
        self,
        instance_name: str,
        patch: Mapping[str, object],
        patch_id: str | int | None = None,
        base_version: int | None = None,
        *,
        unset: Iterable[str] = (),
    ) -> Receipt:
        """
        Change an instance's document by dotted path, ``{"state.params.count": 42}``, before the eyes of its watchers.

        :param patch_id: the same id changes nothing the second time (for five minutes after the latest change).
        :param base_version: refuse with `Conflict` if the instance is at another version by now; its detail has the
            ``version`` and, unless there are too many, the ``patches`` since.
        :param unset: paths that are to be gone; see `fairlead.state.patches` for all that paths may be.
        :raises TooLarge: also if the document has become too large, until `set_state` replaces it.
        """
        return self._say(
            *instances.patched(
                self._names,
                instance_name,
                patch,
                unset,
                patch_id=patch_id,
                base_version=base_version,
                sender=self._sender,
                ttl_seconds=self._state_ttl_seconds,
            )
        )

    def set_state(self, instance_name: str, document: Mapping[str, object], base_version: int | None = None) -> Receipt:
        """Replace an instance's document by another, which every watcher gets whole; otherwise as `send_patch`."""
        return self._say(
            *instances.replaced(
                self._names,
                instance_name,
                document,
                base_version=base_version,
                sender=self._sender,
                ttl_seconds=self._state_ttl_seconds,
            )
        )


def service(name: str) -> str:
    """How the service *name* is called as a sender; without a name it is the system."""
    return f"service:{checked_id(name, 'name')}" if name else SYSTEM
