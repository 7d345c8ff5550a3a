"""What the demonstration shows: the cases in their order, and what the reference says of each, as data.

The four are steps of one story, each on top of the one before. So the message from the primary address is sent while
the domain outbound gateway is set, and shows that it passes that gateway, as mail by the user's own gateway does not.
"""

from collections.abc import Iterable, Mapping
from dataclasses import field

from outgate.demo.arrival import Arrival
from outgate.demo.network import ORGANISATION, PARTNER, Network
from outgate.frozen import frozen

USER = f"alice@{ORGANISATION}"
OTHER = f"alice@{PARTNER}"
COLLEAGUE = f"bob@{ORGANISATION}"
ADMINISTRATOR = f"anna@{ORGANISATION}"
SUBJECT = "The figures for Thursday"


@frozen
class Command:
    """One `outgate` command line; `stdin` is what it reads, a password."""

    arguments: tuple[str, ...]
    stdin: str = field(default="", repr=False)

    def __str__(self) -> str:
        return " ".join(("outgate", *self.arguments))


@frozen
class Case:
    """One message: what the administrator or user sets before, the From address, what must come of it."""

    name: str
    title: str
    author: str
    expected: Mapping[str, object]
    commands: tuple[Command, ...] = ()


@frozen
class Row:
    """One message as its recipient got it, and the servers that have a record of it."""

    case: str
    title: str
    arrival: Arrival
    recorded_by: tuple[str, ...]

    def fields(self) -> dict[str, object]:
        """The JSON object of `outgate demo --json`."""
        arrival, checks = self.arrival, self.arrival.checks
        return {
            "case": self.case,
            "shown_as": arrival.shown_as,
            "shown_by_outlook": arrival.shown_by_outlook,
            "header_from": arrival.header_from,
            "sender": arrival.sender,
            "envelope_from": arrival.envelope_from,
            "delivered_by": arrival.delivered_by,
            "spf": checks.spf,
            "spf_domain": checks.spf_domain,
            "dkim": checks.dkim,
            "dkim_domain": checks.dkim_domain,
            "dmarc": checks.dmarc,
            "folder": arrival.folder,
            "recorded_by": list(self.recorded_by),
            "subject": arrival.subject,
            "message_id": arrival.message_id,
        }

    def differences(self, expected: Mapping[str, object]) -> Iterable[str]:
        """What is not as expected, in words."""
        fields = self.fields()
        for key, value in expected.items():
            if fields[key] != value:
                yield f"{self.case}: {key} is {fields[key]!r}, not {value!r}"


def cases(network: Network, password: str) -> tuple[Case, ...]:
    """The story; `password` opens the partner's server for OTHER."""
    by_partner = _plain(OTHER, PARTNER, network.partner.name, [network.outgate.name, network.partner.name])
    return (
        Case("switch-off", "switch off", OTHER, _on_behalf(network)),
        Case("switch-on", "switch on, own gateway", OTHER, by_partner, _switch_on(network, password)),
        Case("domain-gateway", "domain gateway set", OTHER, by_partner, _set_domain_gateway(network)),
        Case(
            "primary",
            "from the primary address, domain gateway still set",
            USER,
            _plain(USER, ORGANISATION, network.relay.name, [network.outgate.name, network.relay.name]),
        ),
    )


def _on_behalf(network: Network) -> Mapping[str, object]:
    """The organisation's servers deliver: SPF and DKIM prove the organisation, which is not who From names."""
    return {
        "shown_as": f"{OTHER} on behalf of {USER}",
        "header_from": OTHER,
        "sender": USER,
        "envelope_from": USER,
        "delivered_by": network.outgate.name,
        "spf": "pass",
        "spf_domain": ORGANISATION,
        "dkim": "pass",
        "dkim_domain": ORGANISATION,
        "dmarc": "fail",
        "recorded_by": [network.outgate.name],
    }


def _plain(author: str, domain: str, server: str, recorded_by: list[str]) -> Mapping[str, object]:
    """The right server for the author's domain delivers: everything proves who From names."""
    return {
        "shown_as": author,
        "header_from": author,
        "sender": None,
        "envelope_from": author,
        "delivered_by": server,
        "spf": "pass",
        "spf_domain": domain,
        "dkim": "pass",
        "dkim_domain": domain,
        "dmarc": "pass",
        "recorded_by": recorded_by,
    }


def _switch_on(network: Network, password: str) -> tuple[Command, ...]:
    """The administrator allows it, then the user enters the partner's server."""
    return (
        Command(("policy", "set", "allowUsersToUseExternalSmtpServers", "on")),
        Command(
            (
                *("sendas", "gateway", "set", USER, OTHER),
                *("--host", network.partner.name, "--port", str(network.submission_port), "--security", "starttls"),
                *("--username", OTHER, "--password-stdin"),
            ),
            stdin=password,
        ),
    )


def _set_domain_gateway(network: Network) -> tuple[Command, ...]:
    return (
        Command(
            (
                *("domain-gateway", "set", network.relay.name),
                *("--port", str(network.smtp_port), "--security", "starttls"),
            )
        ),
    )
