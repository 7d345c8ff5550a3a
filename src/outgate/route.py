"""By which way does a message go to a recipient? Pure: account + From + recipient + policy -> route with its reasons.

First match wins: the address's own gateway, local mailboxes, the domain's outbound gateway, the recipient's MX.
"""

from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from typing import Final

from outgate.frozen import frozen
from outgate.model import (
    WHOLE_DOMAIN,
    Account,
    Gateway,
    Organisation,
    Phrase,
    QueueKey,
    QueueKind,
    Refused,
    SendAs,
    WithoutGateway,
)

# What the reference tells a user who may have no gateway; a format of {address} and its {domain}.
NOT_ENABLED: Final = (
    "Functionality not enabled. You must send through {domain} SMTP servers when you send as {address}. However, this"
    " functionality is not available for your account. Please contact your domain administrator for more information."
)

# What a provider's interface can't do (docs/gateways-http.md).
LIMITS_OF_INTERFACE: Final = (
    "it takes mail by {title}: recipients are those in To, Cc and Bcc, the envelope sender is the account's own, it"
    " sends no delivery reports, and sizes are limited (docs/gateways-http.md)"
)

# How the reason begins for which recipients see the account beside From.
ON_BEHALF: Final = "the organisation's servers deliver on behalf of "


class RouteKind(StrEnum):
    """The four ways out, in the order in which they are tried."""

    USER_GATEWAY = "user-gateway"
    LOCAL = "local"
    DOMAIN_GATEWAY = "domain-gateway"
    DIRECT = "direct"


@frozen
class Route:
    """Way, gateway and envelope sender as one record, with the reasons in the order in which they were found.

    `on_behalf_of` is the primary address when Sender must carry it.
    """

    kind: RouteKind
    queue: QueueKey
    reverse_path: str
    reasons: tuple[str, ...]
    gateway: Gateway | None = None
    on_behalf_of: str | None = None

    @property
    def is_by_own_gateway(self) -> bool:
        """Whether it is the sender who can repair its gateway: neither a common one nor the organisation's."""
        return self.kind is RouteKind.USER_GATEWAY and not (self.gateway and self.gateway.is_common)

    @property
    def queue_name(self) -> str:
        """The queue as people call it: by the gateway's host and user, if there is one."""
        return self.gateway.in_short if self.gateway else str(self.queue)


@frozen
class Ways:
    """The ways of a message's recipients by their numbers, as one state of the directory had them: its version, and the
    account as it was then."""

    version: int
    account: Account
    routes: Sequence[Route]


def route(
    organisation: Organisation,
    account: Account | None,
    chosen: SendAs | None,
    recipient: str,
    *,
    reverse_path: str,
) -> Route | Refused:
    """Choose the way for one recipient (in compared form), or say why policy lets the message take none.

    `account` and `chosen` are None for mail whose account is gone. Of `reverse_path` only whether it is null counts
    (RFC 5321 section 4.5.5), and it stays null.
    Mail with a null sender (a receipt) and automatic replies take the same ways as all other.
    """
    reasons: list[str] = []
    domain = recipient.rpartition("@")[2]
    if chosen and chosen.covered_by:
        what = "in" if chosen.covered_by.startswith(WHOLE_DOMAIN) else "a +tag of"
        reasons.append(f"{chosen.address} is {what} {chosen.covered_by}")
    if account and chosen and (gateway := _user_gateway(account, chosen, reasons)):
        if refused := account.policy.refuses_recipient(domain):
            return Refused(
                "mail from {address} may not go to {recipient}: {why}",
                {"address": chosen.address, "recipient": recipient, "why": refused},
            )
        mail_from = chosen.address if reverse_path else ""
        return Route(RouteKind.USER_GATEWAY, gateway_queue(gateway), mail_from, tuple(reasons), gateway=gateway)
    if account and chosen and (refusal := _refused_without_gateway(account, chosen)):
        return refusal
    on_behalf_of = account.primary if account and chosen and not chosen.own_domain else None
    if on_behalf_of:
        reasons.append(ON_BEHALF + on_behalf_of)
    sender = reverse_path
    if chosen:
        sender = on_behalf_of or chosen.address
        reverse_path = reverse_path and sender
    return _organisations_way(organisation, recipient, sender, reverse_path, on_behalf_of, reasons)


def own_route(organisation: Organisation, recipient: str, reverse_path: str) -> Route:
    """The way of the organisation's own mail: confirmation codes, delivery reports, journal copies."""
    return _organisations_way(organisation, recipient, reverse_path, reverse_path, None, [])


def _organisations_way(
    organisation: Organisation,
    recipient: str,
    sender: str,
    reverse_path: str,
    on_behalf_of: str | None,
    reasons: list[str],
) -> Route:
    """`sender` is whose domain's gateway it takes: who answers for it here, also where the envelope names nobody."""
    domain = recipient.rpartition("@")[2]
    if domain in organisation.domains:
        reasons.append(f"{domain} is one of the organisation's own domains")
        return Route(
            RouteKind.LOCAL, QueueKey(QueueKind.LOCAL), reverse_path, tuple(reasons), on_behalf_of=on_behalf_of
        )
    if out := organisation.way_out((sender or organisation.postmaster).rpartition("@")[2].lower()):
        queue, gateway = out
        whose = f"mail from {queue.name}" if queue.name else "the organisation's mail"
        reasons.append(f"{whose} passes its outbound gateway {gateway.whereabouts}")
        return Route(
            RouteKind.DOMAIN_GATEWAY,
            queue,
            reverse_path,
            tuple(reasons),
            gateway=gateway,
            on_behalf_of=on_behalf_of,
        )
    reasons.append(f"no outbound gateway is set: to the mail exchangers of {domain}")
    return Route(
        RouteKind.DIRECT, QueueKey(QueueKind.MX, domain), reverse_path, tuple(reasons), on_behalf_of=on_behalf_of
    )


def refuses_past_gateway(account: Account, chosen: SendAs) -> Refused | None:
    """Why the organisation's servers may not deliver in the place of an address's own gateway, by which it must leave;
    None if they may.
    """
    policy, gateway = account.policy, gateway_of(account, chosen)
    if gateway and gateway.is_common:
        return Refused(
            "{address} leaves by a server that your administrator has set: only they can have it leave another way",
            {"address": chosen.address},
        )
    if gateway is None:
        return Refused(
            "{address} does not leave by a server of its own: try it again instead", {"address": chosen.address}
        )
    if not chosen.own_domain and policy.without_gateway is WithoutGateway.REFUSE:
        return Refused(
            "{address} can only be sent through its own server: gatewayNotAllowed is refuse ({source}); ask your"
            " administrator",
            {"address": chosen.address, "source": policy.origin("without_gateway")},
        )
    return _refused_without_gateway(account, replace(chosen, gateway=None, common_gateway=None))


def gateway_queue(gateway: Gateway) -> QueueKey:
    """Where mail for a user's gateway, or a common one, waits."""
    kind = QueueKind.COMMON_GATEWAY if gateway.is_common else QueueKind.GATEWAY
    return QueueKey(kind, str(gateway.row))


def gateway_of(account: Account, chosen: SendAs) -> Gateway | None:
    """By which gateway an address leaves: the account's own, else the common one of its grant; None if by neither."""
    return _user_gateway(account, chosen, [])


def _user_gateway(account: Account, chosen: SendAs, reasons: list[str]) -> Gateway | None:
    """The address's gateway if it may be used; says in `reasons` what decided."""
    return _own_gateway(account, chosen, reasons) or _common_gateway(account, chosen, reasons)


def _common_gateway(account: Account, chosen: SendAs, reasons: list[str]) -> Gateway | None:
    """That of the grant. Whether users may have servers of their own is no question here, but which servers may be."""
    gateway = chosen.common_gateway
    if gateway is None or chosen.own_domain:
        return None
    if refused := account.policy.refuses_server(gateway.host, gateway.port, gateway.security):
        reasons.append(f"{chosen.address} has the common gateway {gateway.host}, but {refused}")
        return None
    reasons.append(f"{chosen.address} has the common gateway {gateway.host}:{gateway.port}, set by an administrator")
    reasons.extend(_limits(gateway))
    return gateway


def _own_gateway(account: Account, chosen: SendAs, reasons: list[str]) -> Gateway | None:
    gateway = chosen.gateway
    if gateway is None:
        reasons.append(f"{chosen.address} has no gateway of its own")
    elif chosen.own_domain:
        reasons.append(f"{chosen.address} is in the organisation's own domains, where users' gateways do not apply")
    elif refused := account.policy.refuses_gateway(gateway.host, gateway.port, gateway.security):
        reasons.append(f"{chosen.address} has the gateway {gateway.host}, but {refused}")
    else:
        reasons.append(f"{chosen.address} has the gateway {gateway.host}:{gateway.port}")
        reasons.extend(_limits(gateway))
        reasons.append(f"allowUsersToUseExternalSmtpServers is on ({account.policy.origin('allow_external_smtp')})")
        return gateway
    return None


def _limits(gateway: Gateway) -> list[str]:
    return [] if gateway.is_smtp else [LIMITS_OF_INTERFACE.format(title=gateway.kind.in_words)]


def _refused_without_gateway(account: Account, chosen: SendAs) -> Refused | None:
    """Why policy does not let the organisation's servers send as this address, if it does not."""
    if chosen.own_domain:
        return None
    policy, gateway = account.policy, chosen.gateway or chosen.common_gateway
    if gateway and policy.without_gateway is WithoutGateway.REFUSE:
        refuses = policy.refuses_server if gateway.is_common else policy.refuses_gateway
        why = refuses(gateway.host, gateway.port, gateway.security)
        told = Phrase(NOT_ENABLED, {"address": chosen.address, "domain": chosen.address.rpartition("@")[2]})
        return Refused("{told} ({why})", {"told": told, "why": why})
    if not policy.external_from:
        return Refused(
            "{address} is outside the organisation's domains and can only be sent through its own server:"
            " allowExternalFromWithoutGateway is off ({source}); ask your administrator",
            {"address": chosen.address, "source": policy.origin("external_from")},
        )
    return None
