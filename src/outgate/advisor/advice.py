"""From the facts to what recipients will see, and to the advice in one sentence. Pure."""

from collections.abc import Sequence
from enum import StrEnum

from outgate.advisor.findings import Dkim, DmarcRecord, Findings, Sending, Spf, SpfCheck, Unanswered
from outgate.advisor.wording import TEXTS
from outgate.frozen import frozen

# The worst first: of several addresses, mail may leave from any.
_WORST = (Spf.TEMPERROR, Spf.PERMERROR, Spf.FAIL, Spf.SOFTFAIL, Spf.NEUTRAL, Spf.NONE, Spf.PASS)
_OPEN = (Spf.TEMPERROR, Spf.UNKNOWN)


class Dmarc(StrEnum):
    """How DMARC will come out. `none`: no policy; `expected`: passes if the gateway signs with DKIM."""

    PASS = "pass"  # noqa: S105 -- a result of DMARC, no password
    FAIL = "fail"
    NONE = "none"
    EXPECTED = "expected-if-it-signs"
    UNKNOWN = "unknown"


@frozen
class Outlook:
    """What recipients will find and see of mail that leaves by one way. `proven`: SPF or DKIM speaks for From.

    `shown_as` is in the order of Google's page on per-user gateways, `shown_by_outlook` as Outlook writes it.
    """

    spf: Spf
    dkim: Dkim
    dmarc: Dmarc
    proven: bool
    shown_as: str
    shown_by_outlook: str
    sentence: str
    note: str = ""


@frozen
class Advice:
    """Both ways, and the one sentence. `gateway` is None where the address has none that could be used."""

    organisation: Outlook
    gateway: Outlook | None
    sentence: str


def advise(findings: Findings, language: str = "en") -> Advice:
    """The conclusions, in one of texts.LANGUAGES."""
    words = _Words(findings, language)
    organisation = _outlook(findings, findings.organisation, words)
    gateway = _outlook(findings, findings.gateway, words) if findings.gateway else None
    return Advice(organisation, gateway, _sentence(findings, organisation, gateway, words))


def combined(checks: Sequence[SpfCheck]) -> Spf:
    """The result that is sure whichever of the addresses mail leaves from: the worst."""
    results = {check.result for check in checks}
    return next((result for result in _WORST if result in results), Spf.UNKNOWN)


def dmarc_result(record: DmarcRecord | Unanswered | None, way: Sending) -> Dmarc:
    """RFC 9989 section 5.3: passes if SPF or DKIM passes for a domain that is aligned with the one in From."""
    if isinstance(record, Unanswered):
        return Dmarc.UNKNOWN
    return Dmarc.NONE if record is None else _proof(way)


def _proof(way: Sending) -> Dmarc:
    spf = combined(way.checks) if way.spf_aligned else Spf.NONE
    signature = way.dkim if way.dkim_aligned else Dkim.NOT_SIGNED
    if spf is Spf.PASS or signature is Dkim.PASS:
        return Dmarc.PASS
    if signature is Dkim.EXPECTED:
        return Dmarc.EXPECTED
    return Dmarc.UNKNOWN if spf in _OPEN or signature is Dkim.UNKNOWN else Dmarc.FAIL


def _outlook(findings: Findings, way: Sending, words: "_Words") -> Outlook:
    on_behalf_of = way.on_behalf_of
    dmarc = dmarc_result(findings.dmarc, way)
    return Outlook(
        spf=combined(way.checks),
        dkim=way.dkim,
        dmarc=dmarc,
        proven=_proof(way) is Dmarc.PASS,
        shown_as=words.between(findings.address, on_behalf_of) if on_behalf_of else findings.address,
        shown_by_outlook=words.between(on_behalf_of, findings.address) if on_behalf_of else findings.address,
        sentence=words.about(_way_key(dmarc, way), way),
        note=words.about("estimate", way) if way.estimate and way.checks else "",
    )


def _way_key(dmarc: Dmarc, way: Sending) -> str:
    if way.refused:
        return "way_refused"
    if dmarc is Dmarc.NONE:
        return {Dmarc.PASS: "way_none_proven", Dmarc.EXPECTED: "way_none_expected"}.get(_proof(way), "way_none")
    return f"way_{dmarc.name.lower()}"


# --- the one sentence ------------------------------------------------------------------------------------------------


def _sentence(findings: Findings, organisation: Outlook, gateway: Outlook | None, words: "_Words") -> str:
    way = findings.gateway
    if way and gateway and not way.refused:
        return words.about(_through(findings, gateway, organisation), way)
    if findings.organisation.refused:
        return words.about("not_sent_forbidden" if way else "not_sent", way or findings.organisation)
    if organisation.dmarc is Dmarc.UNKNOWN:
        return words.about("open", findings.organisation)
    if findings.own_domain:
        return words.about(_own(findings, organisation), findings.organisation)
    if organisation.dmarc is Dmarc.PASS:
        return words.about("without_but_passes", findings.organisation)
    return words.about("forbidden", way) if way else words.about("without", findings.organisation)


def _through(findings: Findings, gateway: Outlook, organisation: Outlook) -> str:
    """The address's own server may be used."""
    if gateway.dmarc is Dmarc.UNKNOWN:
        return "open"
    if gateway.dmarc is Dmarc.NONE:
        return "through_none" if gateway.proven else "through_none_expected"
    if gateway.dmarc is Dmarc.EXPECTED:
        return "through_expected"
    passes_both = organisation.dmarc is Dmarc.PASS and not findings.organisation.refused
    return "through_passes_both" if passes_both else "through"


def _own(findings: Findings, outlook: Outlook) -> str:
    """An address in the organisation's own domains: it is the organisation that can put things right."""
    fix = "_but" if _fix(findings.organisation) else ""
    if outlook.dmarc is Dmarc.NONE:
        return f"own_none{fix}"
    return f"own_pass{fix}" if outlook.dmarc is Dmarc.PASS else "own_fail"


_FIXES = {Dkim.NOT_SIGNED: "signature", Dkim.KEY_MISSING: "key", Dkim.KEY_DIFFERS: "other_key"}


def _fix(way: Sending) -> str | None:
    """What the organisation should do, the most useful first: DKIM also survives forwarding."""
    if way.dkim in _FIXES:
        return f"fix_{_FIXES[way.dkim]}"
    if combined(way.checks) not in (Spf.PASS, *_OPEN):
        return "fix_spf"
    return None if _proof(way) is Dmarc.PASS else "fix_alignment"


class _Words:
    """Fills the format strings of one language with the facts."""

    def __init__(self, findings: Findings, language: str) -> None:
        self._findings, self._texts = findings, TEXTS[language]

    def between(self, first: str, second: str) -> str:
        return f"{first} {self._texts['on_behalf_of']} {second}"

    def about(self, key: str, way: Sending) -> str:
        """The sentence `key` about one way out."""
        findings, record = self._findings, self._findings.dmarc
        fix = _fix(way) if key.startswith("own_") else None
        return self._texts[key].format(
            address=findings.address,
            domain=findings.domain,
            host=way.host,
            spf=combined(way.checks),
            name=way.dkim_name,
            signer=way.dkim_domain,
            sender_domain=way.mail_from.rpartition("@")[2],
            addresses=", ".join(check.address for check in way.checks if check.result is not Spf.PASS),
            publisher=record.published_by if isinstance(record, DmarcRecord) else "",
            publishes=self._publishes(),
            fate=self._fate(),
            open=self._open(way),
            fix=self.about(fix, way) if fix else "",
        )

    def _publishes(self) -> str:
        record = self._findings.dmarc
        if not isinstance(record, DmarcRecord):
            return self._texts["publishes_nothing"].format(domain=self._findings.domain)
        key = "publishes" if record.published_by == self._findings.domain else "publishes_for"
        return self._texts[key].format(
            publisher=record.published_by, tag=record.tag, policy=record.policy, domain=self._findings.domain
        )

    def _fate(self) -> str:
        """What becomes of mail that nothing proves."""
        record = self._findings.dmarc
        if self._findings.organisation.refused:
            return self._texts["fate_not_sent"]
        if not isinstance(record, DmarcRecord):
            return self._texts["fate_absent"]
        fate = self._texts[f"fate_{record.applied}"]
        return fate + self._texts["tested"] if record.applied is not record.policy else fate

    def _open(self, way: Sending) -> str:
        """The first question that the DNS left open for this way."""
        record = self._findings.dmarc
        questions = [record] if isinstance(record, Unanswered) else list(way.unanswered)
        questions += [check.unanswered for check in way.checks if check.unanswered]
        if not questions:
            return ""
        name, reason = questions[0].name, questions[0].reason
        text = self._texts.get(f"open_{reason}", self._texts["open_other"])
        return text.format(name=name, reason=reason)
