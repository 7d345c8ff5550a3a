"""From facts to sentences: a few in full, and over all combinations what must never be said wrong."""

import re
from dataclasses import replace
from itertools import product

import pytest

from outgate.advisor.advice import Dmarc, advise
from outgate.advisor.findings import Dkim, DmarcPolicy, DmarcRecord, Findings, Sending, Spf, SpfCheck, Unanswered
from outgate.advisor.wording import LANGUAGES, TEXTS

ADDRESS = "alice@dominiopartner.it"
PRIMARY = "alice@example.com"
GATEWAY = "smtp.dominiopartner.it"

ORGANISATION = Sending(
    host="mail.example.com",
    mail_from=PRIMARY,
    checks=(SpfCheck("192.0.2.25", Spf.PASS),),
    spf_aligned=False,
    dkim=Dkim.PASS,
    dkim_domain="example.com",
    dkim_aligned=False,
    dkim_name="s1._domainkey.example.com",
    on_behalf_of=PRIMARY,
)
BY_GATEWAY = Sending(
    host=GATEWAY,
    mail_from=ADDRESS,
    checks=(SpfCheck("198.51.100.7", Spf.PASS),),
    spf_aligned=True,
    dkim=Dkim.EXPECTED,
    dkim_domain="dominiopartner.it",
    dkim_aligned=True,
    estimate=True,
)
NO_SPF = replace(BY_GATEWAY, checks=(SpfCheck("198.51.100.7", Spf.FAIL),))
FORBIDDEN = replace(BY_GATEWAY, refused="allowUsersToUseExternalSmtpServers is off (the default)")
REFUSED = replace(ORGANISATION, refused="allowExternalFromWithoutGateway is off", on_behalf_of=None)
OWN = replace(ORGANISATION, spf_aligned=True, dkim_aligned=True, on_behalf_of=None)
OPEN = Unanswered("_dmarc.dominiopartner.it", "SERVFAIL")


def _record(policy: str, *, testing: bool = False) -> DmarcRecord:
    return DmarcRecord("dominiopartner.it", DmarcPolicy(policy), testing=testing)


SENTENCES = [
    (
        Findings(ADDRESS, False, _record("reject"), ORGANISATION),
        "dominiopartner.it publishes p=reject: without its own server this mail will be refused",
        "dominiopartner.it pubblica p=reject: senza il suo server questa posta sarà rifiutata",
    ),
    (
        Findings(ADDRESS, False, _record("reject", testing=True), ORGANISATION),
        "dominiopartner.it publishes p=reject: without its own server this mail will go into junk (the policy is"
        " only being tested: t=y)",
        "dominiopartner.it pubblica p=reject: senza il suo server questa posta finirà nella posta indesiderata"
        " (la policy è solo in prova: t=y)",
    ),
    (
        Findings(ADDRESS, False, _record("none"), ORGANISATION),
        "dominiopartner.it publishes p=none: without its own server this mail will be delivered although it fails"
        " DMARC",
        "dominiopartner.it pubblica p=none: senza il suo server questa posta sarà consegnata anche se non supera DMARC",
    ),
    (
        Findings(ADDRESS, False, None, ORGANISATION),
        "dominiopartner.it publishes no DMARC policy: without its own server this mail will be delivered, but nothing"
        " proves where it comes from",
        "dominiopartner.it non pubblica alcuna policy DMARC: senza il suo server questa posta sarà consegnata, ma"
        " nulla ne prova la provenienza",
    ),
    (
        Findings(ADDRESS, False, OPEN, ORGANISATION),
        "What becomes of mail from alice@dominiopartner.it can't be said now: the DNS gave no answer for"
        " _dmarc.dominiopartner.it (SERVFAIL); ask again later",
        "Ora non si può dire che cosa sarà della posta da alice@dominiopartner.it: il DNS non ha risposto per"
        " _dmarc.dominiopartner.it (SERVFAIL); riprovare più tardi",
    ),
    (
        Findings(ADDRESS, False, _record("reject"), ORGANISATION, BY_GATEWAY),
        "dominiopartner.it publishes p=reject: through its own server smtp.dominiopartner.it this mail passes DMARC,"
        " without it this mail will be refused",
        "dominiopartner.it pubblica p=reject: dal suo server smtp.dominiopartner.it questa posta supera DMARC, senza"
        " di esso sarà rifiutata",
    ),
    (
        Findings(ADDRESS, False, _record("reject"), ORGANISATION, NO_SPF),
        "dominiopartner.it publishes p=reject: through its own server smtp.dominiopartner.it this mail passes DMARC if"
        " that server signs for dominiopartner.it (DKIM), as SPF gives fail; otherwise this mail will be refused",
        "dominiopartner.it pubblica p=reject: dal suo server smtp.dominiopartner.it questa posta supera DMARC se quel"
        " server firma per dominiopartner.it (DKIM), perché SPF dà fail; altrimenti sarà rifiutata",
    ),
    (
        Findings(ADDRESS, False, _record("reject"), ORGANISATION, FORBIDDEN),
        "dominiopartner.it publishes p=reject: as policy forbids its own server smtp.dominiopartner.it, this mail will"
        " be refused",
        "dominiopartner.it pubblica p=reject: poiché la policy vieta il suo server smtp.dominiopartner.it, questa"
        " posta sarà rifiutata",
    ),
    (
        Findings(ADDRESS, False, _record("none"), REFUSED),
        "Policy forbids mail from alice@dominiopartner.it without its own server: it is not sent",
        "La policy vieta la posta da alice@dominiopartner.it senza il suo server: non viene inviata",
    ),
    (
        Findings(PRIMARY, True, DmarcRecord("example.com", DmarcPolicy.REJECT), OWN),
        "example.com publishes p=reject and this mail passes: there is nothing to do",
        "example.com pubblica p=reject e questa posta supera la verifica: non c'è nulla da fare",
    ),
    (
        Findings(PRIMARY, True, DmarcRecord("example.com", DmarcPolicy.REJECT), replace(OWN, dkim=Dkim.KEY_MISSING)),
        "example.com publishes p=reject and this mail passes, but publish the DKIM key s1._domainkey.example.com"
        " (outgate domain show example.com)",
        "example.com pubblica p=reject e questa posta supera la verifica, ma occorre pubblicare la chiave DKIM"
        " s1._domainkey.example.com (outgate domain show example.com)",
    ),
    (
        Findings(PRIMARY, True, None, OWN),
        "example.com publishes no DMARC policy: publish one (outgate domain show example.com)",
        "example.com non pubblica alcuna policy DMARC: pubblicarne una (outgate domain show example.com)",
    ),
]


@pytest.mark.parametrize(("findings", "english", "italian"), SENTENCES, ids=[one[1][:60] for one in SENTENCES])
def test_the_advice_in_one_sentence(findings: Findings, english: str, italian: str) -> None:
    assert advise(findings).sentence == english
    assert advise(findings, "it").sentence == italian


@pytest.mark.parametrize(
    ("language", "google", "outlook"),
    [
        ("en", f"{ADDRESS} on behalf of {PRIMARY}", f"{PRIMARY} on behalf of {ADDRESS}"),
        ("it", f"{ADDRESS} per conto di {PRIMARY}", f"{PRIMARY} per conto di {ADDRESS}"),
    ],
)
def test_only_by_the_organisation_is_it_shown_on_behalf_of(language: str, google: str, outlook: str) -> None:
    advice = advise(Findings(ADDRESS, False, _record("none"), ORGANISATION, BY_GATEWAY), language)
    assert (advice.organisation.shown_as, advice.organisation.shown_by_outlook) == (google, outlook)
    assert advice.gateway
    assert (advice.gateway.shown_as, advice.gateway.shown_by_outlook) == (ADDRESS, ADDRESS)


@pytest.mark.parametrize(
    ("results", "combined"),
    [
        ((Spf.PASS, Spf.PASS), Spf.PASS),
        ((Spf.PASS, Spf.FAIL), Spf.FAIL),
        ((Spf.NONE, Spf.SOFTFAIL), Spf.SOFTFAIL),
        ((Spf.PERMERROR, Spf.TEMPERROR), Spf.TEMPERROR),
        ((), Spf.UNKNOWN),
    ],
)
def test_spf_is_as_good_as_the_worst_of_the_addresses(results: tuple[Spf, ...], combined: Spf) -> None:
    checks = tuple(SpfCheck(f"192.0.2.{number}", result) for number, result in enumerate(results))
    way = replace(OWN, checks=checks, dkim=Dkim.KEY_MISSING)
    outlook = advise(Findings(PRIMARY, True, _record("reject"), way)).organisation
    assert (outlook.spf, outlook.dmarc is Dmarc.PASS) == (combined, combined is Spf.PASS)


def test_both_languages_have_the_same_sentences_with_the_same_blanks() -> None:
    blanks = {
        language: {key: set(re.findall(r"{\w+}", text)) for key, text in texts.items()}
        for language, texts in TEXTS.items()
    }
    assert set(blanks) == set(LANGUAGES)
    english, italian = blanks["en"], blanks["it"]
    assert english == italian


# --- all combinations ------------------------------------------------------------------------------------------------

RECORDS: tuple[DmarcRecord | Unanswered | None, ...] = (
    *(_record(policy, testing=testing) for policy in DmarcPolicy for testing in (False, True)),
    DmarcRecord("partner.it", DmarcPolicy.REJECT, tag="sp"),
    None,
    OPEN,
)
_SIGNATURES = (Dkim.PASS, Dkim.KEY_MISSING, Dkim.KEY_DIFFERS, Dkim.NOT_SIGNED, Dkim.UNKNOWN)
_RESULTS = (Spf.PASS, Spf.FAIL, Spf.NONE, Spf.PERMERROR, Spf.TEMPERROR, Spf.UNKNOWN)
_GATEWAYS = (None, BY_GATEWAY, NO_SPF, FORBIDDEN, replace(BY_GATEWAY, checks=()))


def _open_if(result: Spf) -> Unanswered | None:
    return OPEN if result is Spf.TEMPERROR else None


def _ways() -> list[Sending]:
    return [
        replace(
            ORGANISATION,
            checks=() if result is Spf.UNKNOWN else (SpfCheck("192.0.2.25", result, "", _open_if(result)),),
            unanswered=(OPEN,) if result is Spf.UNKNOWN or dkim is Dkim.UNKNOWN else (),
            dkim=dkim,
            spf_aligned=spf_aligned,
            dkim_aligned=dkim_aligned,
            refused="forbidden" if refused else None,
        )
        for result, dkim, spf_aligned, dkim_aligned, refused in product(
            _RESULTS, _SIGNATURES, (False, True), (False, True), (False, True)
        )
    ]


def _combinations(record: DmarcRecord | Unanswered | None) -> list[Findings]:
    foreign = [Findings(ADDRESS, False, record, way, gateway) for way, gateway in product(_ways(), _GATEWAYS)]
    own = [Findings("alice@dominiopartner.it", True, record, way) for way in _ways() if not way.refused]
    return foreign + own


@pytest.mark.parametrize("record", RECORDS, ids=str)
def test_dmarc_passes_just_when_an_aligned_check_passes(record: DmarcRecord | Unanswered | None) -> None:
    for findings in _combinations(record):
        way, outlook = findings.organisation, advise(findings).organisation
        spf = way.checks[0].result if way.checks else None
        passes = (way.spf_aligned and spf is Spf.PASS) or (way.dkim_aligned and way.dkim is Dkim.PASS)
        may_pass = (way.spf_aligned and spf in (Spf.TEMPERROR, None)) or (way.dkim_aligned and way.dkim is Dkim.UNKNOWN)
        if record is None:
            assert outlook.dmarc is Dmarc.NONE
        elif isinstance(record, Unanswered):
            assert outlook.dmarc is Dmarc.UNKNOWN
        else:
            assert outlook.dmarc is (Dmarc.PASS if passes else Dmarc.UNKNOWN if may_pass else Dmarc.FAIL)
        assert outlook.proven is passes


@pytest.mark.parametrize("record", RECORDS, ids=str)
def test_the_sentence_never_promises_what_is_not_known(record: DmarcRecord | Unanswered | None) -> None:
    for findings in _combinations(record):
        advice = advise(findings)
        usable = findings.gateway is not None and not findings.gateway.refused
        fails = advice.organisation.dmarc is Dmarc.FAIL
        rejects = isinstance(record, DmarcRecord) and record.applied is DmarcPolicy.REJECT
        sent = not findings.organisation.refused
        assert ("will be refused" in advice.sentence) == (
            rejects and sent and (fails or usable) and "passes DMARC through" not in advice.sentence
        ), (findings, advice.sentence)
        if isinstance(record, Unanswered) and (usable or sent):
            assert "can't be said" in advice.sentence
            assert "SERVFAIL" in advice.sentence
        if not usable and not sent:
            assert "not sent" in advice.sentence


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("record", RECORDS, ids=str)
def test_every_sentence_is_one_and_complete(record: DmarcRecord | Unanswered | None, language: str) -> None:
    for findings in _combinations(record):
        advice = advise(findings, language)
        assert re.fullmatch(r"[^{}\n]+[^\s.:;,{}]", advice.sentence), advice.sentence
        assert ": ," not in advice.sentence
        assert ": ;" not in advice.sentence
        for outlook in (advice.organisation, advice.gateway):
            assert outlook is None or re.fullmatch(r"[^{}\n]+\.", outlook.sentence), outlook
            assert outlook is None or ": ." not in outlook.sentence, outlook
