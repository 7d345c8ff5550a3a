"""All sources together, with a real DNS server and a real web server: what is found where, and in which order."""

import socket
import time

import pytest

from discovery.internet import INSIDE, Answer, Internet, document, status
from outgate.discovery.candidates import Candidate, Certainty, DiscoveryOutcome, Source
from outgate.discovery.discoverer import Discoverer
from outgate.discovery.presets import Preset, Presets, shipped
from outgate.egress.https_client import HttpsClient
from outgate.egress.resolver import Resolver
from outgate.mail.addresses import AddressError
from outgate.mail_program.pacc_document import digest_record
from outgate.model import Security

DOMAIN = "dominiopartner.example"
ALICE = f"alice@{DOMAIN}"
AUTOCONFIG = f"https://autoconfig.{DOMAIN}/mail/config-v1.1.xml"
WELL_KNOWN = f"https://{DOMAIN}/.well-known/autoconfig/mail/config-v1.1.xml"
PACC = f"https://ua-auto-config.{DOMAIN}/.well-known/user-agent-configuration.json"
SUBMIT = b'{"protocols":{"submit":{"host":"y.provider.example"}}}'


def _document(host: str, port: int = 465, socket_type: str = "SSL") -> bytes:
    return (
        f'<clientConfig version="1.1"><emailProvider id="x"><outgoingServer type="smtp"><hostname>{host}</hostname>'
        f"<port>{port}</port><socketType>{socket_type}</socketType><username>%EMAILLOCALPART%</username>"
        "</outgoingServer></emailProvider></clientConfig>"
    ).encode()


async def _outcomes(internet: Internet, address: str = ALICE) -> dict[str, DiscoveryOutcome]:
    found = await internet.discoverer().discover(address)
    return {looked.where.partition("?")[0]: looked.outcome for looked in found.looked_at}


async def test_all_sources_are_ranked_and_named(internet: Internet) -> None:
    internet.zones.publish(
        f"_submissions._tcp.{DOMAIN}. 60 IN SRV 0 1 465 a.{DOMAIN}.\n"
        f"_submission._tcp.{DOMAIN}. 60 IN SRV 20 1 587 c.{DOMAIN}.\n"
        f"_submission._tcp.{DOMAIN}. 60 IN SRV 10 1 587 b.elsewhere.example.\n"
        f"{DOMAIN}. 60 IN MX 20 second.{DOMAIN}.\n"
        f"{DOMAIN}. 60 IN MX 10 f.{DOMAIN}.\n"
        f'_ua-auto-config.{DOMAIN}. 60 IN TXT "{digest_record(SUBMIT)}"\n'
    )
    internet.site(DOMAIN)
    internet.site(f"ua-auto-config.{DOMAIN}")
    internet.site(f"autoconfig.{DOMAIN}")
    internet.web.answers |= {
        PACC: document(SUBMIT),
        AUTOCONFIG: document(_document("d.provider.example")),
        WELL_KNOWN: document(_document("e.provider.example", 587, "STARTTLS")),
    }
    own = Preset(name="Own", domains=(DOMAIN,), host="z.provider.example", port=465, security=Security.SSL, hint="x")
    discoverer = Discoverer(internet.resolver, internet.https, Presets((own,)))
    found = await discoverer.discover("Alice@DominioPartner.Example")
    ssl, starttls = Security.SSL, Security.STARTTLS
    assert found.candidates == (
        Candidate("z.provider.example", 465, ssl, ALICE, Source.PRESET, Certainty.KNOWN, "x"),
        Candidate("y.provider.example", 465, ssl, ALICE, Source.PACC, Certainty.PUBLISHED),
        Candidate(f"a.{DOMAIN}", 465, ssl, ALICE, Source.SRV, Certainty.PUBLISHED),
        Candidate("b.elsewhere.example", 587, starttls, ALICE, Source.SRV, Certainty.PUBLISHED, confirm=True),
        Candidate(f"c.{DOMAIN}", 587, starttls, ALICE, Source.SRV, Certainty.PUBLISHED),
        Candidate("d.provider.example", 465, ssl, "alice", Source.AUTOCONFIG, Certainty.PUBLISHED),
        Candidate("e.provider.example", 587, starttls, "alice", Source.AUTOCONFIG, Certainty.PUBLISHED),
        Candidate(f"f.{DOMAIN}", 587, starttls, ALICE, Source.MX, Certainty.GUESS, found.candidates[-1].hint),
    )
    assert [(looked.source, looked.where.partition("?")[0]) for looked in found.looked_at] == [
        (Source.PRESET, DOMAIN),
        (Source.PACC, PACC),
        (Source.SRV, f"_submissions._tcp.{DOMAIN}"),
        (Source.SRV, f"_submission._tcp.{DOMAIN}"),
        (Source.AUTOCONFIG, AUTOCONFIG),
        (Source.AUTOCONFIG, WELL_KNOWN),
        (Source.MX, f"{DOMAIN} MX"),
    ]
    assert {looked.outcome for looked in found.looked_at} == {DiscoveryOutcome.FOUND}
    assert sorted(internet.web.asked) == [
        f"{AUTOCONFIG}?emailaddress=alice%40{DOMAIN}",
        f"{WELL_KNOWN}?emailaddress=alice%40{DOMAIN}",
        PACC,
    ]


@pytest.mark.parametrize(
    ("served", "outcome", "detail"),
    [
        (document(SUBMIT + b" "), DiscoveryOutcome.UNUSABLE, "its digest is not the one in the DNS"),
        (status(404), DiscoveryOutcome.NOTHING, "status 404"),
        (document(b"x" * 70_000), DiscoveryOutcome.NO_ANSWER, "the answer is longer than 65536 bytes"),
        (status(302, location="https://inside.example/"), DiscoveryOutcome.NO_ANSWER, "inside.example"),
    ],
)
async def test_a_document_that_the_dns_does_not_vouch_for_is_not_believed(
    internet: Internet, served: Answer, outcome: DiscoveryOutcome, detail: str
) -> None:
    internet.zones.publish(f'_ua-auto-config.{DOMAIN}. 60 IN TXT "{digest_record(SUBMIT)}"\n')
    internet.site(f"ua-auto-config.{DOMAIN}")
    internet.site("inside.example", INSIDE)
    internet.web.answers[PACC] = served
    found = await internet.discoverer().discover(ALICE)
    assert found.candidates == ()
    looked = found.looked_at[1]
    assert (looked.outcome, detail in looked.detail) == (outcome, True), looked
    assert not internet.inside.greeted


async def test_without_a_digest_in_the_dns_the_document_is_not_asked_for(internet: Internet) -> None:
    internet.zones.publish(f'_ua-auto-config.{DOMAIN}. 60 IN TXT "v=UAAC2; a=sha256; d=x"\n')
    internet.site(f"ua-auto-config.{DOMAIN}")
    internet.web.answers[PACC] = document(SUBMIT)
    assert (await internet.discoverer().discover(ALICE)).looked_at[1].outcome is DiscoveryOutcome.NOTHING
    assert PACC not in internet.web.asked


async def test_a_domain_that_says_nothing_has_no_candidate(internet: Internet) -> None:
    found = await internet.discoverer().discover(ALICE)
    assert found.candidates == ()
    assert await _outcomes(internet) == {
        DOMAIN: DiscoveryOutcome.NOTHING,
        PACC: DiscoveryOutcome.NOTHING,
        f"_submissions._tcp.{DOMAIN}": DiscoveryOutcome.NOTHING,
        f"_submission._tcp.{DOMAIN}": DiscoveryOutcome.NOTHING,
        AUTOCONFIG: DiscoveryOutcome.NO_ANSWER,
        WELL_KNOWN: DiscoveryOutcome.NO_ANSWER,
        f"{DOMAIN} MX": DiscoveryOutcome.NOTHING,
    }


async def test_a_customers_domain_gets_the_preset_that_its_exchanger_betrays(internet: Internet) -> None:
    internet.zones.publish(f"{DOMAIN}. 60 IN MX 1 SMTP.google.com.\n")
    found = await internet.discoverer().discover(ALICE)
    [candidate] = found.candidates
    assert (candidate.host, candidate.source, candidate.certainty) == (
        "smtp.gmail.com",
        Source.MX_PRESET,
        Certainty.LIKELY,
    )
    assert candidate.confirm
    assert "app password" in candidate.hint
    assert found.looked_at[-1].detail == "Google (Gmail, Google Workspace)"


async def test_a_providers_own_domain_needs_no_confirmation(internet: Internet) -> None:
    found = await internet.discoverer().discover("alice@web.de")
    assert (found.candidates[0].host, found.candidates[0].username) == ("smtp.web.de", "alice")
    assert not found.candidates[0].confirm


async def test_what_two_sources_say_is_there_once_by_the_better_one(internet: Internet) -> None:
    internet.zones.publish("_submissions._tcp.gmail.com. 60 IN SRV 5 0 465 smtp.gmail.com.\n")
    internet.zones.publish("gmail.com. 60 IN MX 5 gmail-smtp-in.l.google.com.\n")
    found = await internet.discoverer().discover("alice@gmail.com")
    assert [(one.host, one.source) for one in found.candidates] == [("smtp.gmail.com", Source.PRESET)]
    assert [one.source for one in found.looked_at if one.outcome is DiscoveryOutcome.FOUND] == [
        Source.PRESET,
        Source.SRV,
        Source.MX_PRESET,
    ]


async def test_what_the_domain_does_not_offer_is_said(internet: Internet) -> None:
    internet.zones.publish(
        f"_submissions._tcp.{DOMAIN}. 60 IN SRV 0 0 0 .\n"
        f"_submission._tcp.{DOMAIN}. 60 IN SRV 0 0 587 smtp.{DOMAIN}.\n"
        f"{DOMAIN}. 60 IN MX 0 .\n"
    )
    outcomes = await _outcomes(internet)
    assert outcomes[f"_submissions._tcp.{DOMAIN}"] is DiscoveryOutcome.NOT_OFFERED
    assert outcomes[f"_submission._tcp.{DOMAIN}"] is DiscoveryOutcome.FOUND
    assert outcomes[f"{DOMAIN} MX"] is DiscoveryOutcome.NOT_OFFERED


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (f"0 0 22 smtp.{DOMAIN}.", "egress.ports"),
        ("0 0 465 localhost.", "not a host of the internet"),
        ("0 0 465 0x7f.1.", "disguise"),
        ("0 0 465 127.1.", "disguise"),
    ],
)
async def test_a_server_that_could_not_be_a_gateway_is_left_out(internet: Internet, record: str, said: str) -> None:
    internet.zones.publish(f"_submissions._tcp.{DOMAIN}. 60 IN SRV {record}\n")
    found = await internet.discoverer().discover(ALICE)
    assert found.candidates == ()
    assert found.looked_at[2].outcome is DiscoveryOutcome.UNUSABLE
    assert said in found.looked_at[2].detail


async def test_of_several_servers_only_the_forbidden_one_is_left_out(internet: Internet) -> None:
    name = f"_submissions._tcp.{DOMAIN}."
    internet.zones.publish(f"{name} 60 IN SRV 0 0 22 a.{DOMAIN}.\n{name} 60 IN SRV 1 0 465 b.{DOMAIN}.\n")
    found = await internet.discoverer().discover(ALICE)
    assert [one.host for one in found.candidates] == [f"b.{DOMAIN}"]
    assert found.looked_at[2].outcome is DiscoveryOutcome.FOUND
    assert "port 22" in found.looked_at[2].detail


@pytest.mark.parametrize(
    ("content", "outcome", "detail"),
    [
        (
            _document("smtp.provider.example", 25, "plain"),
            DiscoveryOutcome.UNUSABLE,
            "it names no SMTP server with TLS",
        ),
        (b"<!DOCTYPE html><p>Welcome", DiscoveryOutcome.UNUSABLE, "it declares a document type or entities"),
        (b"<html/>", DiscoveryOutcome.UNUSABLE, "it is no clientConfig document"),
        (b"x" * 70_000, DiscoveryOutcome.NO_ANSWER, "the answer is longer than 65536 bytes"),
    ],
)
async def test_a_useless_document_is_said_to_be(
    internet: Internet, content: bytes, outcome: DiscoveryOutcome, detail: str
) -> None:
    internet.site(DOMAIN)
    internet.web.answers[WELL_KNOWN] = document(content)
    looked = (await internet.discoverer().discover(ALICE)).looked_at[5]
    assert (looked.outcome, looked.detail) == (outcome, detail)


async def test_a_missing_document_is_nothing(internet: Internet) -> None:
    internet.site(DOMAIN)
    looked = (await internet.discoverer().discover(ALICE)).looked_at[5]
    assert (looked.outcome, looked.detail) == (DiscoveryOutcome.NOTHING, "status 404")


async def test_of_what_was_not_reached_the_outcome_does_not_tell_why(internet: Internet) -> None:
    """A user who sees outcomes learns nothing of the network: forbidden, closed, and unknown are one."""
    internet.site("inside.example", INSIDE)
    internet.site("redirected.example")
    internet.zones.publish("wrong-name.example. 60 IN A 127.0.0.2\nclosed.example. 60 IN A 127.0.0.3\n")
    path = ".well-known/autoconfig/mail/config-v1.1.xml"
    internet.web.answers[f"https://redirected.example/{path}"] = status(302, location="https://inside.example/")
    for name in ("inside", "redirected", "wrong-name", "closed", "unknown"):
        domain = f"{name}.example"
        outcomes = await _outcomes(internet, f"alice@{domain}")
        assert outcomes[f"https://{domain}/{path}"] is DiscoveryOutcome.NO_ANSWER, domain
    assert not internet.inside.greeted


async def test_all_together_takes_no_longer_than_the_limit(internet: Internet) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        resolver = Resolver([f"127.0.0.1:{silent.getsockname()[1]}"], internet.guard)
        discoverer = Discoverer(resolver, HttpsClient(resolver, internet.context), shipped(), patience=1.0)
        started = time.monotonic()
        found = await discoverer.discover("alice@gmail.com")
    assert len(found.looked_at) > 6
    assert time.monotonic() - started < 6, "one after the other they take as many seconds as there are"
    assert [one.host for one in found.candidates] == ["smtp.gmail.com"]
    assert {one.outcome for one in found.looked_at[1:]} == {DiscoveryOutcome.NO_ANSWER}
    assert {one.detail for one in found.looked_at[1:]} == {"no answer within 1 seconds"}


@pytest.mark.parametrize(
    "address", ["alice", "alice@", "@x.example", "alice@[127.0.0.1]", "alice@localhost", "a@b c.it"]
)
async def test_what_is_no_address_of_the_internet_is_refused(internet: Internet, address: str) -> None:
    with pytest.raises(AddressError):
        await internet.discoverer().discover(address)
    assert not internet.web.greeted


async def test_a_domain_with_other_letters_is_asked_for_by_its_a_labels(internet: Internet) -> None:
    internet.zones.publish("_submissions._tcp.xn--bcher-kva.example. 60 IN SRV 0 0 465 smtp.xn--bcher-kva.example.\n")
    found = await internet.discoverer().discover("alice@bücher.example")
    [candidate] = found.candidates
    assert (candidate.host, candidate.confirm) == ("smtp.xn--bcher-kva.example", False)
