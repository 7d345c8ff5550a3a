"""What an administrator may be allowed to do, and the roles that come with the product. Pure; knows no account."""

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum
from typing import Final

from outgate.frozen import frozen


class Privilege(StrEnum):
    """One thing that a role may allow; the table of operations (docs/roles.md) says what each is needed for."""

    GMAIL_SETTINGS = "gmail-settings"  # the reference's name for the right to turn the switch
    UNITS_READ = "units-read"
    UNITS_MANAGE = "units-manage"
    USERS_READ = "users-read"
    USERS_MANAGE = "users-manage"
    USERS_SECURITY = "users-security"
    SEND_AS_READ = "send-as-read"
    SEND_AS_MANAGE = "send-as-manage"
    DOMAINS_MANAGE = "domains-manage"
    ROLES_READ = "roles-read"
    ROLES_MANAGE = "roles-manage"
    AUDIT_READ = "audit-read"
    LOG_READ = "log-read"
    QUEUE_READ = "queue-read"
    QUEUE_MANAGE = "queue-manage"
    SECRETS_MANAGE = "secrets-manage"
    MAIL_SEND = "mail-send"  # as any user
    API_MANAGE = "api-manage"  # programs that act as any user: whoever has it may do everything, by a detour


# What each is for, in words; the first is named as in the reference.
IN_WORDS: Final[Mapping[Privilege, str]] = {
    Privilege.GMAIL_SETTINGS: "Gmail Settings: policy and the outbound gateway",
    Privilege.UNITS_READ: "See units, policy and domains",
    Privilege.UNITS_MANAGE: "Change units",
    Privilege.USERS_READ: "See users",
    Privilege.USERS_MANAGE: "Add, change and delete users",
    Privilege.USERS_SECURITY: "Reset passwords, end log-ins",
    Privilege.SEND_AS_READ: "See send-as addresses",
    Privilege.SEND_AS_MANAGE: "Change send-as addresses and their gateways",
    Privilege.DOMAINS_MANAGE: "Change domains and DKIM keys",
    Privilege.ROLES_READ: "See roles",
    Privilege.ROLES_MANAGE: "Make and assign roles",
    Privilege.AUDIT_READ: "See admin log events",
    Privilege.LOG_READ: "Search the mail log",
    Privilege.QUEUE_READ: "See the queue",
    Privilege.QUEUE_MANAGE: "Retry, hold and delete waiting mail",
    Privilege.SECRETS_MANAGE: "Rotate keys",
    Privilege.MAIL_SEND: "Send mail as any user",
    Privilege.API_MANAGE: "Let programs act as any user",
}
assert set(IN_WORDS) == set(Privilege)


@frozen
class Role:
    """A named set of privileges. It is assigned to a user for a unit, and holds there and in the units below.

    By `number` programs know it, whatever it is called: it stays.
    """

    name: str
    summary: str
    privileges: frozenset[Privilege]
    number: int = field(default=0, compare=False)


_READ: Final = frozenset(one for one in Privilege if one.value.endswith("-read"))
_EVERYTHING: Final = frozenset(Privilege)

BUILT_IN: Final[Mapping[str, Role]] = {
    role.name: role
    for role in (
        Role("super-admin", "Everything", _EVERYTHING, 1),
        Role(
            "mail-settings-admin",
            "Policy (the Gmail Settings privilege), send-as addresses, the queue and the mail log",
            frozenset(
                {
                    Privilege.GMAIL_SETTINGS,
                    Privilege.UNITS_READ,
                    Privilege.USERS_READ,
                    Privilege.SEND_AS_READ,
                    Privilege.SEND_AS_MANAGE,
                    Privilege.LOG_READ,
                    Privilege.QUEUE_READ,
                    Privilege.QUEUE_MANAGE,
                }
            ),
            2,
        ),
        Role(
            "user-admin",
            "Users with their passwords and send-as addresses",
            frozenset(
                {
                    Privilege.UNITS_READ,
                    Privilege.USERS_READ,
                    Privilege.USERS_MANAGE,
                    Privilege.USERS_SECURITY,
                    Privilege.SEND_AS_READ,
                    Privilege.SEND_AS_MANAGE,
                }
            ),
            3,
        ),
        Role("auditor", "Sees everything, changes nothing", _READ, 4),
        Role(
            "help-desk",
            "Sees users and where their mail went; resets passwords and lifts locks",
            frozenset(
                {
                    Privilege.UNITS_READ,
                    Privilege.USERS_READ,
                    Privilege.USERS_SECURITY,
                    Privilege.SEND_AS_READ,
                    Privilege.LOG_READ,
                }
            ),
            5,
        ),
    )
}
# After those of roles to come with the product.
FIRST_NUMBER: Final = 1000


@frozen
class Grant:
    """Privileges that somebody has for a unit and all units below it."""

    unit: str
    privileges: frozenset[Privilege]

    def covers(self, unit: str) -> bool:
        """Whether the grant holds in this unit."""
        return self.unit in ("/", unit) or unit.startswith(f"{self.unit}/")


def may(grants: tuple[Grant, ...], privilege: Privilege, unit: str) -> bool:
    """Whether one of the grants allows this in this unit."""
    return any(privilege in grant.privileges and grant.covers(unit) for grant in grants)


def at_least(grants: tuple[Grant, ...], others: tuple[Grant, ...]) -> bool:
    """Whether `grants` allow all that `others` do: nobody may act on somebody who may do more."""
    return all(may(grants, privilege, other.unit) for other in others for privilege in other.privileges)
