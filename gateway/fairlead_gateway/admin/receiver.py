"""Whoever is told of alerts by a webhook: where, and signed how."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from typing import Final
from urllib.parse import urlsplit

from fairlead_gateway.access.service import Service
from fairlead_gateway.settings import Settings

SETTING: Final = "FAIRLEAD_ALERT_WEBHOOK_URL"

STANDARD_SECRET: Final = "whsec_"
"""How secrets of Standard Webhooks begin; what follows is base64."""


def signature(secret: bytes, id: str, timestamp: int, body: bytes) -> str:
    """What proves that *body* is from who knows *secret*: HMAC-SHA256 over id, time and body, as base64."""
    signed = b"%s.%d.%s" % (id.encode("ascii"), timestamp, body)
    return "v1," + base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()


def key_of(secret: str) -> bytes:
    """
    The bytes that are signed with.

    :raises ValueError: what follows ``whsec_`` is no base64.
    """
    if not secret.startswith(STANDARD_SECRET):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(STANDARD_SECRET), validate=True)
    except binascii.Error:
        raise ValueError("FAIRLEAD_ALERT_WEBHOOK_SECRET begins with whsec_, and base64 does not follow") from None


class Receiver:
    """
    One webhook, as Standard Webhooks have it: ``webhook-id``, ``webhook-timestamp`` and ``webhook-signature``.

    The id is the same however often something is posted. Without a secret there is no signature.
    """

    def __init__(self, service: Service, secret: str) -> None:
        self._service = service
        self._key = key_of(secret)

    async def post(self, id: str, body: bytes) -> None:
        """
        Post the JSON *body*, once.

        :raises Unavailable: it was not taken.
        """
        timestamp = int(time.time())
        headers = {"webhook-id": id, "webhook-timestamp": str(timestamp)}
        if self._key:
            headers["webhook-signature"] = signature(self._key, id, timestamp, body)
        await self._service.deliver(body, headers)


def receiver(settings: Settings) -> Receiver | None:
    """
    That of the settings, if they name one.

    :raises ValueError: it is at none that may be asked; the message does not repeat the address.
    """
    url = settings.alert_webhook_url.get_secret_value()
    if not url:
        return None
    host = urlsplit(url).hostname if "://" in url else None
    service = Service(url, SETTING, outside_only=host not in settings.alert_webhook_hosts)
    return Receiver(service, settings.alert_webhook_secret.get_secret_value())
