"""What a policy allows of gateways and recipients, and how patterns of names match."""

from dataclasses import replace

import pytest

from outgate.model import Policy, Security, matches_domain

ON = Policy(allow_external_smtp=True)


@pytest.mark.parametrize(
    ("policy", "reason"),
    [
        (ON, None),
        (Policy(), "allowUsersToUseExternalSmtpServers is off (the default)"),
        (
            Policy(sources={"allow_external_smtp": "/Sales"}),
            "allowUsersToUseExternalSmtpServers is off (from unit /Sales)",
        ),
        (replace(ON, gateway_hosts=("smtp.partner.example",)), None),
        (replace(ON, gateway_hosts=("elsewhere.example", "*.partner.example")), None),
        (
            replace(ON, gateway_hosts=("partner.example",)),
            "smtp.partner.example is not on the list allowedGatewayHosts",
        ),
        (replace(ON, gateway_ports=(465, 587)), None),
        (replace(ON, gateway_ports=(465,)), "port 587 is not on the list allowedGatewayPorts"),
        (replace(ON, gateway_security=(Security.NONE,)), None),
        (replace(ON, gateway_security=(Security.SSL,)), "'none' is not on the list allowedGatewaySecurity"),
        (replace(ON, require_tls=True), "requireGatewayTls is on"),
    ],
)
def test_a_gateway_is_refused_by_the_first_setting_that_forbids_it(policy: Policy, reason: str | None) -> None:
    refused = policy.refuses_gateway("smtp.partner.example", 587, Security.NONE)
    assert str(refused or "").startswith(reason or "")
    assert (refused is None) == (reason is None)


def test_tls_is_enough_where_it_is_required() -> None:
    policy = Policy(allow_external_smtp=True, require_tls=True)
    assert policy.refuses_gateway("smtp.partner.example", 587, Security.STARTTLS) is None
    assert policy.refuses_gateway("smtp.partner.example", 465, Security.SSL) is None


@pytest.mark.parametrize(
    ("allowed", "refused", "reason"),
    [
        ((), (), None),
        (("recipient.example",), (), None),
        (("*.recipient.example",), (), "is not on the list allowedRecipientDomains (the default)"),
        ((), ("recipient.example",), "is on the list deniedRecipientDomains (the default)"),
        (("recipient.example",), ("recipient.example",), "is on the list deniedRecipientDomains (the default)"),
    ],
)
def test_a_recipients_domain_must_be_allowed_and_not_denied(
    allowed: tuple[str, ...], refused: tuple[str, ...], reason: str | None
) -> None:
    policy = Policy(recipient_domains=allowed, refused_recipient_domains=refused)
    told = policy.refuses_recipient("recipient.example")
    assert (told and told.reason) == (f"recipient.example {reason}" if reason else None)


@pytest.mark.parametrize(
    ("name", "pattern", "matches"),
    [
        ("example.com", "example.com", True),
        ("mail.example.com", "example.com", False),
        ("mail.example.com", "*.example.com", True),
        ("a.b.example.com", "*.example.com", True),
        ("example.com", "*.example.com", False),
        (".example.com", "*.example.com", False),
        ("badexample.com", "*.example.com", False),
    ],
)
def test_a_pattern_means_a_name_or_all_below_it(name: str, pattern: str, matches: bool) -> None:
    assert matches_domain(name, pattern) is matches
