"""The JSON shapes of things that several faces show. Never a password."""

from collections.abc import Mapping
from typing import TypedDict

from outgate.directory.policies import Effective, Policies
from outgate.directory.settings import Setting, Value
from outgate.model import Gateway, SendAs


class GatewayRow(TypedDict):
    """A gateway without its password."""

    host: str
    port: int
    security: str
    username: str


class SendAsRow(TypedDict):
    """A From address of an account."""

    account: str
    address: str
    name: str
    reply_to: str
    is_primary: bool
    is_default: bool
    treat_as_alias: bool
    verification_status: str
    own_domain: bool
    gateway: GatewayRow | None


class PolicyRow(TypedDict):
    """A setting's value in force for a unit. `inherited_from` is None where the unit has a value of its own."""

    setting: str
    ou: str
    value: Value
    inherited_from: str | None


def gateway_row(gateway: Gateway | None) -> GatewayRow | None:
    """A gateway; None for none."""
    if gateway is None:
        return None
    return {
        "host": gateway.host,
        "port": gateway.port,
        "security": gateway.security.value,
        "username": gateway.username,
    }


def send_as_row(account: str, entry: SendAs) -> SendAsRow:
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


def effective_row(unit: str, setting: str, effective: Effective) -> PolicyRow:
    """A setting's value in force for a unit."""
    source = "the default" if effective.source is None else effective.source
    return {
        "setting": setting,
        "ou": unit,
        "value": effective.value,
        "inherited_from": None if source == unit else source,
    }


def policy_row(policies: Policies, unit: str, setting: Setting) -> PolicyRow:
    """As `effective_row`, looked up."""
    return effective_row(unit, setting.name, policies.effective(unit, setting))


def effective_rows(unit: str, found: Mapping[str, Effective]) -> dict[str, PolicyRow]:
    """Values in force for a unit, by the name of the setting."""
    return {name: effective_row(unit, name, effective) for name, effective in found.items()}


def policy_rows(policies: Policies, unit: str) -> dict[str, PolicyRow]:
    """All settings in force for a unit, by name."""
    return effective_rows(unit, policies.all_effective(unit))
