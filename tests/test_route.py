"""By which way a message leaves: the table of decisions, and what holds for all of them."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgate.model import Account, Gateway, GatewayKind, Organisation, Policy, Refused, Security, SendAs, WithoutGateway
from outgate.route import Route, RouteKind, own_route, refuses_past_gateway, route

GATEWAY = Gateway("7", "smtp.partner.example", 587, Security.STARTTLS, "alice", b"sealed")
RELAY = Gateway("relay", "relay.example.com", 25, Security.NONE)
ALICE = SendAs("alice@example.com", is_primary=True, is_default=True, verified=True, own_domain=True)
PARTNER = SendAs("alice@partner.example", verified=True, gateway=GATEWAY)
WITHOUT = SendAs("alice@other.example", verified=True)
ORGANISATION = Organisation(frozenset({"example.com"}))
ON = Policy(allow_external_smtp=True, sources={"allow_external_smtp": "/Sales"})
OFF = Policy()
REFUSING = Policy(without_gateway=WithoutGateway.REFUSE)
NO_EXTERNAL = Policy(external_from=False)
CAROL, BOB = "carol@recipient.example", "bob@example.com"


def account(policy: Policy) -> Account:
    own = {entry.address: entry for entry in (ALICE, PARTNER, WITHOUT)}
    return Account(1, ALICE.address, "Alice", "/Sales", False, policy, own)


def way(
    policy: Policy,
    chosen: SendAs,
    recipient: str = CAROL,
    *,
    organisation: Organisation = ORGANISATION,
    null_sender: bool = False,
) -> Route | Refused:
    reverse_path = "" if null_sender else chosen.address
    return route(organisation, account(policy), chosen, recipient, reverse_path=reverse_path)


@pytest.mark.parametrize(
    ("policy", "chosen", "recipient", "kind", "reverse_path", "on_behalf_of"),
    [
        (ON, PARTNER, CAROL, RouteKind.USER_GATEWAY, PARTNER.address, None),
        (ON, PARTNER, BOB, RouteKind.USER_GATEWAY, PARTNER.address, None),  # before local mailboxes
        (OFF, PARTNER, CAROL, RouteKind.DIRECT, ALICE.address, ALICE.address),
        (OFF, PARTNER, BOB, RouteKind.LOCAL, ALICE.address, ALICE.address),
        (ON, WITHOUT, CAROL, RouteKind.DIRECT, ALICE.address, ALICE.address),
        (ON, ALICE, CAROL, RouteKind.DIRECT, ALICE.address, None),
        (ON, ALICE, BOB, RouteKind.LOCAL, ALICE.address, None),
        (ON, replace(ALICE, gateway=GATEWAY), CAROL, RouteKind.DIRECT, ALICE.address, None),  # an own domain has none
        (NO_EXTERNAL, ALICE, CAROL, RouteKind.DIRECT, ALICE.address, None),
        (REFUSING, WITHOUT, CAROL, RouteKind.DIRECT, ALICE.address, ALICE.address),
    ],
)
def test_the_first_way_that_matches_is_taken(
    policy: Policy, chosen: SendAs, recipient: str, kind: RouteKind, reverse_path: str, on_behalf_of: str | None
) -> None:
    found = way(policy, chosen, recipient)
    assert isinstance(found, Route)
    assert (found.kind, found.reverse_path, found.on_behalf_of) == (kind, reverse_path, on_behalf_of)
    assert found.gateway is (chosen.gateway if kind is RouteKind.USER_GATEWAY else None)
    assert found.reasons


def test_mail_that_leaves_the_organisation_passes_its_gateway() -> None:
    organisation = replace(ORGANISATION, domain_gateway=RELAY)
    found = way(OFF, PARTNER, organisation=organisation)
    assert isinstance(found, Route)
    assert (found.kind, found.gateway, found.on_behalf_of) == (RouteKind.DOMAIN_GATEWAY, RELAY, ALICE.address)
    local = way(OFF, PARTNER, BOB, organisation=organisation)
    assert isinstance(local, Route)
    assert local.kind is RouteKind.LOCAL


BRANCH = SendAs("alice@branch.example", verified=True, own_domain=True)


@pytest.mark.parametrize(
    ("chosen", "null_sender", "queue"),
    [
        (BRANCH, False, "domain-gateway:branch.example"),
        (BRANCH, True, "domain-gateway:branch.example"),  # who sends it counts, not what the envelope says
        (ALICE, False, "domain-gateway"),
        (WITHOUT, False, "domain-gateway"),  # on behalf of alice@example.com
    ],
)
def test_mail_passes_the_gateway_of_its_senders_domain_and_else_the_organisations(
    chosen: SendAs, null_sender: bool, queue: str
) -> None:
    own = Gateway("branch", "relay1.branch.example", 25, Security.NONE, fallbacks=("relay2.branch.example",))
    domains = frozenset({"example.com", "branch.example"})
    for whole in (RELAY, None):
        organisation = Organisation(domains, whole, "example.com", {"branch.example": own})
        found = way(OFF, chosen, organisation=organisation, null_sender=null_sender)
        assert isinstance(found, Route)
        if chosen is BRANCH:
            assert (str(found.queue), found.gateway) == (queue, own)
            assert found.reasons[-1] == (
                "mail from branch.example passes its outbound gateway relay1.branch.example:25, else"
                " relay2.branch.example"
            )
        else:
            assert (found.kind, found.gateway) == (RouteKind.DOMAIN_GATEWAY if whole else RouteKind.DIRECT, whole)
    organisation = Organisation(domains, RELAY, "branch.example", {"branch.example": own})
    assert str(own_route(organisation, CAROL, "").queue) == "domain-gateway:branch.example"
    assert str(own_route(organisation, CAROL, "postmaster@example.com").queue) == "domain-gateway"


def test_what_a_providers_interface_can_t_do_is_among_the_reasons() -> None:
    by_api = replace(PARTNER, gateway=replace(GATEWAY, security=Security.SSL, kind=GatewayKind.GRAPH))
    found, by_smtp = way(ON, by_api), way(ON, PARTNER)
    assert isinstance(found, Route)
    assert isinstance(by_smtp, Route)
    (reason,) = [one for one in found.reasons if "Microsoft Graph" in one]
    assert "the envelope sender is the account's own" in reason
    assert not any("delivery reports" in one for one in by_smtp.reasons)


COMMON = Gateway("common-gateway:3", "common.partner.example", 587, Security.STARTTLS, "sales", b"sealed")
SHARED = SendAs("sales@partner.example", verified=True, is_by_grant=True, common_gateway=COMMON)
BOTH = replace(SHARED, gateway=GATEWAY)
ELSEWHERE = Policy(gateway_hosts=("elsewhere.example",))
STRICT = replace(ELSEWHERE, without_gateway=WithoutGateway.REFUSE)


@pytest.mark.parametrize(
    ("policy", "chosen", "gateway"),
    [
        (OFF, SHARED, COMMON),
        (ON, SHARED, COMMON),
        (OFF, BOTH, COMMON),
        (ON, BOTH, GATEWAY),
        (ELSEWHERE, SHARED, None),
        (OFF, replace(SHARED, own_domain=True), None),
    ],
)
def test_a_common_gateway_needs_no_switch_and_comes_behind_the_accounts_own(
    policy: Policy, chosen: SendAs, gateway: Gateway | None
) -> None:
    found = way(policy, chosen)
    assert isinstance(found, Route)
    assert found.gateway is gateway
    assert (str(found.queue) == "common-gateway:3", found.queue_name == COMMON.host) == (gateway is COMMON,) * 2
    assert found.is_by_own_gateway is (gateway is GATEWAY)
    past = refuses_past_gateway(account(policy), chosen)
    assert (past is None) is (gateway is GATEWAY)


def test_what_an_interface_can_not_do_is_told_of_a_common_one_too() -> None:
    by_graph = replace(
        COMMON, port=443, security=Security.SSL, sealed=None, provider="microsoft", kind=GatewayKind.GRAPH
    )
    found = way(OFF, replace(SHARED, common_gateway=by_graph))
    assert isinstance(found, Route)
    assert any("Microsoft Graph" in one and "no delivery reports" in one for one in found.reasons)


def test_where_a_common_gateway_may_not_be_used_the_setting_is_told() -> None:
    refused = way(STRICT, SHARED)
    assert isinstance(refused, Refused)
    assert "common.partner.example is not on the list allowedGatewayHosts" in refused.reason
    past = refuses_past_gateway(account(ON), SHARED)
    assert past
    assert "only they can have it leave another way" in past.reason


def test_a_tag_goes_the_way_of_its_address_and_the_reasons_say_so() -> None:
    found = way(ON, replace(PARTNER, address="alice+shop@partner.example", covered_by=PARTNER.address))
    assert isinstance(found, Route)
    assert (found.gateway, found.reverse_path) == (PARTNER.gateway, "alice+shop@partner.example")
    assert found.reasons[0] == f"alice+shop@partner.example is a +tag of {PARTNER.address}"
    found = way(ON, replace(PARTNER, address="anybody@partner.example", covered_by="*@partner.example"))
    assert isinstance(found, Route)
    assert found.reasons[0] == "anybody@partner.example is in *@partner.example"


def test_a_receipt_takes_the_users_gateway_with_the_null_sender() -> None:
    found = way(ON, PARTNER, null_sender=True)
    assert isinstance(found, Route)
    assert (found.kind, found.reverse_path, found.on_behalf_of) == (RouteKind.USER_GATEWAY, "", None)


@pytest.mark.parametrize(
    ("policy", "chosen", "why"),
    [
        (ON, PARTNER, None),
        (replace(ON, without_gateway=WithoutGateway.REFUSE), PARTNER, "gatewayNotAllowed is refuse (the default)"),
        (replace(ON, external_from=False), PARTNER, "allowExternalFromWithoutGateway is off (the default)"),
        (ON, WITHOUT, "does not leave by a server of its own"),
        (ON, replace(ALICE, gateway=GATEWAY), "does not leave by a server of its own"),
        (OFF, PARTNER, "does not leave by a server of its own"),
    ],
)
def test_past_its_gateway_an_address_leaves_only_where_policy_lets_it_leave_without_one(
    policy: Policy, chosen: SendAs, why: str | None
) -> None:
    refused = refuses_past_gateway(account(policy), chosen)
    assert (why in refused.reason) if refused and why else (refused is None and why is None)


@pytest.mark.parametrize("null_sender", [False, True])
@pytest.mark.parametrize("policy", [REFUSING, replace(ON, without_gateway=WithoutGateway.REFUSE, gateway_ports=(25,))])
def test_a_null_sender_passes_no_policy(policy: Policy, null_sender: bool) -> None:
    assert isinstance(way(policy, PARTNER, null_sender=null_sender), Refused)


@pytest.mark.parametrize(
    ("policy", "chosen", "reason"),
    [
        (replace(ON, refused_recipient_domains=("recipient.example",)), PARTNER, "deniedRecipientDomains"),
        (replace(ON, recipient_domains=("*.recipient.example",)), PARTNER, "allowedRecipientDomains"),
        (REFUSING, PARTNER, "Functionality not enabled. You must send through partner.example SMTP servers"),
        (NO_EXTERNAL, PARTNER, "allowExternalFromWithoutGateway is off (the default)"),
        (NO_EXTERNAL, WITHOUT, "can only be sent through its own server"),
    ],
)
def test_what_policy_leaves_no_way_for_is_refused_with_the_setting(policy: Policy, chosen: SendAs, reason: str) -> None:
    found = way(policy, chosen)
    assert isinstance(found, Refused)
    assert reason in found.reason


@pytest.mark.parametrize(("account_left", "chosen"), [(None, PARTNER), (account(ON), None), (None, None)])
def test_mail_whose_account_or_address_is_gone_goes_by_the_organisation(
    account_left: Account | None, chosen: SendAs | None
) -> None:
    found = route(ORGANISATION, account_left, chosen, CAROL, reverse_path="was@partner.example")
    assert isinstance(found, Route)
    assert (found.kind, found.gateway, found.on_behalf_of) == (RouteKind.DIRECT, None, None)


def test_the_organisations_own_mail_takes_its_own_ways() -> None:
    assert own_route(ORGANISATION, BOB, "").kind is RouteKind.LOCAL
    assert own_route(ORGANISATION, CAROL, "").kind is RouteKind.DIRECT
    assert own_route(replace(ORGANISATION, domain_gateway=RELAY), CAROL, "").gateway is RELAY


POLICIES = st.builds(
    Policy,
    allow_external_smtp=st.booleans(),
    without_gateway=st.sampled_from(WithoutGateway),
    external_from=st.booleans(),
    gateway_hosts=st.sampled_from([(), ("smtp.partner.example",), ("*.elsewhere.example",)]),
    gateway_ports=st.sampled_from([(), (587,), (465,)]),
    gateway_security=st.sampled_from([(), (Security.STARTTLS,), (Security.SSL,)]),
    require_tls=st.booleans(),
    recipient_domains=st.sampled_from([(), ("recipient.example",), ("other.example",)]),
    refused_recipient_domains=st.sampled_from([(), ("recipient.example",)]),
)
CHOSEN = st.sampled_from([ALICE, PARTNER, WITHOUT, replace(PARTNER, gateway=replace(GATEWAY, security=Security.NONE))])


@given(POLICIES, CHOSEN, st.sampled_from([CAROL, BOB]), st.booleans(), st.booleans())
def test_whatever_the_policy_a_gateway_is_that_of_the_address_and_only_if_allowed(
    policy: Policy, chosen: SendAs, recipient: str, null_sender: bool, relayed: bool
) -> None:
    organisation = replace(ORGANISATION, domain_gateway=RELAY if relayed else None)
    found = way(policy, chosen, recipient, organisation=organisation, null_sender=null_sender)
    if isinstance(found, Refused):
        assert not chosen.own_domain
        return
    if found.kind is RouteKind.USER_GATEWAY:
        gateway = chosen.gateway
        assert gateway
        assert found.gateway is gateway
        assert policy.refuses_gateway(gateway.host, gateway.port, gateway.security) is None
        assert policy.refuses_recipient(recipient.rpartition("@")[2]) is None
        assert (found.reverse_path, found.on_behalf_of) == ("" if null_sender else chosen.address, None)
    else:
        assert found.gateway is (RELAY if found.kind is RouteKind.DOMAIN_GATEWAY else None)
        assert found.on_behalf_of == (None if chosen.own_domain else ALICE.address)
        assert found.reverse_path == ("" if null_sender else ALICE.address)
