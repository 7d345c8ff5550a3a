"""The JSON shapes of things that several faces show. Never a password."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from outgate.directory.policies import Effective
from outgate.iso_time import iso
from outgate.model import Gateway, SendAs
from outgate.record.events import MessageEvent

# What JSON can say.
JsonValue: TypeAlias = "bool | int | float | str | Sequence[JsonValue] | Mapping[str, JsonValue] | None"
JsonObject: TypeAlias = dict[str, JsonValue]


def gateway_row(gateway: Gateway | None) -> JsonObject | None:
    """A gateway without its password; None for none."""
    if gateway is None:
        return None
    return {
        "host": gateway.host,
        "port": gateway.port,
        "security": gateway.security.value,
        "username": gateway.username,
        "provider": gateway.provider,
        "kind": gateway.kind.value,
        "fallbacks": list(gateway.fallbacks),
    }


def common_gateway_row(gateway: Gateway | None) -> JsonObject | None:
    """A common gateway as its users see it: where it is, and not as whom it logs in; None for none."""
    if gateway is None:
        return None
    return {"host": gateway.host, "port": gateway.port, "security": gateway.security.value}


def send_as_row(account: str, entry: SendAs) -> JsonObject:
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
        "common_gateway": common_gateway_row(entry.common_gateway),
    }


def effective_row(unit: str, setting: str, effective: Effective) -> JsonObject:
    """A setting's value in force for a unit. `inherited_from` is None where the unit has a value of its own."""
    source = "the default" if effective.source is None else effective.source
    return {
        "setting": setting,
        "ou": unit,
        "value": effective.value,
        "inherited_from": None if source == unit else source,
    }


def effective_rows(unit: str, found: Mapping[str, Effective]) -> dict[str, JsonObject]:
    """Values in force for a unit, by the name of the setting."""
    return {name: effective_row(unit, name, effective) for name, effective in found.items()}


def event_row(event: MessageEvent, names: Mapping[str, str]) -> JsonObject:
    """Something that happened to a message. The queue's name is what it is called now; the events themselves have the
    key.
    """
    detail = dict(event.detail)
    if "queue" in detail:
        detail["queue_name"] = names[detail["queue"]]
    for moment in ("next_attempt", "not_before"):
        if moment in detail:
            detail[moment] = iso(detail[moment])
    return {"at": iso(event.at), "kind": event.kind.value} | detail
