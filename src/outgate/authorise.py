"""May this account send as this From? Pure: it is handed the account as it stands and knows no table and no socket.

The shapes that the answer needs (Account, SendAs, Gateway, Policy) are defined here, since this is the first step of
the way of a message that needs them; directory/ and sendas/ make them from their rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum


class Security(StrEnum):
    """How a gateway's connection is secured; the words are those of Gmail's smtpMsa.securityMode."""

    NONE = "none"
    SSL = "ssl"
    STARTTLS = "starttls"


@dataclass(frozen=True, slots=True)
class Gateway:
    """One SMTP server with its credential, read as one record: host and password are never looked up apart.

    `sealed` is the password as the vault keeps it; only deliver/ has it opened, for the one connection.
    `identity` is the row that the seal is bound to.
    """

    identity: str
    host: str
    port: int
    security: Security
    username: str = ""
    sealed: bytes | None = field(default=None, repr=False)
    credential_version: int = 1


@dataclass(frozen=True, slots=True)
class SendAs:
    """One From address of an account. `address` is in its compared form (see mail.addresses.canonical)."""

    address: str
    display_name: str = ""
    reply_to: str = ""
    is_primary: bool = False
    is_default: bool = False
    treat_as_alias: bool = True
    verified: bool = False
    own_domain: bool = False
    gateway: Gateway | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """The settings in force for an account's unit; `source` is the unit that each value comes from."""

    allow_external_smtp: bool = False
    source: str = "/"


@dataclass(frozen=True, slots=True)
class Account:
    """An account with all its From addresses, as one consistent reading of the directory."""

    id: int
    primary: str
    name: str
    unit: str
    suspended: bool
    policy: Policy
    send_as: Mapping[str, SendAs]


@dataclass(frozen=True, slots=True)
class Authorised:
    """The From address that decides the route."""

    chosen: SendAs


@dataclass(frozen=True, slots=True)
class Refused:
    """Why not, in words for the account's own user (they go into a 550 5.7.1)."""

    reason: str


def authorise(
    account: Account, reverse_path: str, header_from: Sequence[str], sender: str | None = None
) -> Authorised | Refused:
    """Decide whether `account` may send with this MAIL FROM and these From addresses (all in compared form).

    Several From addresses must all be the account's; the one that Sender names, else the first, decides the route
    (RFC 5322 section 3.6.2). An empty MAIL FROM is allowed: the account is known from its log-in.
    """
    if refused := authorise_envelope(account, reverse_path):
        return refused
    if not header_from:
        return Refused("the message has no From address; set From to one of your own addresses")
    for address in header_from:
        if reason := _unusable(account, address, "From"):
            return Refused(reason)
    chosen = sender if sender and sender in header_from else header_from[0]
    return Authorised(account.send_as[chosen])


def authorise_envelope(account: Account, reverse_path: str) -> Refused | None:
    """The part that is known at MAIL already; None if there is nothing against it."""
    if account.suspended:
        return Refused(f"the account {account.primary} is suspended; ask your administrator")
    if reverse_path and (reason := _unusable(account, reverse_path, "MAIL FROM")):
        return Refused(reason)
    return None


def _unusable(account: Account, address: str, where: str) -> str | None:
    entry = account.send_as.get(address)
    if entry is None:
        return (
            f"{where} <{address}> is not an address of {account.primary}; add it under 'Send mail as' and confirm it,"
            f" or send from <{account.primary}>"
        )
    if not entry.verified:
        return f"{where} <{address}> is not confirmed yet; enter the code that was mailed to it, or have it sent again"
    return None
