"""By which server an address leaves, as every page shows it: four kinds, which mean the same everywhere. Pure."""

from enum import StrEnum
from typing import Final

from outgate.frozen import frozen
from outgate.model import Account, Organisation, Refused, SendAs
from outgate.route import RouteKind, route

_ANYBODY: Final = "anybody@recipient.invalid"  # whoever it is plays no part in it


class WayKind(StrEnum):
    """The address's own server; the organisation's; the organisation's on behalf of the account; none."""

    GATEWAY = "gateway"
    ORGANISATION = "organisation"
    BEHALF = "behalf"
    HELD = "held"


@frozen
class Way:
    """`host` is the own server's; `domain` the organisation's name; `on_behalf_of` whom recipients see beside From.

    `refused` is why mail from the address is not taken at all.
    """

    kind: WayKind
    domain: str
    host: str = ""
    on_behalf_of: str = ""
    refused: str = ""

    @property
    def is_behalf(self) -> bool:
        """Whether recipients see the account."""
        return self.kind is WayKind.BEHALF


def way_of(account: Account, organisation: Organisation, entry: SendAs) -> Way:
    """The way of mail from an address of the account to somebody outside: as it would be routed now."""
    found = route(organisation, account, entry, _ANYBODY, reverse_path=entry.address)
    name = organisation.primary_domain
    if isinstance(found, Refused):
        return Way(WayKind.HELD, name, refused=found.reason)
    if found.kind is RouteKind.USER_GATEWAY and found.gateway:
        return Way(WayKind.GATEWAY, name, host=found.gateway.host)
    if found.on_behalf_of:
        return Way(WayKind.BEHALF, name, on_behalf_of=found.on_behalf_of)
    return Way(WayKind.ORGANISATION, name)
