"""How a webhook's events are signed (Standard Webhooks 1.0: symmetric signatures, v1). Pure but for chance."""

import base64
import hmac
import secrets
from collections.abc import Sequence
from typing import Final

PREFIX: Final = "whsec_"
_SECRET_BYTES: Final = 32  # of 24 to 64


def new_secret() -> bytes:
    """What nobody can guess."""
    return secrets.token_bytes(_SECRET_BYTES)


def shown(secret: bytes) -> str:
    """As receivers are given it."""
    return PREFIX + base64.b64encode(secret).decode()


def headers(keys: Sequence[bytes], event_id: str, at: int, body: bytes) -> dict[str, str]:
    """What goes with the body when it is sent `at` (seconds since the epoch): a signature by each of the secrets, so
    that a receiver may have the former one yet while they are changed.
    """
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(at),
        "webhook-signature": " ".join(_signature(key, event_id, at, body) for key in keys),
    }


def _signature(key: bytes, event_id: str, at: int, body: bytes) -> str:
    signed = f"{event_id}.{at}.".encode() + body
    return f"v1,{base64.b64encode(hmac.digest(key, signed, 'sha256')).decode()}"
