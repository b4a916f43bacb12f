"""What actions answer: one type for each, which stands between ``type``, ``ref`` and ``ok`` of the reply."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypeAlias

from typing_extensions import TypedDict

from fairlead.pushes import QuestionAsked, Snapshot, Standing, TaskState, described


class Done(TypedDict):
    """Nothing more to say."""


@described
class Refreshed(TypedDict):
    """The new token is believed."""

    expires_at: float | None
    """When it ends (Unix seconds); null for never."""
    removed: list[str]
    """Channels that it does not allow, and that are heard no more."""


@described
class Heard(TypedDict):
    """All the channels are heard; what was missed in them follows."""

    channels: dict[str, Standing]


class Left(TypedDict):
    """The channels are heard no more."""

    channels: list[str]


class OfSession(TypedDict):
    """Done in this session."""

    session_id: str


class Joined(OfSession):
    """The session is heard; what was missed in it follows."""

    channels: dict[str, Standing]


@described
class Stored(TypedDict):
    """The message was taken; this stands for the sender's own copy of it."""

    message_id: str
    channel: str
    offset: NotRequired[int]
    """Its place, where the channel is durable."""
    epoch: NotRequired[str]
    status: NotRequired[Literal["sent"]]
    duplicate: NotRequired[Literal[True]]
    """It was stored before, and nothing was done again."""
    result: NotRequired[Any]
    """What the handler of its type answered."""


@described
class ReadTold(TypedDict):
    """The sender and the other devices of the reader were told."""

    session_id: str
    message_id: str
    status: Literal["read", "own"]
    """`own` for a message of one's own, of which nobody is told."""
    duplicate: NotRequired[bool]


class Cursor(TypedDict):
    """Where a device stands."""

    channel: str
    offset: int
    epoch: str


@described
class Acknowledged(TypedDict):
    """What became of each acknowledgement."""

    acknowledged: dict[str, str]
    """By id: `delivered`, `duplicate`, `expired` or `unknown`."""
    cursor: NotRequired[Cursor | None]
    """Of this device, if it has an id."""


class OpenQuestions(TypedDict):
    """Questions that this user has yet to answer, the most urgent first."""

    confirms: list[QuestionAsked]


@described
class Said(TypedDict):
    """A page of what the channel has said, as far as it is kept."""

    channel: str
    epoch: str
    """Of all these offsets; empty where nothing was said."""
    offset: int
    """Where the channel stands."""
    messages: list[dict[str, Any]]
    """The oldest first, each as it is pushed, with its offset; without those that are not for this user."""
    more: bool
    """Whether older ones are kept."""
    before: int
    """What to ask with for these."""


class OfTask(TypedDict):
    """The task is heard no more."""

    task_id: str


@described
class TaskHeard(OfTask):
    """The task is heard from now on."""

    task: TaskState | None
    """As it stands; null before its first word."""
    channels: dict[str, Standing]


@described
class Cancelled(OfTask):
    """The task has ended."""

    status: Literal["cancelled"]
    version: int
    duplicate: bool
    """It was cancelled before."""


State: TypeAlias = Snapshot | TaskState
"""What is told of the state behind a channel; its ``type`` is that of the reply."""


@described
class Patched(TypedDict):
    """The document was changed; the patch itself comes as to everybody."""

    instance: str
    channel: str
    version: int
    offset: NotRequired[int]
    epoch: NotRequired[str]
    duplicate: NotRequired[Literal[True]]


@described
class Member(TypedDict):
    """A user in a channel."""

    user_id: str
    connections: int
    since: str | None
    """When the first of these connections came."""


class Present(TypedDict):
    """Who is in the channel, on any replica."""

    channel: str
    users: list[Member]
    count: int


@described
class Watching(TypedDict):
    """What was asked for is shown from now on, as `live`."""

    max_per_second: int
    content: bool
    """Whether messages are shown with what they say."""
    replicas: int
    """How many look."""
