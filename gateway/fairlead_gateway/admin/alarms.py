"""The alarm and the webhook of a replica, made of its parts and settings."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from fairlead.redis.shards import Shards
from fairlead_gateway.admin.alarm import Alarm
from fairlead_gateway.admin.alerts import limits
from fairlead_gateway.admin.depths import depths
from fairlead_gateway.admin.overseer import Overseer
from fairlead_gateway.admin.receiver import receiver
from fairlead_gateway.admin.webhook import Webhook
from fairlead_gateway.sessions.replica import Replica
from fairlead_gateway.sessions.tasks import Tasks


class Alarms(NamedTuple):
    """What there is of them."""

    alarm: Alarm
    webhook: Webhook | None

    def keep(self, services: Tasks) -> None:
        """Begin to deliver, where there is somebody to deliver to."""
        if self.webhook is not None:
            services.keep(self.webhook.run, name="webhook")


def alarms(replica: Replica, shards: Shards, overseer: Overseer) -> Alarms:
    """Those of *replica*; the alarm goes off when *overseer* sees something."""
    lane, names, settings = replica.lane, replica.names, replica.settings
    told = receiver(settings)
    alarm = Alarm(
        lane,
        names,
        replica.publisher,
        replica.tasks,
        partial(depths, lane, names, shards),
        limits(settings.alerts),
        has_webhook=told is not None,
    )
    overseer.watchers.append(alarm.watch)
    overseer.firing = alarm.firing
    overseer.turned = alarm.turned
    return Alarms(alarm, None if told is None else Webhook(lane, names, told))
