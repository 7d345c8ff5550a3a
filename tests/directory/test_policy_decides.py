"""What each setting of policy does to authorise and route: pure, case by case."""

from dataclasses import replace

import pytest

from outgate.authorise import Authorised, authorise
from outgate.directory.errors import Invalid
from outgate.directory.settings import SETTINGS, setting
from outgate.model import (
    Account,
    Gateway,
    Organisation,
    Policy,
    Refused,
    Security,
    SendAs,
    UnknownFrom,
    WithoutGateway,
    matches_domain,
)
from outgate.route import Route, RouteKind, route

PRIMARY, PARTNER, PLAIN = "alice@example.com", "alice@dominiopartner.example", "alice@plain.example"
GATEWAY = Gateway("1", "smtp.dominiopartner.example", 587, Security.STARTTLS, "alice", b"sealed")
ORGANISATION = Organisation(frozenset({"example.com"}))
ON = Policy(allow_external_smtp=True)


def account(policy: Policy, gateway: Gateway = GATEWAY) -> Account:
    return Account(
        1,
        PRIMARY,
        "Alice",
        "/",
        False,
        policy,
        {
            PRIMARY: SendAs(PRIMARY, is_primary=True, is_default=True, verified=True, own_domain=True),
            PARTNER: SendAs(PARTNER, verified=True, gateway=gateway),
            PLAIN: SendAs(PLAIN, verified=True),
        },
    )


def way(
    policy: Policy,
    sender: str = PARTNER,
    recipient: str = "carol@recipient.example",
    gateway: Gateway = GATEWAY,
) -> Route | Refused:
    user = account(policy, gateway)
    return route(ORGANISATION, user, user.send_as[sender], recipient, reverse_path=sender)


@pytest.mark.parametrize(
    ("policy", "why"),
    [
        (Policy(), "allowUsersToUseExternalSmtpServers is off (the default)"),
        (replace(ON, gateway_hosts=("smtp.other.example",)), "allowedGatewayHosts"),
        (replace(ON, gateway_hosts=("*.other.example",)), "allowedGatewayHosts"),
        (replace(ON, gateway_ports=(465,)), "allowedGatewayPorts"),
        (replace(ON, gateway_security=(Security.SSL,)), "allowedGatewaySecurity"),
    ],
)
def test_a_gateway_that_is_not_allowed_is_not_used(policy: Policy, why: str) -> None:
    """The organisation's servers deliver on behalf of the user, or with `refuse` nobody does."""
    found = way(policy)
    assert isinstance(found, Route)
    assert (found.kind, found.on_behalf_of, found.reverse_path) == (RouteKind.DIRECT, PRIMARY, PRIMARY)
    assert any(why in reason for reason in found.reasons)
    refused = way(replace(policy, without_gateway=WithoutGateway.REFUSE))
    assert isinstance(refused, Refused)
    assert why in refused.reason
    assert refused.reason.startswith("Functionality not enabled. You must send through dominiopartner.example SMTP")


@pytest.mark.parametrize(
    "policy",
    [
        ON,
        replace(ON, gateway_hosts=("smtp.dominiopartner.example",)),
        replace(ON, gateway_hosts=("*.dominiopartner.example", "x.example")),
        replace(ON, gateway_ports=(465, 587)),
        replace(ON, gateway_security=(Security.STARTTLS,)),
        replace(ON, require_tls=True),
        replace(ON, without_gateway=WithoutGateway.REFUSE, external_from=False),
    ],
)
def test_a_gateway_that_is_allowed_is_used(policy: Policy) -> None:
    found = way(policy)
    assert isinstance(found, Route)
    assert (found.kind, found.gateway, found.on_behalf_of) == (RouteKind.USER_GATEWAY, GATEWAY, None)


def test_tls_can_be_demanded() -> None:
    plain = Gateway("1", "smtp.dominiopartner.example", 25, Security.NONE)
    without = way(ON, gateway=plain)
    demanded = way(replace(ON, require_tls=True), gateway=plain)
    assert isinstance(without, Route)
    assert isinstance(demanded, Route)
    assert (without.kind, demanded.kind) == (RouteKind.USER_GATEWAY, RouteKind.DIRECT)


def test_an_external_address_without_gateway_can_be_forbidden() -> None:
    forbidden = replace(ON, external_from=False)
    refused = way(forbidden, PLAIN)
    assert isinstance(refused, Refused)
    assert "allowExternalFromWithoutGateway is off" in refused.reason
    assert isinstance(way(forbidden, PRIMARY), Route)
    assert isinstance(way(ON, PLAIN), Route)
    assert isinstance(way(replace(forbidden, allow_external_smtp=False)), Refused)


@pytest.mark.parametrize(
    ("allowed", "denied", "recipient", "passes"),
    [
        ((), (), "a@any.example", True),
        (("customer.example",), (), "a@customer.example", True),
        (("customer.example",), (), "a@sub.customer.example", False),
        (("*.customer.example",), (), "a@sub.customer.example", True),
        (("*.customer.example",), (), "a@customer.example", False),
        ((), ("rival.example",), "a@rival.example", False),
        (("*.example",), ("rival.example",), "a@rival.example", False),
        (("*.example",), ("rival.example",), "a@b.example", True),
    ],
)
def test_recipients_of_users_gateways_can_be_allowed_and_denied(
    allowed: tuple[str, ...], denied: tuple[str, ...], recipient: str, passes: bool
) -> None:
    policy = replace(ON, recipient_domains=allowed, refused_recipient_domains=denied)
    assert isinstance(way(policy, recipient=recipient), Route) is passes
    assert isinstance(way(policy, PRIMARY, recipient), Route), "the organisation's own mail is not meant"


def test_an_unknown_from_is_refused_or_rewritten() -> None:
    stranger = "ceo@elsewhere.example"
    refused = authorise(account(ON), PRIMARY, [stranger])
    assert isinstance(refused, Refused)
    rewriting = replace(ON, unknown_from=UnknownFrom.REWRITE)
    rewritten = authorise(account(rewriting), stranger, [stranger])
    assert isinstance(rewritten, Authorised)
    assert (rewritten.chosen.address, rewritten.rewrite) == (PRIMARY, True)
    own = authorise(account(rewriting), PRIMARY, [PARTNER])
    assert isinstance(own, Authorised)
    assert (own.chosen.address, own.rewrite) == (PARTNER, False)


@pytest.mark.parametrize(
    ("name", "pattern", "matches"),
    [
        ("a.example", "a.example", True),
        ("b.a.example", "*.a.example", True),
        ("a.example", "*.a.example", False),
        ("ba.example", "*.a.example", False),
        (".a.example", "*.a.example", False),
        ("b.a.example.evil", "*.a.example", False),
    ],
)
def test_a_pattern_means_a_name_or_all_below_it(name: str, pattern: str, matches: bool) -> None:
    assert matches_domain(name, pattern) is matches


@pytest.mark.parametrize(
    ("name", "entered", "kept"),
    [
        ("allowUsersToUseExternalSmtpServers", "ON", True),
        ("gatewayNotAllowed", "Refuse", "refuse"),
        ("allowedGatewayHosts", "SMTP.Bücher.example, *.b.example,", ["smtp.xn--bcher-kva.example", "*.b.example"]),
        ("allowedGatewayHosts", "", []),
        ("allowedGatewayPorts", "587,465", [587, 465]),
        ("allowedGatewayPorts", [25], [25]),
        ("allowedGatewaySecurity", "ssl,STARTTLS", ["ssl", "starttls"]),
        ("messagesPerDay", "2000", 2000),
        ("gatewayJournalAddress", "Archive@Example.com", "archive@example.com"),
        ("gatewayFooter", "Line 1\r\nLine 2\r\n", "Line 1\nLine 2"),
        ("deniedAttachmentTypes", ".EXE,application/*", [".exe", "application/*"]),
    ],
)
def test_values_are_kept_in_one_form(name: str, entered: object, kept: object) -> None:
    assert setting(name).check(entered) == kept


@pytest.mark.parametrize(
    ("name", "entered"),
    [
        ("allowUsersToUseExternalSmtpServers", "maybe"),
        ("allowUsersToUseExternalSmtpServers", 1),
        ("gatewayNotAllowed", "drop"),
        ("allowedGatewayHosts", "a b"),
        ("allowedGatewayHosts", "*.*.example"),
        ("allowedGatewayPorts", "0"),
        ("allowedGatewayPorts", "65536"),
        ("allowedGatewayPorts", 587),
        ("messagesPerDay", "-1"),
        ("messagesPerDay", True),
        ("messagesPerDay", "9" * 30),
        ("gatewayJournalAddress", "archive"),
        ("gatewayFooter", "bell\x07"),
        ("gatewayFooter", "x" * 5000),
        ("deniedAttachmentTypes", "exe"),
        ("deniedAttachmentTypes", "*/*"),
    ],
)
def test_what_a_setting_can_not_be_is_refused(name: str, entered: object) -> None:
    with pytest.raises(Invalid):
        setting(name).check(entered)


def test_every_setting_has_its_default_in_the_policy() -> None:
    for one in SETTINGS.values():
        assert one.made(one.default) == getattr(Policy(), one.field)
