"""By which server an address leaves, as every page shows it: four looks, which mean the same everywhere. Pure.

Its own server, the organisation's, the organisation's on behalf of the account, none. Words for ways are route's.
"""

from typing import Final

from outgate.frozen import frozen
from outgate.model import Account, Gateway, Organisation, Refused, SendAs
from outgate.route import RouteKind, route

_ANYBODY: Final = "anybody@recipient.invalid"  # whoever it is plays no part in it


@frozen
class Way:
    """`kind` is None where mail from the address is not taken at all: `refused` says why. `gateway` is that of the
    address, its own or a common one; `domain` the organisation's name; `on_behalf_of` whom recipients see beside From.
    """

    kind: RouteKind | None
    domain: str
    gateway: Gateway | None = None
    on_behalf_of: str = ""
    refused: Refused | None = None

    @property
    def host(self) -> str:
        """The gateway's."""
        return self.gateway.host if self.gateway else ""

    @property
    def is_common(self) -> bool:
        """Whether an administrator has set its gateway."""
        return self.gateway is not None and self.gateway.is_common

    @property
    def look(self) -> str:
        """The class that it is shown by."""
        return look_of(self.kind, is_behalf=bool(self.on_behalf_of))


def look_of(kind: RouteKind | None, *, is_behalf: bool) -> str:
    """The class that a way is shown by; `is_behalf` where recipients see the account beside From."""
    if kind is None:
        return "held"
    if kind is RouteKind.USER_GATEWAY:
        return kind.value
    return "behalf" if is_behalf else "organisation"


def way_of(account: Account, organisation: Organisation, entry: SendAs) -> Way:
    """The way of mail from an address of the account to somebody outside: as it would be routed now."""
    found = route(organisation, account, entry, _ANYBODY, reverse_path=entry.address)
    name = organisation.primary_domain
    if isinstance(found, Refused):
        return Way(None, name, refused=found)
    gateway = found.gateway if found.kind is RouteKind.USER_GATEWAY else None
    return Way(found.kind, name, gateway, found.on_behalf_of or "")
