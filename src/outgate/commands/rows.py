"""The JSON shapes that several commands print."""

from typing import Any

from outgate.authorise import Gateway, SendAs


def gateway_row(gateway: Gateway | None) -> dict[str, Any] | None:
    """A gateway without its password."""
    if gateway is None:
        return None
    return {
        "host": gateway.host,
        "port": gateway.port,
        "security": gateway.security.value,
        "username": gateway.username,
    }


def send_as_row(account: str, entry: SendAs) -> dict[str, Any]:
    """A From address of an account."""
    return {
        "account": account,
        "address": entry.address,
        "name": entry.display_name,
        "reply_to": entry.reply_to,
        "is_primary": entry.is_primary,
        "is_default": entry.is_default,
        "treat_as_alias": entry.treat_as_alias,
        "verification_status": "accepted" if entry.verified else "pending",
        "own_domain": entry.own_domain,
        "gateway": gateway_row(entry.gateway),
    }
