"""All that can be set from outside, read once at start."""

from __future__ import annotations

import os
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, Field, SecretStr, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from fairlead.names import DURABLE_KINDS, KINDS
from fairlead.questions.question import Policy

CommaSeparated = Annotated[tuple[str, ...], NoDecode]
"""A list written with commas in the environment."""

PREFIX = "FAIRLEAD_"

OF_TESTS = ("FAIRLEAD_TEST_", "FAIRLEAD_REQUIRE_ALL", "FAIRLEAD_SEED")
"""What variables begin with that are read by tests alone."""

LASTING_KINDS = tuple(kind for kind in KINDS if kind != "connection")
"""Kinds of channel that may have a history: those that somebody can come back to."""


def _alias(name: str, *others: str) -> AliasChoices:
    """The variable of the field, and the names that older documents give it."""
    return AliasChoices(f"{PREFIX}{name.upper()}", *others)


class SecretFiles(PydanticBaseSettingsSource):
    """``FAIRLEAD_JWT_SECRET_FILE=/run/secrets/jwt`` for every field: the value is what the file holds."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        path = os.environ.get(f"{PREFIX}{field_name.upper()}_FILE")
        return (Path(path).read_text().strip() if path else None), field_name, False

    def __call__(self) -> dict[str, Any]:
        values = {name: self.get_field_value(field, name)[0] for name, field in self.settings_cls.model_fields.items()}
        return {name: value for name, value in values.items() if value is not None}


class Settings(BaseSettings):
    """Every setting of a replica; units are in the names, defaults are what we would run ourselves."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="forbid", populate_by_name=True, use_attribute_docstrings=True
    )

    # -- where -----------------------------------------------------------------------------------

    host: str = Field("127.0.0.1", validation_alias=_alias("host", "WEBSOCKET_HOST"))
    """Address to listen on."""

    port: int = Field(8000, ge=0, le=65535, validation_alias=_alias("port", "WEBSOCKET_PORT"))
    """Port to listen on; 0 takes a free one."""

    admin_host: str = "127.0.0.1"
    """Address of the listener of operators, where ``admin_port`` is set; that of the pod, behind a NetworkPolicy."""

    admin_port: int = Field(0, ge=0, le=65535)
    """
    Port of a listener for operators: dashboard, figures and the whole HTTP interface are served there, and no longer
    where clients connect. 0 for none: then they are with the rest on a loopback ``host``, and nowhere on any other.
    """

    redis_url: SecretStr = SecretStr("redis://127.0.0.1:6379/0")
    """Where the replicas meet; several, comma-separated, are independent shards."""

    prefix: str = Field("fl", pattern=r"^[A-Za-z0-9_\-.]{1,32}$")
    """First part of every key and channel in Redis."""

    replica: str = Field("", pattern=r"^[A-Za-z0-9_\-.]{0,64}$")
    """Name of this replica; empty makes one from host name and process. Must differ between replicas."""

    forwarded_allow_ips: str = "127.0.0.1"
    """Proxies whose X-Forwarded-For is believed; never ``*`` on a public listener."""

    # -- who may come in -------------------------------------------------------------------------

    jwt_secret: SecretStr = SecretStr("")
    """Key of HS256/384/512 tokens, at least 32 bytes."""

    jwt_public_key: str = ""
    """PEM of the key that RS*, ES* or EdDSA tokens are signed with."""

    jwt_jwks_url: str = ""
    """Where to fetch rotating keys; https, except on loopback."""

    jwt_algorithms: CommaSeparated = ()
    """Accepted algorithms; empty follows from the kind of key."""

    jwt_audience: str = ""
    """Required ``aud``, if set."""

    jwt_issuer: str = ""
    """Required ``iss``, if set."""

    jwt_leeway_seconds: float = Field(5.0, ge=0, le=60)
    """Clock difference that is forgiven."""

    allow_anonymous: bool = False
    """Let connections in without a token, each as a user of its own."""

    allow_query_token: bool = False
    """Accept ``?token=``; such tokens end up in the logs of proxies."""

    allowed_origins: CommaSeparated = ()
    """Web origins (scheme://host[:port]) that may connect; ``*`` for any. Empty: the same host only."""

    auth_timeout_seconds: float = Field(5.0, gt=0)
    """How long an upgraded socket may stay without having said who it is."""

    authorizer_url: str = ""
    """HTTP service asked whether a user may join; empty asks the session's member set in Redis."""

    authorizer_cache_seconds: float = Field(10.0, ge=0)
    """How long an answer of the authorizer is remembered."""

    viewer_roles: CommaSeparated = ("viewer", "monitor")
    """Roles that may see the whole fleet, over REST and ``/ws/admin/monitor``."""

    operator_roles: CommaSeparated = ("operator",)
    """Roles that may also send, ask, disconnect and cancel over REST."""

    admin_roles: CommaSeparated = ("admin",)
    """Roles that may do everything."""

    live_content: bool = False
    """Whether admins who watch live also see what messages say, cut short; otherwise only from where to where."""

    revoked_seconds: float = Field(7 * 86_400.0, gt=0)
    """How long a revoked token is refused where the revocation does not say; no token should live longer."""

    task_operator_roles: CommaSeparated = ("admin",)
    """Roles that may cancel every task that their claims let them watch; its owner always may."""

    direct_messages: bool = True
    """Whether any user with a token may send a message to any other; off, the authorizer is asked."""

    # -- how many, how much ----------------------------------------------------------------------

    max_connections: int = Field(15_000, gt=0, validation_alias=_alias("max_connections", "WEBSOCKET_MAX_CONNECTIONS"))
    """Connections of one replica; one more is closed with 1013."""

    max_connections_per_user: int = Field(5, gt=0)
    """Connections of one user across all replicas."""

    user_limit_policy: Literal["refuse", "evict", "single"] = "refuse"
    """What a user's connection too many does: is refused, evicts the oldest, or (single) replaces every other."""

    max_channels_per_connection: int = Field(100, gt=0)
    """Channels that one connection may subscribe to."""

    max_message_bytes: int = Field(64 * 1024, gt=0, le=1_000_000)
    """Largest frame, and message, that a client may send."""

    max_message_depth: int = Field(32, gt=0)
    """Deepest nesting that a client may send."""

    max_outbox_bytes: int = Field(1024 * 1024, gt=0)
    """How far a client may fall behind in reading before it is closed with 4100."""

    rate_messages_per_second: float = Field(50.0, ge=0)
    """Sustained frames a second of one connection, with bursts of four seconds' worth; 0 for no limit."""

    rate_bytes_per_second: float = Field(256 * 1024, ge=0)
    """Sustained bytes a second of one connection, with bursts of four seconds' worth; 0 for no limit."""

    max_errors_per_minute: int = Field(60, gt=0)
    """Error frames that a connection may earn in a minute before it is closed with 4129."""

    compression: bool = False
    """Offer permessage-deflate (no context takeover). Costs CPU, and mixing secrets with foreign text leaks."""

    # -- time ------------------------------------------------------------------------------------

    heartbeat_interval_seconds: float = Field(
        30.0, gt=0, validation_alias=_alias("heartbeat_interval_seconds", "WEBSOCKET_PING_INTERVAL")
    )
    """How often a quiet client is pinged; a proxy in front must wait longer than this."""

    heartbeat_timeout_seconds: float = Field(
        60.0, gt=0, validation_alias=_alias("heartbeat_timeout_seconds", "WEBSOCKET_PING_TIMEOUT")
    )
    """A client not heard of for this long is closed with 4101."""

    message_timeout_seconds: float = Field(5.0, gt=0)
    """How long a handler may take before the client gets ``handler_timeout``."""

    header_timeout_seconds: float = Field(5.0, gt=0)
    """How long a client may take to send its request head."""

    lease_seconds: float = Field(10.0, gt=1)
    """A replica not heard of for this long is dead, and its connections with it."""

    presence_grace_seconds: float = Field(10.0, ge=0)
    """How long after its last connection a user, or a member of a session, may come back as if it had never left."""

    status_update_people: int = Field(200, ge=0)
    """A session with more people than this is not told which of them are online; 0 tells none."""

    drain_seconds: float = Field(10.0, ge=0)
    """How long sockets may take to move when the replica stops; they leave evenly over this time."""

    drain_linger_seconds: float = Field(2.0, ge=0)
    """How long a replica that stops still lets clients in, so that load balancers notice first that it is not ready."""

    watchdog_seconds: float = Field(10.0, ge=0)
    """A replica whose event loop stands still for this long ends with status 70; 0 lets it stand."""

    ask_timeout_seconds: float = Field(
        300.0, gt=0, validation_alias=_alias("ask_timeout_seconds", "WEBSOCKET_CALLBACK_TIMEOUT")
    )
    """How long a question to a user waits for an answer."""

    ask_on_timeout: Literal["proceed", "stop", "raise"] = "proceed"
    """What an unanswered question comes to."""

    ask_danger_proceeds: bool = False
    """Let dangerous questions that nobody answered proceed, too, where that is what an unanswered question comes to."""

    task_stalled_seconds: float = Field(300.0, ge=0)
    """How long a running task may say nothing before it has stalled, unless it says itself; 0 for any time."""

    # -- history ---------------------------------------------------------------------------------

    history_size: int = Field(256, ge=1, le=100_000)
    """Messages kept for each durable channel."""

    history_ttl_seconds: int = Field(3600, ge=1)
    """How long they are kept after the latest."""

    replay_memory_bytes: int = Field(16 * 1024 * 1024, ge=0)
    """How much of what was said last a replica remembers, so that clients who come back seldom make Redis work."""

    durable: CommaSeparated = DURABLE_KINDS
    """Kinds of channel with offsets and history."""

    durable_replicas: int = Field(0, ge=0, le=16)
    """Replicas of Redis that must have a durable message before it counts as sent; 0: the master alone has it."""

    state_ttl_seconds: int = Field(30 * 24 * 3600, ge=60)
    """How long the state of an instance is kept after its last change."""

    # -- backends ----------------------------------------------------------------------------------

    events: CommaSeparated = ("user_*", "session_*", "message_*", "task_*", "question_*", "error")
    """Events that backends can hear, by name or with ``*``; each costs a command, so a chatty one is left out."""

    events_size: int = Field(100_000, ge=1)
    """Events kept for backends, read or not."""

    forward_messages: bool = True
    """Whether backends hear the messages of clients, after they were stored."""

    forwarded_actions: CommaSeparated = ()
    """Actions that backends answer when no handler is registered, by name or with ``*``; others are unknown."""

    inbound_size: int = Field(10_000, ge=1)
    """Messages and actions of clients kept for backends, read or not."""

    inbound_bytes: int = Field(64 * 1024 * 1024, ge=1024 * 1024)
    """About how many bytes that may be; where clients say long things, fewer of them are kept."""

    connection_history_size: int = Field(10_000, ge=0)
    """Connections that have ended, of whom it is kept who, when, how long and why; 0 keeps none."""

    connection_history_days: float = Field(7.0, gt=0)
    """How long that is kept at most."""

    # -- alerts ------------------------------------------------------------------------------------

    alerts: CommaSeparated = ()
    """Rules of alerts that differ from the default: ``error_rate=5/10`` (above 5 for 10 s), ``questions_open=off``."""

    alert_webhook_url: SecretStr = SecretStr("")
    """Where alerts are posted when they begin and end; https, except on loopback."""

    alert_webhook_secret: SecretStr = SecretStr("")
    """Key that what is posted is signed with, as Standard Webhooks have it; at least 32 bytes."""

    alert_webhook_hosts: CommaSeparated = ()
    """Hosts of webhooks that may be in a private network; any other must have a public address."""

    # -- the rest --------------------------------------------------------------------------------

    log_format: Literal["auto", "console", "json"] = "auto"
    """``auto`` is console on a terminal, else JSON."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """``debug`` traces every message by its id."""

    trace_messages: int = Field(10_000, ge=0, le=100_000)
    """Stations of messages that a replica remembers for ``fairlead trace``; 0 remembers none."""

    plugins: CommaSeparated = ()
    """Plugins to install, each as ``package.module:name``."""

    demo: CommaSeparated = ()
    """Origins of the replicas that the demonstration page at ``/`` connects to; empty serves no page."""

    insecure: CommaSeparated = ()
    """Rules of ``fairlead config check`` that are broken on purpose, by name."""

    @field_validator(
        *("jwt_algorithms", "allowed_origins", "task_operator_roles", "durable", "plugins", "demo", "insecure"),
        *("events", "forwarded_actions", "viewer_roles", "operator_roles", "admin_roles"),
        *("alerts", "alert_webhook_hosts"),
        mode="before",
    )
    @classmethod
    def _split_commas(cls, value: Any) -> Any:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("durable")
    @classmethod
    def _kinds_that_last(cls, kinds: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := [kind for kind in kinds if kind not in LASTING_KINDS]:
            raise ValueError(f"{', '.join(unknown)} cannot be kept; choose among {', '.join(LASTING_KINDS)}")
        return kinds

    @property
    def ask_policy(self) -> Policy:
        """What holds for questions that do not say otherwise."""
        return Policy(self.ask_timeout_seconds, self.ask_on_timeout, self.ask_danger_proceeds)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, SecretFiles(settings_cls)


def unknown(variables: Iterable[str]) -> dict[str, str]:
    """Those of *variables* that look like settings and are none, each with the nearest that is, or ""."""
    known = [f"{PREFIX}{name.upper()}" for name in Settings.model_fields]
    known += [f"{name}_FILE" for name in known]
    ours = sorted(name for name in variables if name.upper().startswith(PREFIX))
    return {
        name: "".join(get_close_matches(name.upper(), known, n=1, cutoff=0.8))
        for name in ours
        if name.upper() not in known and not name.upper().startswith(OF_TESTS)
    }
