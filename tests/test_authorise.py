"""Who may send as whom: the decision, in all its cases."""

from dataclasses import replace

import pytest

from outgate.authorise import Authorised, authorise, authorise_envelope, refused_as
from outgate.model import Account, Gateway, Policy, Refused, Security, SendAs, UnknownFrom

ALICE = SendAs("alice@example.com", is_primary=True, is_default=True, verified=True, own_domain=True)
PARTNER = SendAs("alice@partner.example", verified=True)
PENDING = SendAs("alice@pending.example")
REWRITE = Policy(unknown_from=UnknownFrom.REWRITE)
NOT_OWN = r"<bob@example.com> is not an address of alice@example.com; add it"


def account(*entries: SendAs, policy: Policy | None = None, suspended: bool = False) -> Account:
    own = {entry.address: entry for entry in entries or (ALICE, PARTNER, PENDING)}
    return Account(1, "alice@example.com", "Alice", "/", suspended, policy or Policy(), own)


@pytest.mark.parametrize("reverse_path", ["", ALICE.address, PARTNER.address])
@pytest.mark.parametrize(
    ("header_from", "sender", "chosen"),
    [
        ([ALICE.address], None, ALICE),
        ([PARTNER.address], None, PARTNER),
        ([PARTNER.address], ALICE.address, PARTNER),
        ([ALICE.address, PARTNER.address], None, ALICE),
        ([ALICE.address, PARTNER.address], PARTNER.address, PARTNER),
        ([ALICE.address, PARTNER.address], "bob@example.com", ALICE),
    ],
)
def test_own_confirmed_addresses_may_be_sent_as(
    reverse_path: str, header_from: list[str], sender: str | None, chosen: SendAs
) -> None:
    assert authorise(account(), reverse_path, header_from, sender) == Authorised(chosen)


@pytest.mark.parametrize(
    ("reverse_path", "header_from", "reason"),
    [
        ("bob@example.com", [ALICE.address], f"MAIL FROM {NOT_OWN}"),
        (PENDING.address, [ALICE.address], "MAIL FROM <alice@pending.example> is not confirmed yet"),
        (ALICE.address, ["bob@example.com"], f"From {NOT_OWN}"),
        (ALICE.address, [PENDING.address], "From <alice@pending.example> is not confirmed yet"),
        (ALICE.address, [ALICE.address, "bob@example.com"], f"From {NOT_OWN}"),
        (ALICE.address, [], "the message has no From address"),
    ],
)
def test_everything_else_is_refused_with_what_to_do(reverse_path: str, header_from: list[str], reason: str) -> None:
    refused = authorise(account(), reverse_path, header_from)
    assert isinstance(refused, Refused)
    assert refused.reason.startswith(reason)


@pytest.mark.parametrize("policy", [Policy(), REWRITE])
def test_a_suspended_account_sends_nothing(policy: Policy) -> None:
    suspended = account(policy=policy, suspended=True)
    refused = Refused("the account {account} is suspended; ask your administrator", {"account": "alice@example.com"})
    assert authorise_envelope(suspended, "") == refused
    assert authorise(suspended, ALICE.address, [ALICE.address]) == refused


TAGGED = "alice+shop@partner.example"


def test_a_tag_of_a_confirmed_address_is_sent_as_that_address_is() -> None:
    gateway = Gateway("gateway:1", "smtp.partner.example", 587, Security.STARTTLS)
    entry = replace(PARTNER, display_name="Alice P.", gateway=gateway)
    chosen = replace(entry, address=TAGGED, covered_by=entry.address)
    assert authorise(account(ALICE, entry), TAGGED, [TAGGED]) == Authorised(chosen)
    assert authorise(account(ALICE, entry), "", [ALICE.address, TAGGED], TAGGED) == Authorised(chosen)
    own = authorise(account(), "", ["alice+list@example.com"])
    assert isinstance(own, Authorised)
    assert (own.chosen.covered_by, own.chosen.is_primary, own.chosen.is_default) == (ALICE.address, False, False)


def test_an_entry_of_its_own_goes_before_that_of_the_address_without_the_tag() -> None:
    entry = SendAs(TAGGED, verified=True, display_name="Shop")
    assert authorise(account(ALICE, PARTNER, entry), "", [TAGGED]) == Authorised(entry)


WHOLE = SendAs("*@partner.example", verified=True, display_name="Partner", is_by_grant=True)


@pytest.mark.parametrize("cover", [PARTNER, WHOLE])
def test_an_entry_that_waits_for_its_code_takes_nothing_away_that_covers_the_address(cover: SendAs) -> None:
    sender = account(ALICE, cover, SendAs(TAGGED, display_name="Shop"))
    covered = replace(cover, address=TAGGED, covered_by=cover.address)
    assert authorise(sender, TAGGED, [TAGGED]) == Authorised(covered)
    assert refused_as(sender, TAGGED) is None


@pytest.mark.parametrize("own", [(), (SendAs(TAGGED),), (replace(PARTNER, verified=False),)])
def test_what_a_domain_covers_that_is_not_proven_now_may_pass_by_itself(own: tuple[SendAs, ...]) -> None:
    refused = refused_as(account(ALICE, replace(WHOLE, verified=False), *own), TAGGED)
    assert refused
    assert refused.passes
    assert "does not prove it any more" in refused.reason


def test_a_granted_address_whose_domain_is_not_proven_now_needs_no_code() -> None:
    refused = refused_as(account(ALICE, replace(PARTNER, verified=False, is_by_grant=True)), PARTNER.address)
    assert refused
    assert refused.passes
    assert "code" not in refused.reason


@pytest.mark.parametrize("address", [PENDING.address, "bob@example.com", "alice+x@pending.example"])
def test_nothing_takes_the_place_of_the_from_of_a_message_that_was_taken(address: str) -> None:
    sender = account(policy=REWRITE)
    assert isinstance(authorise(sender, "", [address]), Authorised)
    refused = refused_as(sender, address)
    assert refused
    assert not refused.passes


def test_any_address_of_a_proven_domain_is_sent_as_by_the_domains_entry_unless_it_has_its_own() -> None:
    sender = account(ALICE, PARTNER, WHOLE)
    anybody = replace(WHOLE, address="anybody@partner.example", covered_by=WHOLE.address)
    assert authorise(sender, anybody.address, [anybody.address]) == Authorised(anybody)
    assert authorise(sender, "", [PARTNER.address]) == Authorised(PARTNER)
    tagged = authorise(sender, "", [TAGGED])
    assert isinstance(tagged, Authorised)
    assert tagged.chosen.covered_by == PARTNER.address
    pending = account(ALICE, replace(PARTNER, verified=False), WHOLE)
    assert authorise(pending, "", [TAGGED]) == Authorised(replace(anybody, address=TAGGED))
    for foreign in (WHOLE.address, "anybody@sub.partner.example"):
        assert isinstance(authorise(sender, "", [foreign]), Refused)


def test_a_domain_that_is_not_proven_now_or_is_the_organisations_own_covers_nothing() -> None:
    lapsed = authorise(account(ALICE, replace(WHOLE, verified=False)), "", ["anybody@partner.example"])
    assert isinstance(lapsed, Refused)
    assert "the DNS of its domain does not prove it any more" in lapsed.reason
    assert isinstance(authorise(account(ALICE, replace(WHOLE, own_domain=True)), "", ["a@partner.example"]), Refused)


@pytest.mark.parametrize(
    ("sender", "reason"),
    [
        (
            account(policy=Policy(plus_tags=False, sources={"plus_tags": "/Sales"})),
            "allowPlusTagsInFrom is off (from unit /Sales",
        ),
        (replace(account(), others_tags=frozenset({TAGGED})), "another user's own"),
        (account(ALICE), f"From <{TAGGED}> is not an address of alice@example.com; add it"),
        (account(ALICE, replace(PARTNER, verified=False)), f"is a +tag of <{PARTNER.address}>, which is not confirmed"),
    ],
)
def test_a_tag_is_refused_with_the_reason(sender: Account, reason: str) -> None:
    refused = authorise(sender, "", [TAGGED])
    assert isinstance(refused, Refused)
    assert reason in refused.reason


def test_the_envelope_is_judged_alone_at_mail() -> None:
    assert authorise_envelope(account(), PARTNER.address) is None
    assert authorise_envelope(account(), "") is None
    assert isinstance(authorise_envelope(account(), "bob@example.com"), Refused)
    assert authorise_envelope(account(policy=REWRITE), "bob@example.com") is None


@pytest.mark.parametrize("header_from", [["bob@example.com"], [PENDING.address], [ALICE.address, "bob@example.com"]])
def test_where_policy_says_so_the_default_takes_the_place_of_a_foreign_from(header_from: list[str]) -> None:
    assert authorise(account(policy=REWRITE), "bob@example.com", header_from) == Authorised(ALICE, rewrite=True)


@pytest.mark.parametrize(
    "entries", [(PARTNER,), (SendAs(ALICE.address, is_default=True), PARTNER)], ids=["no default", "not confirmed"]
)
def test_without_a_default_to_take_its_place_a_foreign_from_is_refused(entries: tuple[SendAs, ...]) -> None:
    assert isinstance(authorise(account(*entries, policy=REWRITE), "", ["bob@example.com"]), Refused)
