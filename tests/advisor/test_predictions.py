"""What the advisor predicts is what a recipient finds: messages signed and sent so, checked by authheaders.

authheaders brings pyspf's own way to ask, dkimpy, its own reading of DMARC and its own Public Suffix List.
"""

from email.message import EmailMessage

import dkim
import pytest

from advisor.asking import ALICE, GATEWAY, ORGANISATION, OUTGATE, findings
from advisor.zone import asked_by_checkers, serving
from outgate.advisor.advice import Advice, Dmarc, advise
from outgate.advisor.dkim_check import Signing
from outgate.advisor.findings import Dkim, DmarcRecord, Findings, Sending
from outgate.demo.checks import Checks, check
from outgate.mail import dkim as keys

# pyspf's own way to ask, which only the checker uses, is by a function that dnspython has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:please use dns.resolver.resolve:DeprecationWarning:spf")

DOMAIN = "dominiopartner.example"
PEM = keys.generate("rsa")
SIGNING = {"example.com": Signing("s1", keys.dns_record(PEM))}


def _key(domain: str) -> str:
    record = keys.dns_record(PEM)
    return f"s1._domainkey.{domain}. 60 IN TXT " + " ".join(
        f'"{record[at : at + 200]}"' for at in range(0, len(record), 200)
    )


POLICIES = ("p=none", "p=quarantine; pct=50", "p=reject", "p=reject; aspf=s; adkim=s", None)
SPF = (
    "v=spf1 ip4:198.51.100.7 -all",
    "v=spf1 include:spf.x.example -all",
    "v=spf1 -all",
    "v=spf1 include:gone.example",
    None,
)


def _zone(domain: str, policy: str | None, spf: str | None, *, organisations_key: bool = True) -> str:
    lines = [
        ORGANISATION,
        f"{GATEWAY}. 60 IN A 198.51.100.7",
        'spf.x.example. 60 IN TXT "v=spf1 a:' + GATEWAY + ' ~all"',
    ]
    if policy:
        lines.append(f'_dmarc.{domain}. 60 IN TXT "v=DMARC1; {policy}"')
    if spf:
        lines.append(f'{domain}. 60 IN TXT "{spf}"')
    lines += [_key(domain)] if domain != "example.com" else []
    lines += [_key("example.com")] if organisations_key else []
    return "\n".join(lines) + "\n"


def _arrives(findings: Findings, way: Sending, *, signed_for: str | None) -> Checks:
    """A message by this way, as a recipient checks it."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = findings.address, "carol@recipient.example", "The figures"
    if way.on_behalf_of:
        message["Sender"] = way.on_behalf_of
    message.set_content("Ecco le cifre.\n")
    content = message.as_bytes(policy=message.policy.clone(linesep="\r\n"))
    if signed_for:
        content = dkim.sign(content, b"s1", signed_for.encode(), PEM, include_headers=[b"from", b"to"]) + content
    return check(content, way.checks[0].address, way.host, way.mail_from)


def _agree(findings: Findings, advice: Advice, found: Checks) -> None:
    assert found.spf == advice.organisation.spf.value
    assert found.dmarc == advice.organisation.dmarc.value
    if isinstance(findings.dmarc, DmarcRecord):
        assert found.policy == findings.dmarc.policy.value


@pytest.mark.parametrize("policy", POLICIES, ids=str)
@pytest.mark.parametrize("published", [True, False])
async def test_by_the_organisation_on_behalf_of(policy: str | None, published: bool) -> None:
    with serving(_zone(DOMAIN, policy, SPF[0], organisations_key=published)) as zone, asked_by_checkers(zone):
        found = await findings(zone.nameserver, signing=SIGNING)
        checks = _arrives(found, found.organisation, signed_for="example.com")
    advice = advise(found)
    _agree(found, advice, checks)
    assert (checks.dkim == "pass") is published is (advice.organisation.dkim is Dkim.PASS)
    assert advice.organisation.dmarc is (Dmarc.FAIL if policy else Dmarc.NONE)


@pytest.mark.parametrize("published", [True, False])
@pytest.mark.parametrize("source", [OUTGATE, "203.0.113.9"])
async def test_an_own_address_by_the_organisation(published: bool, source: str) -> None:
    with serving(_zone("example.com", None, None, organisations_key=published)) as zone, asked_by_checkers(zone):
        found = await findings(zone.nameserver, ALICE, signing=SIGNING, addresses=(source,))
        checks = _arrives(found, found.organisation, signed_for="example.com")
    _agree(found, advise(found), checks)
    assert checks.dmarc == ("pass" if published or source == OUTGATE else "fail")


@pytest.mark.parametrize(
    ("record", "strict"), [("p=reject", False), ("p=reject; aspf=s; adkim=s", True), ("p=none; aspf=s", False)]
)
async def test_a_sister_domain_is_aligned_unless_its_record_is_strict(record: str, strict: bool) -> None:
    """news.example.com is not one of the organisation's domains here, but belongs to example.com by its name."""
    with serving(_zone("news.example.com", record, None)) as zone, asked_by_checkers(zone):
        found = await findings(zone.nameserver, "alice@news.example.com", signing=SIGNING)
        checks = _arrives(found, found.organisation, signed_for="example.com")
    _agree(found, advise(found), checks)
    assert checks.dmarc == ("fail" if strict else "pass")


@pytest.mark.parametrize("policy", POLICIES, ids=str)
@pytest.mark.parametrize("spf", SPF, ids=str)
async def test_by_the_gateway_with_and_without_its_signature(policy: str | None, spf: str | None) -> None:
    with serving(_zone(DOMAIN, policy, spf)) as zone, asked_by_checkers(zone):
        found = await findings(zone.nameserver, gateway=GATEWAY)
        assert found.gateway
        signed = _arrives(found, found.gateway, signed_for=DOMAIN)
        unsigned = _arrives(found, found.gateway, signed_for=None)
    outlook = advise(found).gateway
    assert outlook
    assert signed.spf == unsigned.spf == outlook.spf.value
    expected = {
        Dmarc.PASS: ("pass", "pass"),
        Dmarc.EXPECTED: ("pass", "fail"),
        Dmarc.NONE: ("none", "none"),
    }
    assert (signed.dmarc, unsigned.dmarc) == expected[outlook.dmarc]


@pytest.mark.parametrize(
    ("record", "author"),
    [
        ("p=none; sp=reject", "alice@news.partner.co.uk"),
        ("p=reject; sp=none", "alice@a.b.partner.co.uk"),
        ("p=quarantine", "alice@news.partner.co.uk"),
    ],
)
async def test_the_policy_of_a_subdomain(record: str, author: str) -> None:
    """authheaders 0.16.3 takes `sp` for the publishing domain itself as well, so that case is not compared here."""
    with serving(_zone("partner.co.uk", record, None)) as zone, asked_by_checkers(zone):
        found = await findings(zone.nameserver, author, signing=SIGNING)
        checks = _arrives(found, found.organisation, signed_for="example.com")
    assert isinstance(found.dmarc, DmarcRecord)
    _agree(found, advise(found), checks)
