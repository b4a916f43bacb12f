"""What a client may say: one model for each action. Fields we do not know are ignored, so that clients may be newer."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

from fairlead.format.past import MAX_PAGE, PAGE

Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_\-.:@]{1,128}$")]
TaskId = Annotated[Id, BeforeValidator(lambda value: str(value) if type(value) is int else value)]
ChannelName = Annotated[str, StringConstraints(min_length=1, max_length=160)]
MessageId = Annotated[str, StringConstraints(min_length=1, max_length=128)]
Word = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_\-.:]{1,64}$")]
Pattern = Annotated[str, StringConstraints(min_length=1, max_length=160)]
"""A name in which each ``*`` stands for anything."""

Patterns = Annotated[list[Pattern], Field(max_length=20)]


class Position(BaseModel):
    """Where a client stands in a channel: the last offset it has seen, and of which epoch."""

    model_config = ConfigDict(strict=True)

    offset: int = Field(ge=0)
    epoch: str = Field(max_length=64)
    id: str | None = Field(None, max_length=128)


class Action(BaseModel):
    """What all actions share; *id* is echoed as ``ref`` in the one reply or error."""

    model_config = ConfigDict(strict=True, frozen=True)

    id: str | None = Field(None, max_length=128)


class Connect(Action):
    """The first frame, where the opening asked for one."""

    token: str | None = Field(None, max_length=16_384)
    recover: dict[ChannelName, Position] = Field(default_factory=dict, max_length=100)
    device_id: Id | None = None


class Refresh(Action):
    token: str = Field(max_length=16_384)


class Ping(Action):
    timestamp: Any = None


class Subscribe(Action):
    channels: list[ChannelName] = Field(min_length=1, max_length=100)
    recover: dict[ChannelName, Position] = Field(default_factory=dict, max_length=100)


class Unsubscribe(Action):
    channels: list[ChannelName] = Field(min_length=1, max_length=100)


class JoinSession(Action):
    session_id: Id
    recover: dict[ChannelName, Position] = Field(default_factory=dict, max_length=1)


class LeaveSession(Action):
    session_id: Id


class Message(Action):
    """Something said to a session (the one joined, if none is named) or to a channel such as ``user:43``."""

    content: Any
    session_id: Id | None = None
    to: ChannelName | None = None
    message_type: Word = "text"
    metadata: dict[str, Any] | None = None
    message_id: MessageId | None = None
    """Of the client's choice; sending again with the same one is harmless."""

    @model_validator(mode="after")
    def _one_destination(self) -> Message:
        if self.session_id is not None and self.to is not None:
            raise ValueError("give session_id or to, not both")
        return self


class Typing(Action):
    session_id: Id | None = None
    is_typing: bool = True


class Read(Action):
    message_id: MessageId
    session_id: Id | None = None


class Confirm(Action):
    """An answer to a question; what is missing or wrong in it is said in ``confirm_ack``."""

    callback_id: str = Field(max_length=128)
    proceed: bool | None = None
    feedback: str | None = None
    choice: str | None = Field(None, max_length=128)
    content: dict[str, Any] | None = None


class ListConfirms(Action):
    pass


class TaskAction(Action):
    """What is asked about one task; source document 4 counts its tasks, so that a number is taken for its digits."""

    task_id: TaskId


class Presence(Action):
    channel: ChannelName


class History(Action):
    """Which part of what a channel has said is to be told."""

    channel: ChannelName
    limit: int = Field(PAGE, ge=1, le=MAX_PAGE)
    """Messages at most."""
    before: int | None = Field(None, ge=1, lt=2**53)
    """Only messages with a smaller offset; without it the newest."""


class GetState(Action):
    channel: ChannelName


class Patch(Action):
    """What is to change in an instance's document; see `fairlead.state.patches`."""

    instance: Id
    patch: dict[str, Any] = Field(default_factory=dict)
    unset: list[str] = Field(default_factory=list)
    patch_id: MessageId | int | None = None
    base_version: int | None = Field(None, ge=0, lt=2**53)


class Ack(Action):
    """Messages that were got: by their ids, or all of a channel up to an offset, or both."""

    message_ids: list[MessageId] | None = Field(None, min_length=1, max_length=100)
    channel: ChannelName | None = None
    offset: int | None = Field(None, ge=0, lt=2**53)
    epoch: Word | None = None
    message_id: MessageId | None = None

    @model_validator(mode="after")
    def _something(self) -> Ack:
        if self.message_ids is None and (self.channel is None or self.offset is None):
            raise ValueError("give message_ids, or channel and offset")
        if self.offset is not None and self.channel is None:
            raise ValueError("give the channel that the offset belongs to")
        return self


class Wanted(BaseModel):
    """What somebody wants to see of what passes by, on any replica."""

    model_config = ConfigDict(strict=True, frozen=True)

    messages: bool = True
    types: Patterns = []
    """Of messages; none for all."""
    channels: Patterns = []
    """Likewise."""
    events: Patterns = ["*"]
    """By name; none for none."""
    max_per_second: int = Field(20, ge=1, le=100)


class WatchLive(Action, Wanted):
    @model_validator(mode="after")
    def _something(self) -> WatchLive:
        if not self.messages and not self.events:
            raise ValueError("ask for messages, or events, or both")
        return self


class UnwatchLive(Action):
    pass
