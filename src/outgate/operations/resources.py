"""The JSON shapes that several commands print."""

from typing import Any

from outgate.directory.policies import Effective, Policies
from outgate.directory.settings import Setting
from outgate.model import Gateway, SendAs


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


def policy_row(policies: Policies, unit: str, setting: Setting) -> dict[str, Any]:
    """A setting's value in force for a unit. `inherited_from` is None where the unit has a value of its own."""
    return _policy_row(unit, setting.name, policies.effective(unit, setting))


def _policy_row(unit: str, name: str, effective: Effective) -> dict[str, Any]:
    source = "the default" if effective.source is None else effective.source
    return {
        "setting": name,
        "ou": unit,
        "value": effective.value,
        "inherited_from": None if source == unit else source,
    }


def policy_rows(policies: Policies, unit: str) -> dict[str, dict[str, Any]]:
    """All settings in force for a unit, by name."""
    return {name: _policy_row(unit, name, effective) for name, effective in policies.all_effective(unit).items()}
