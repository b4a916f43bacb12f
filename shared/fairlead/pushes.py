"""What clients are told: one type for each frame, which those who build it are checked against."""

from __future__ import annotations

from typing import Any, Final, Literal, NotRequired

from pydantic import ConfigDict, with_config
from typing_extensions import TypedDict

from fairlead.questions.asks import Ending
from fairlead.questions.confirmation import Choice, Feedback, OnTimeout, Severity, TaskStepResult
from fairlead.state.devices import DeviceStatus
from fairlead.state.statistics import Ten
from fairlead.state.task import TaskStatus

described: Final = with_config(ConfigDict(use_attribute_docstrings=True))
"""What is said under a field is part of its schema."""

Delivery = TypedDict(
    "Delivery",
    {
        "id": str,
        "from": str,
        "to": str,
        "channel": str,
        "timestamp": str,
        "offset": NotRequired[int],
        "session_id": NotRequired[str],
        "requires_ack": NotRequired[bool],
        "attempt": NotRequired[int],
    },
)
"""What `fairlead.format.messages.push`, and the replica behind it, write into every message of a channel."""

MEANINGS: Final = {
    "id": "Of this message; act once for each.",
    "from": "Who says it: user:<id>, system, ai or service:<name>.",
    "to": "The channel that it was said to.",
    "channel": "Where it was heard: user:42, session:s1 …",
    "timestamp": "When it was said (RFC 3339, UTC, milliseconds).",
    "offset": "Its place in a durable channel; grows by one within an epoch.",
    "session_id": "Of a session's channel.",
    "requires_ack": "Whether to answer with the action `ack`.",
    "attempt": "2 or 3 where it comes again, since nobody acknowledged it; then it has no offset.",
}
"""What the fields of a `Delivery` mean; its ``from`` is no name in Python, so there is no place below it."""


# -- said by the replica itself ------------------------------------------------------------------------


@described
class Standing(TypedDict):
    """Where a channel stands, for whoever begins to hear it; empty for one without offsets."""

    offset: NotRequired[int]
    """Of its last message."""
    epoch: NotRequired[str]
    recovered: NotRequired[bool]
    """Whether what was missed since the position that was given follows; false: load the state anew."""
    code: NotRequired[Literal["forbidden"]]
    """Of a channel that is not heard."""


@described
class Heartbeat(TypedDict):
    """How often the gateway asks whether a client is there."""

    interval: float
    """Seconds."""
    timeout: float
    """Seconds of silence after which it closes with 4101."""


@described
class Established(TypedDict):
    """The greeting: always the first frame."""

    type: Literal["connection_established"]
    connection_id: str
    user_id: str
    session_id: str | None
    instance: str | None
    replica: str
    server_time: str
    heartbeat: Heartbeat
    channels: dict[str, Standing]
    """Where each stands that can be recovered, and each that was asked for."""
    ref: NotRequired[str]
    """Id of the `connect` that it answers."""
    ok: NotRequired[Literal[True]]


@described
class Reply(TypedDict):
    """The answer to an action with an id, with fields of the action's own."""

    type: Literal["reply"]
    ref: str
    """The id of the action."""
    ok: Literal[True]


@described
class Refusal(TypedDict):
    """The answer to an action that could not be done; it ends nothing, except a flood of them."""

    type: Literal["error"]
    ref: str | None
    """The id of the action, if it had one."""
    code: str
    message: str
    """What was wrong and what to do."""
    detail: dict[str, Any]
    """The same for programs."""


@described
class Pong(TypedDict):
    """The answer to `ping`."""

    type: Literal["pong"]
    timestamp: Any
    """As it came."""
    server_time: str
    ref: NotRequired[str]


class Ping(TypedDict):
    """Whether the client is there; said where control frames do not get through. Answer with `pong`."""

    type: Literal["ping"]


@described
class Skipped(TypedDict):
    """Stands for a message that is not for this connection; moves the position, and is shown to nobody."""

    type: Literal["skipped"]
    channel: str
    offset: int


@described
class EpochChanged(TypedDict):
    """Offsets of a channel go on from here under another epoch."""

    type: Literal["epoch_changed"]
    channel: str
    epoch: str
    offset: int
    recovered: bool
    """Whether nothing was lost; else load the state anew."""
    timestamp: str


@described
class Live(TypedDict):
    """What passed by on any replica, for whoever watches."""

    type: Literal["live"]
    items: list[dict[str, Any]]
    """Heads of messages and events, each with `kind`, `at` and `replica`."""
    dropped: int
    """How many more there were than are shown."""


# -- sessions and people -------------------------------------------------------------------------------


@described
class NewMessage(TypedDict):
    """Something that a client, or a backend in answer to one, said."""

    type: Literal["new_message"]
    message_type: str
    """Of the sender's choice; `text` unless it said otherwise."""
    content: NotRequired[Any]
    metadata: NotRequired[dict[str, Any]]
    reply_to: NotRequired[str]
    """Id of the message that a backend answers."""


class Typing(TypedDict):
    """A member of the session is typing, or has stopped."""

    type: Literal["typing"]
    user_id: str
    is_typing: bool


class SessionNews(TypedDict):
    """A user has come to the session, or has left it."""

    type: Literal["session_joined", "session_left"]
    user_id: str
    connection_id: str
    session_id: str


@described
class UserStatus(TypedDict):
    """A user went online, or offline."""

    type: Literal["user_status_update"]
    user_id: str
    status: Literal["online", "offline"]
    last_seen: NotRequired[str]
    """Of one who is offline."""


@described
class MessageStatusUpdate(TypedDict):
    """What became of a message of a session."""

    type: Literal["message_status_update"]
    message_id: str
    status: Literal["sent", "delivered", "read", "failed"]
    session_id: NotRequired[str]
    user_id: NotRequired[str]
    """Who has read it."""


class AiStatus(TypedDict):
    """What the AI of a session is doing."""

    type: Literal["ai_processing_status"]
    status: str
    message: NotRequired[str]


# -- states --------------------------------------------------------------------------------------------


@described
class PatchPush(TypedDict):
    """A change of an instance's document; `tests/vectors/patches.json` is what applying one means."""

    type: Literal["patch"]
    instance: str
    patch: dict[str, Any]
    """New values by dotted path."""
    patch_id: str | int | None
    unset: NotRequired[list[str]]
    """Paths that are gone."""
    base_version: NotRequired[int]
    version: NotRequired[int]


@described
class Snapshot(TypedDict):
    """An instance's document as a whole."""

    type: Literal["snapshot"]
    instance: str
    document: dict[str, Any]
    base_version: NotRequired[int]
    version: NotRequired[int]
    """0 where there is no document yet."""


@described
class TaskState(TypedDict):
    """A task as it stands: the whole of it, with fields of the application's own."""

    type: Literal["task_update", "task_cancelled"]
    task_id: str
    version: int
    """Grows by one; a smaller one is old."""
    status: TaskStatus
    progress: NotRequired[float]
    """Percent."""
    step: NotRequired[str | int]
    current_device: NotRequired[str | int]
    total_devices: NotRequired[int]
    completed_devices: NotRequired[int]
    message: NotRequired[str]
    owner: NotRequired[str]
    updated_at: NotRequired[str]
    stalled_since: NotRequired[str]
    """When it was heard of last, if that is longer ago than it should be."""
    cancelled_by: NotRequired[str]
    user_id: NotRequired[str]
    """Who cancelled it."""


@described
class TaskStalled(TypedDict):
    """A task that should have said something has not."""

    type: Literal["task_stalled"]
    task_id: str
    version: int
    since: str
    """When it was heard of last."""


class TaskCancelled(TypedDict):
    """A task of this user was cancelled; for devices that do not watch it."""

    type: Literal["task_cancelled"]
    task_id: str
    user_id: str
    status: Literal["cancelled"]
    version: int


class DeviceNotice(TypedDict):
    """How a device is, with fields of the application's own."""

    type: Literal["device_status"]
    device_id: str | int
    status: DeviceStatus
    message: NotRequired[str]


# -- questions -----------------------------------------------------------------------------------------


@described
class QuestionShown(TypedDict):
    """How a question is shown, and until when it may be answered."""

    kind: Literal["confirmation", "choice", "form"]
    message: str
    severity: Severity
    choices: list[Choice]
    feedback: Feedback
    created_at: str
    expires_at: str
    server_time: str
    """To show the time that is left by the gateway's clock."""
    on_timeout: OnTimeout
    schema: NotRequired[dict[str, Any]]
    """The form: a flat JSON schema."""


@described
class QuestionAsked(TypedDict):
    """A question to this user or role; the fields of the step stand at top level as well."""

    type: Literal["task_step_result"]
    callback_id: str
    """Names the question in an answer."""
    task_id: str | None
    step: str | int | None
    step_result: TaskStepResult
    confirm: QuestionShown
    result: Any
    completed: bool
    message: str
    status: str
    error_code: str | None
    error_message: str | None


@described
class QuestionClosed(TypedDict):
    """A question is over; close its dialog."""

    type: Literal["confirm_closed"]
    callback_id: str
    status: Ending
    by: str | None
    """Who answered."""
    at: str
    on_behalf: NotRequired[Literal[True]]
    """An administrator answered in the place of those who were asked."""


class Answered(TypedDict):
    """The answer that counts."""

    proceed: bool
    choice: str | None
    by: str
    at: str


@described
class ConfirmAck(TypedDict):
    """What became of an answer; the reply to `confirm`."""

    type: Literal["confirm_ack"]
    callback_id: str
    status: str
    ref: NotRequired[str]
    ok: NotRequired[bool]
    """Whether it counts."""
    answer: NotRequired[Answered]
    """The one that counts, for those who may know."""
    errors: NotRequired[list[dict[str, str]]]
    """Of an answer that is not what was asked for: `field` and `message` of each fault."""


# -- backends and operators ----------------------------------------------------------------------------


@described
class LateReply(TypedDict):
    """The answer of a backend that nobody waited for any longer, with its fields or those of an error."""

    type: Literal["reply"]
    ref: str
    late: Literal[True]
    connection_id: str
    """The connection that asked: refs are its own."""
    ok: bool


@described
class MessageRefused(TypedDict):
    """What a backend has against a message that was stored; the action that brought it has had its reply."""

    type: Literal["error"]
    ref: None
    code: str
    message: str
    detail: dict[str, Any]
    message_id: str
    """The message that it is about."""


class Note(TypedDict):
    """What a person is shown."""

    id: str
    title: str
    message: str
    type: Literal["info", "success", "warning", "error", "urgent"]
    action_url: str | None
    auto_close: bool
    timestamp: str


class NotificationPush(TypedDict):
    """A notification for people."""

    type: Literal["notification"]
    notification: Note


@described
class StatsUpdate(Ten):
    """The figures of the fleet, each second, for operators."""

    type: Literal["stats_update"]
    at: str
    rates: dict[str, float]
    """Per second, over the last minute."""
    percentiles: dict[str, dict[str, float]]
    """Milliseconds, over the last minute."""
    replicas: list[dict[str, Any]]
    alerts: int
    """How many are firing."""


@described
class AlertUpdate(TypedDict):
    """An alert has begun or is over, for operators."""

    type: Literal["alert"]
    alert: dict[str, Any]
    """As `GET /api/v1/websocket/alerts` has it."""
