"""What the advisor finds in the DNS: a real server on loopback with the zones of each test."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from advisor.asking import ALICE, GATEWAY, ORGANISATION, PARTNER, findings
from advisor.zone import serving
from outgate.advisor import dmarc_check, spf_check
from outgate.advisor.advice import Dmarc, advise
from outgate.advisor.ask import Names, NoAnswerNow
from outgate.advisor.dkim_check import Signing, published
from outgate.advisor.findings import Dkim, DmarcPolicy, DmarcRecord, Spf, Unanswered
from outgate.advisor.tree_walk import PublishedRecord, organisational_domain, walk
from outgate.model import Gateway, Organisation, Security
from outgate.model import Policy as UnitPolicy

DOMAIN = "dominiopartner.example"


def _dmarc(name: str, text: str) -> str:
    return f'{ORGANISATION}\n_dmarc.{name}. 60 IN TXT "{text}"\n'


# --- DMARC policy ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("v=DMARC1; p=none", DmarcRecord(DOMAIN, DmarcPolicy.NONE)),
        ("v=DMARC1;p=quarantine;pct=20", DmarcRecord(DOMAIN, DmarcPolicy.QUARANTINE)),  # RFC 9989 has no pct
        ("v=DMARC1;p=reject;t=y", DmarcRecord(DOMAIN, DmarcPolicy.REJECT, testing=True)),
        ("v=DMARC1;p=reject;np=foo", None),
        ("v = DMARC1 ; p = REJECT ; aspf = s", DmarcRecord(DOMAIN, DmarcPolicy.REJECT, strict_spf=True)),
        ("v=DMARC1; p=reject; adkim=s; sp=none; t=x", DmarcRecord(DOMAIN, DmarcPolicy.REJECT, strict_dkim=True)),
        ("v=DMARC1; p=foo; rua=mailto:d@x.example", DmarcRecord(DOMAIN, DmarcPolicy.NONE)),
        ("v=DMARC1; p=reject; sp=foo; rua=mailto:d@x.example", DmarcRecord(DOMAIN, DmarcPolicy.NONE)),
        ("v=DMARC1; rua=mailto:d@x.example", DmarcRecord(DOMAIN, DmarcPolicy.NONE)),
        ("v=DMARC1; p=foo", None),
        ("v=DMARC1", None),
        ("v=dmarc1; p=reject", None),
        ("p=reject; v=DMARC1", None),
        ("v=DMARC11; p=reject", None),
    ],
)
async def test_the_policy_is_read_as_rfc_9989_says(text: str, found: DmarcRecord | None) -> None:
    with serving(_dmarc(DOMAIN, text)) as zone:
        assert (await findings(zone.nameserver)).dmarc == found


@pytest.mark.parametrize(
    ("text", "policy", "tag"),
    [
        ("v=DMARC1; p=none; sp=reject", DmarcPolicy.REJECT, "sp"),
        ("v=DMARC1; p=reject; sp=none", DmarcPolicy.NONE, "sp"),
        ("v=DMARC1; p=quarantine", DmarcPolicy.QUARANTINE, "p"),
    ],
)
async def test_a_subdomain_without_a_record_is_under_its_organisations(
    text: str, policy: DmarcPolicy, tag: str
) -> None:
    with serving(_dmarc("partner.co.uk", text)) as zone:
        found = await findings(zone.nameserver, "alice@deep.news.partner.co.uk")
    assert found.dmarc == DmarcRecord("partner.co.uk", policy, tag=tag)
    assert "partner.co.uk publishes" in advise(found).sentence
    assert "for deep.news.partner.co.uk" in advise(found).sentence


async def test_a_subdomains_own_record_comes_first_and_its_sp_is_not_for_itself() -> None:
    own = r'_dmarc.news.partner.co.uk. 60 IN TXT "v=DMARC1; p=none; sp=reject"'
    with serving(_dmarc("partner.co.uk", r"v=DMARC1; p=reject") + own) as zone:
        found = await findings(zone.nameserver, "alice@news.partner.co.uk")
    assert found.dmarc == DmarcRecord("news.partner.co.uk", DmarcPolicy.NONE)


async def test_two_records_are_as_none_and_the_walk_goes_on_above() -> None:
    two = _dmarc("news.partner.co.uk", r"v=DMARC1; p=none") + (
        r'_dmarc.news.partner.co.uk. 60 IN TXT "v=DMARC1; p=quarantine"'
        "\n"
        r'_dmarc.partner.co.uk. 60 IN TXT "v=DMARC1; p=reject"'
    )
    with serving(two) as zone:
        found = (await findings(zone.nameserver, "alice@news.partner.co.uk")).dmarc
        assert found == DmarcRecord("partner.co.uk", DmarcPolicy.REJECT)
        assert (await findings(zone.nameserver, "alice@absent.co.uk")).dmarc is None


@pytest.mark.parametrize(
    ("domain", "policy", "tag"),
    [
        ("there.partner.example", DmarcPolicy.QUARANTINE, "sp"),
        ("nowhere.partner.example", DmarcPolicy.REJECT, "np"),
        ("partner.example", DmarcPolicy.NONE, "p"),
    ],
)
async def test_a_subdomain_that_does_not_exist_has_a_policy_of_its_own(
    domain: str, policy: DmarcPolicy, tag: str
) -> None:
    there = "there.partner.example. 60 IN MX 10 mx.partner.example."
    with serving(_dmarc("partner.example", "v=DMARC1; p=none; sp=quarantine; np=reject") + there) as zone:
        found = (await findings(zone.nameserver, f"alice@{domain}")).dmarc
    assert found == DmarcRecord("partner.example", policy, tag=tag)


async def test_a_policy_that_is_tested_counts_one_step_less() -> None:
    with serving(_dmarc(DOMAIN, "v=DMARC1; p=reject; t=y")) as zone:
        sentence = advise(await findings(zone.nameserver)).sentence
    assert "will go into junk (the policy is only being tested: t=y)" in sentence


async def test_other_texts_beside_the_record_do_not_matter() -> None:
    with serving(_dmarc(DOMAIN, r"v=DMARC1; p=reject") + f'_dmarc.{DOMAIN}. 60 IN TXT "site=1"') as zone:
        assert (await findings(zone.nameserver)).dmarc == DmarcRecord(DOMAIN, DmarcPolicy.REJECT)


async def test_servfail_and_silence_are_said_and_never_taken_for_an_absent_policy() -> None:
    name = f"_dmarc.{DOMAIN}"
    with serving(ORGANISATION, servfail=frozenset({name})) as zone:
        found = await findings(zone.nameserver)
    assert found.dmarc == Unanswered(name, "SERVFAIL")
    advice = advise(found)
    assert advice.organisation.dmarc is Dmarc.UNKNOWN
    assert f"{name} (SERVFAIL)" in advice.sentence


async def test_a_silent_nameserver_is_a_timeout() -> None:
    with serving(ORGANISATION, silent=frozenset({"example.com"})) as zone, pytest.raises(NoAnswerNow) as caught:
        await Names((zone.nameserver,), seconds=0.3).texts("example.com")
    assert caught.value.unanswered == Unanswered("example.com", "timeout")


@given(st.dictionaries(st.sampled_from(["p", "sp", "np", "t", "psd", "rua", "aspf"]), st.text(max_size=20)))
def test_any_tags_are_read_without_an_error(tags: dict[str, str]) -> None:
    record = dmarc_check.read_record(PublishedRecord("a.example", tags), "b.a.example", exists=False)
    assert record is None or record.applied in DmarcPolicy


@pytest.mark.parametrize(
    ("records", "domain", "organisational"),
    [
        ({}, "a.b.example.com", "a.b.example.com"),
        ({"example.com": ""}, "a.b.example.com", "example.com"),
        ({"example.com": "", "b.example.com": ""}, "a.b.example.com", "example.com"),
        ({"example.com": "", "b.example.com": "psd=n"}, "a.b.example.com", "b.example.com"),
        ({"co.example": "psd=y", "x.co.example": ""}, "a.x.co.example", "x.co.example"),
        ({"co.example": "psd=y"}, "a.x.co.example", "x.co.example"),
        ({"co.example": "psd=y"}, "co.example", "co.example"),
        ({"example": "psd=y"}, "a.b.example", "b.example"),
        ({"g.h.i.example": ""}, "a.b.c.d.e.f.g.h.i.example", "g.h.i.example"),
        ({"b.c.d.e.f.g.h.i.example": ""}, "a.b.c.d.e.f.g.h.i.example", "a.b.c.d.e.f.g.h.i.example"),  # passed over
        ({}, "[192.0.2.1]", "[192.0.2.1]"),
    ],
)
async def test_the_walk_up_finds_the_organisation(records: dict[str, str], domain: str, organisational: str) -> None:
    asked: list[str] = []

    async def texts(name: str) -> list[str]:
        asked.append(name)
        tags = records.get(name.removeprefix("_dmarc."))
        return [] if tags is None else [f"v=DMARC1; p=none; {tags}"]

    assert organisational_domain(domain, await walk(domain, texts)) == organisational
    assert len(asked) <= 8


# --- SPF -------------------------------------------------------------------------------------------------------------


def _gateway_zone(*lines: str) -> str:
    return "\n".join((ORGANISATION, f"{GATEWAY}. 60 IN A 198.51.100.7", *lines, ""))


def _spf(name: str, text: str) -> str:
    return f'{name}. 60 IN TXT "{text}"'


CHAIN = [_spf(f"s{number}.example", f"v=spf1 include:s{number + 1}.example -all") for number in range(1, 9)]
LONG = [_spf(f"s{number}.example", f"v=spf1 include:s{number + 1}.example -all") for number in range(1, 12)]
ALLOWS = "v=spf1 ip4:198.51.100.0/24 -all"


@pytest.mark.parametrize(
    ("lines", "result"),
    [
        ([_spf(DOMAIN, ALLOWS)], Spf.PASS),
        ([_spf(DOMAIN, "v=spf1 include:s1.example -all"), *CHAIN, _spf("s9.example", ALLOWS)], Spf.PASS),
        ([_spf(DOMAIN, "v=spf1 include:s1.example -all"), *LONG, _spf("s12.example", ALLOWS)], Spf.PERMERROR),
        ([_spf(DOMAIN, "v=spf1 redirect=s1.example"), _spf("s1.example", ALLOWS)], Spf.PASS),
        ([_spf(DOMAIN, "v=spf1 include:nowhere.example -all")], Spf.PERMERROR),
        ([_spf(DOMAIN, "v=spf1 a:x1.example a:x2.example a:x3.example ?all")], Spf.PERMERROR),  # void lookups
        ([_spf(DOMAIN, f"v=spf1 include:{DOMAIN} -all")], Spf.PERMERROR),
        ([_spf(DOMAIN, ALLOWS), _spf(DOMAIN, "v=spf1 -all")], Spf.PERMERROR),
        ([_spf(DOMAIN, "v=spf1 mx ~all"), f"{DOMAIN}. 60 IN MX 10 mx.{DOMAIN}."], Spf.SOFTFAIL),
        ([_spf(DOMAIN, "v=spf1 mx -all"), f"{DOMAIN}. 60 IN MX 10 {GATEWAY}."], Spf.PASS),
        (
            [_spf(DOMAIN, "v=spf1 exists:%{i}._spf.x.example -all"), "198.51.100.7._spf.x.example. 60 IN A 127.0.0.2"],
            Spf.PASS,
        ),
        ([_spf(DOMAIN, "v=spf1 ptr -all"), f"7.100.51.198.in-addr.arpa. 60 IN PTR {GATEWAY}."], Spf.PASS),
        ([_spf(DOMAIN, "v=spf1 ?all")], Spf.NEUTRAL),
        ([_spf(DOMAIN, "v=spf1 -all")], Spf.FAIL),
        ([_spf(DOMAIN, "other text")], Spf.NONE),
        ([], Spf.NONE),
    ],
)
async def test_spf_of_the_gateway_is_evaluated_with_its_limits(lines: list[str], result: Spf) -> None:
    with serving(_gateway_zone(*lines)) as zone:
        found = await findings(zone.nameserver, gateway=GATEWAY)
    assert found.gateway
    assert [(one.address, one.result) for one in found.gateway.checks] == [("198.51.100.7", result)]
    assert found.gateway.estimate
    outlook = advise(found).gateway
    assert outlook
    assert GATEWAY in outlook.note
    assert outlook.dkim is Dkim.EXPECTED


async def test_servfail_in_an_include_is_a_temperror_that_names_it() -> None:
    lines = _gateway_zone(_spf(DOMAIN, "v=spf1 include:broken.example -all"))
    with serving(lines, servfail=frozenset({"broken.example"})) as zone:
        found = await findings(zone.nameserver, gateway=GATEWAY)
    assert found.gateway
    [check] = found.gateway.checks
    assert (check.result, check.unanswered) == (Spf.TEMPERROR, Unanswered("broken.example", "SERVFAIL"))


async def test_each_address_of_the_gateway_is_checked() -> None:
    lines = _gateway_zone(f"{GATEWAY}. 60 IN AAAA 2001:db8::7", _spf(DOMAIN, ALLOWS))
    with serving(lines) as zone:
        found = await findings(zone.nameserver, gateway=GATEWAY)
    assert found.gateway
    assert {one.address: one.result for one in found.gateway.checks} == {
        "198.51.100.7": Spf.PASS,
        "2001:db8::7": Spf.FAIL,
    }


RELAYS = """
relay.example.net. 60 IN A 192.0.2.25
backup.example.net. 60 IN A 203.0.113.9
own.example.net. 60 IN A 203.0.113.10
"""


def _relay(host: str, *fallbacks: str) -> Gateway:
    return Gateway("domain-gateway:1", host, 25, Security.NONE, fallbacks=fallbacks)


async def test_each_host_of_the_organisations_gateway_is_checked() -> None:
    """One that SPF does not name is found before mail leaves by it."""
    relay = _relay("relay.example.net", "backup.example.net", "gone.example.net")
    whole = Organisation(frozenset({"example.com"}), relay)
    with serving(ORGANISATION + RELAYS) as zone:
        by_relay = (await findings(zone.nameserver, ALICE, organisation=whole)).organisation
        told = (await findings(zone.nameserver, ALICE, organisation=whole, addresses=("192.0.2.25",))).organisation
    found = [(check.address, check.result) for check in by_relay.checks]
    assert found == [("192.0.2.25", Spf.PASS), ("203.0.113.9", Spf.FAIL)]
    assert by_relay.unanswered[0] == Unanswered("gone.example.net", "no-address")
    assert [check.address for check in told.checks] == ["192.0.2.25"]


@pytest.mark.parametrize("address", [ALICE, PARTNER])
async def test_what_is_refused_is_judged_by_the_gateway_of_the_domain_that_answers_for_it(address: str) -> None:
    own = {"example.com": _relay("own.example.net")}
    organisation = Organisation(frozenset({"example.com"}), _relay("relay.example.net"), gateways_of_domains=own)
    with serving(ORGANISATION + RELAYS) as zone:
        by_own = (
            await findings(zone.nameserver, address, organisation=organisation, policy=UnitPolicy(external_from=False))
        ).organisation
    assert (by_own.refused is not None, by_own.host) == (address == PARTNER, "own.example.net")


async def test_a_gateway_that_has_no_address_is_said() -> None:
    with serving(ORGANISATION) as zone:
        found = await findings(zone.nameserver, gateway=GATEWAY)
    assert found.gateway
    assert (found.gateway.checks, found.gateway.unanswered) == ((), (Unanswered(GATEWAY, "no-address"),))


async def test_mail_on_behalf_of_bears_the_primary_address_and_is_not_aligned() -> None:
    with serving(_dmarc(DOMAIN, r"v=DMARC1; p=reject")) as zone:
        found = await findings(zone.nameserver)
    way = found.organisation
    assert (way.mail_from, way.on_behalf_of, way.checks[0].result) == (ALICE, ALICE, Spf.PASS)
    assert (way.spf_aligned, way.dkim_aligned) == (False, False)
    assert advise(found).sentence == f"{DOMAIN} publishes p=reject: without its own server this mail will be refused"


async def test_addresses_that_are_given_take_the_place_of_the_host_names() -> None:
    with serving(ORGANISATION) as zone:
        found = await findings(zone.nameserver, ALICE, addresses=("203.0.113.9",))
    assert [(one.address, one.result) for one in found.organisation.checks] == [("203.0.113.9", Spf.FAIL)]
    assert "mail.example.com" not in {name for name, _ in zone.asked}


async def test_policy_that_forbids_the_gateway_is_told_with_its_reason() -> None:
    with serving(_gateway_zone(_spf(DOMAIN, ALLOWS))) as zone:
        found = await findings(zone.nameserver, gateway=GATEWAY, policy=UnitPolicy())
        neither = await findings(zone.nameserver, gateway=GATEWAY, policy=UnitPolicy(external_from=False))
    assert found.gateway
    assert "allowUsersToUseExternalSmtpServers is off" in (found.gateway.refused or "")
    assert found.organisation.refused is None
    assert "allowExternalFromWithoutGateway is off" in (neither.organisation.refused or "")


async def test_an_international_local_part_does_no_harm() -> None:
    with serving(_gateway_zone(_spf(DOMAIN, "v=spf1 exists:%{l}.x.example ip4:198.51.100.7 -all"))) as zone:
        found = await findings(zone.nameserver, f"è.rossi@{DOMAIN}", gateway=GATEWAY)
    assert found.gateway
    assert found.gateway.checks[0].result in (Spf.PASS, Spf.PERMERROR)


_PARTS = "a mx ptr exists:%{i} include: redirect= ip4: ip6: all - ? / % { } ir 1.2.3 999 :: x.example = exp= %{p} é .."
_TERMS = st.sampled_from([" ", *_PARTS.split()])


@settings(max_examples=300, deadline=None)
@given(st.lists(_TERMS, max_size=14).map("".join), st.sampled_from(["198.51.100.7", "2001:db8::7"]))
def test_any_spf_record_gives_a_result(terms: str, address: str) -> None:
    class Text:
        strings = (f"v=spf1 {terms}".encode(),)

    def ask(name: str, kind: str, seconds: float) -> list[object]:
        return [Text()] if kind == "TXT" else []

    assert spf_check.evaluate(address, PARTNER, GATEWAY, ask).result in set(Spf)


# --- DKIM ------------------------------------------------------------------------------------------------------------

SIGNING = {"example.com": Signing("s1", "v=DKIM1; k=rsa; p=AbC/d+e=")}


@pytest.mark.parametrize(
    ("texts", "state"),
    [
        (["v=DKIM1; k=rsa; p=AbC/d+e="], Dkim.PASS),
        (["p=AbC/ d+e="], Dkim.PASS),
        (["v=DKIM1; k=rsa; p=abc/d+e="], Dkim.KEY_DIFFERS),
        (["v=DKIM1; p=AbC/d+e=", "v=DKIM1; p=other"], Dkim.KEY_DIFFERS),
        (["v=DKIM1; p="], Dkim.KEY_MISSING),
        ([], Dkim.KEY_MISSING),
    ],
)
def test_the_published_key_is_compared_with_the_one_that_signs(texts: list[str], state: Dkim) -> None:
    assert published(SIGNING["example.com"], texts) is state


async def test_the_organisations_key_is_looked_up_and_no_selector_is_guessed() -> None:
    key = r's1._domainkey.example.com. 60 IN TXT "v=DKIM1; k=rsa; " "p=AbC/d+e="'
    with serving(_gateway_zone(key)) as zone:
        found = await findings(zone.nameserver, gateway=GATEWAY, signing=SIGNING)
    assert (found.organisation.dkim, found.organisation.dkim_domain) == (Dkim.PASS, "example.com")
    assert {name for name, _ in zone.asked if "_domainkey" in name} == {"s1._domainkey.example.com"}


async def test_a_key_that_could_not_be_looked_up_is_unknown() -> None:
    with serving(ORGANISATION, servfail=frozenset({"s1._domainkey.example.com"})) as zone:
        found = await findings(zone.nameserver, ALICE, signing=SIGNING)
    assert found.organisation.dkim is Dkim.UNKNOWN
    assert found.organisation.unanswered == (Unanswered("s1._domainkey.example.com", "SERVFAIL"),)


async def test_many_questions_at_once_get_their_own_answers() -> None:
    lines = _gateway_zone(
        *(_spf(f"d{number}.example", ALLOWS if number % 2 else "v=spf1 -all") for number in range(20))
    )
    with serving(lines) as zone:
        found = await asyncio.gather(
            *(findings(zone.nameserver, f"alice@d{number}.example", gateway=GATEWAY) for number in range(20))
        )
    results = [one.gateway.checks[0].result for one in found if one.gateway]
    assert results == [Spf.FAIL, Spf.PASS] * 10
