"""The form for a server: what was entered, what was found of it, and what it shows. Used to add and to change one."""

from typing import Final, Self

from outgate.directory.errors import Invalid
from outgate.directory.gateway_settings import GatewaySettings
from outgate.discovery import presets
from outgate.discovery.candidates import Candidate, Certainty, Discovered, DiscoveryOutcome, Sought
from outgate.discovery.presets import Preset
from outgate.frozen import frozen
from outgate.mail.addresses import AddressError
from outgate.model import Gateway, Security
from outgate.web.form import Form
from outgate.web.visit import Visit

DEFAULT_PORT: Final = 587


@frozen
class ServerFields:
    """What the form shows. `port` is a text: it may be no number."""

    host: str = ""
    port: str = str(DEFAULT_PORT)
    username: str = ""
    security: str = Security.STARTTLS.value

    @classmethod
    def entered(cls, form: Form) -> Self:
        """As the form was sent."""
        security = form.text("security", Security.STARTTLS.value)
        return cls(form.text("host"), form.text("port"), form.text("server_username"), security)

    @classmethod
    def of(cls, server: Gateway | Candidate) -> Self:
        """One that there is, or was found; of a provider's interface there is nothing to enter."""
        if isinstance(server, Gateway) and not server.is_smtp:
            return cls(username=server.username)
        hosts = " ".join(server.hosts) if isinstance(server, Gateway) else server.host
        return cls(hosts, str(server.port), server.username, server.security.value)

    def settings(self, password: str, *, several: bool = False) -> GatewaySettings:
        """Checked; with `several` the first host may be followed by others. Raises Invalid."""
        hosts = self.host.replace(",", " ").split() if several else [self.host]
        if not any(hosts):
            raise Invalid("enter the name of the SMTP server")
        if not (self.port.isascii() and self.port.isdigit() and len(self.port) < 6):
            raise Invalid("'{text}' is not a port; it is a number, in most cases 587 or 465", text=self.port[:20])
        host, *fallbacks = hosts
        return GatewaySettings.entered(
            host, int(self.port), self.security, self.username, password, fallbacks=fallbacks
        )


@frozen
class Found:
    """The best that was found of a server, and where; `confirm` and `is_guess` are cautions. Or what is known of a
    `provider` that was chosen, and whom one can sign in with there in place of a password (`sign_in`).
    """

    fields: ServerFields
    where: str
    hint: str
    confirm: bool
    is_guess: bool
    provider: str = ""
    sign_in: str = ""


async def asked_for(visit: Visit, address: str) -> Found | None:
    """Of the provider that was chosen, if one was; else what is found, if the query says `look`."""
    if preset := presets.shipped().named(visit.form.text("provider")):
        return _of(preset, address)
    return await found_for(visit, address) if "look" in visit.form else None


def _of(preset: Preset, address: str) -> Found | None:
    try:
        username = Sought.of(address).username(preset.username)
    except AddressError:
        return None
    fields = ServerFields(preset.host, str(preset.port), username, preset.security.value)
    return Found(fields, "", preset.hint, confirm=False, is_guess=False, provider=preset.name, sign_in=preset.sign_in)


async def found_for(visit: Visit, address: str) -> Found | None:
    """Asks presets, the DNS and the domain; None if there is nothing to be found."""
    try:
        discovered = await visit.services.discoverer.discover(address)
    except AddressError:
        return None
    if not discovered.candidates:
        return None
    best = discovered.candidates[0]
    is_guess = best.certainty is Certainty.GUESS
    return Found(ServerFields.of(best), _where(discovered, best), best.hint, best.confirm, is_guess)


def _where(discovered: Discovered, best: Candidate) -> str:
    looked = (one for one in discovered.looked_at if one.source is best.source)
    return next((one.where for one in looked if one.outcome is DiscoveryOutcome.FOUND), "")
