"""Entries of the audit trail in the form of the Reports API's activities (application `admin`). Pure.

The switch is written as the reference writes it: CHANGE_EMAIL_SETTING with SETTING_NAME=OUTBOUND_RELAY_ENABLED.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from outgate.iso_time import iso
from outgate.record.audit_trail import DONE, AuditEntry, Recorded

SWITCH: Final = "allowUsersToUseExternalSmtpServers"

# The reference's names of event types; operations that it has no word for keep their own.
_TYPES: Final[Mapping[str, str]] = {
    "policy": "EMAIL_SETTINGS",
    "domain-gateway": "EMAIL_SETTINGS",
    "send-as": "EMAIL_SETTINGS",
    "gateway": "EMAIL_SETTINGS",
    "user": "USER_SETTINGS",
    "unit": "ORG_SETTINGS",
    "role": "DELEGATED_ADMIN_SETTINGS",
    "domain": "DOMAIN_SETTINGS",
}


def activity(recorded: Recorded, customer: str) -> dict[str, Any]:
    """One entry as `admin#reports#activity`."""
    entry = recorded.entry
    kind = entry.operation.partition(".")[0]
    return {
        "kind": "admin#reports#activity",
        "id": {
            "time": iso(entry.at),
            "uniqueQualifier": str(recorded.number),
            "applicationName": "admin",
            "customerId": customer,
        },
        "actor": {"callerType": "USER" if "@" in entry.actor else "KEY", "email": entry.actor},
        "ipAddress": entry.peer,
        "events": _settings(recorded) if kind == "policy" and entry.outcome == DONE else [_event(recorded, kind)],
    }


def _settings(recorded: Recorded) -> list[dict[str, Any]]:
    entry = recorded.entry
    return [
        {
            "type": "EMAIL_SETTINGS",
            "name": "CHANGE_EMAIL_SETTING",
            "parameters": _parameters(
                {
                    "SETTING_NAME": "OUTBOUND_RELAY_ENABLED" if name == SWITCH else name,
                    "ORG_UNIT_NAME": entry.unit,
                    "OLD_VALUE": old,
                    "NEW_VALUE": new,
                }
            ),
        }
        for name, (old, new) in _changes(entry)
    ]


def _changes(entry: AuditEntry) -> Iterator[tuple[str, list[Any]]]:
    """Each thing's old and new value; what else is noted is not one's."""
    for name, value in entry.detail.items():
        if isinstance(value, list) and len(value) == 2:
            yield name, value


def _event(recorded: Recorded, kind: str) -> dict[str, Any]:
    entry = recorded.entry
    found: dict[str, Any] = {"TARGET": entry.target, "ORG_UNIT_NAME": entry.unit, "OUTCOME": entry.outcome}
    for name, value in entry.detail.items():
        if isinstance(value, list) and len(value) == 2:
            found[f"OLD_{name.upper()}"], found[f"NEW_{name.upper()}"] = value
        else:
            found[name.upper()] = value
    return {
        "type": _TYPES.get(kind, kind.upper().replace("-", "_")),
        "name": entry.operation.upper().replace(".", "_").replace("-", "_"),
        "parameters": _parameters(found),
    }


def _parameters(values: Mapping[str, Any]) -> list[dict[str, str]]:
    return [{"name": name, "value": _text(value)} for name, value in values.items()]


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)
