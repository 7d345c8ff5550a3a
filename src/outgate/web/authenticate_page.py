"""Apps > Workspace > Mail > Authenticate email: each domain's DKIM key and the DNS records to paste, with a check.

The page is there at once; what the DNS says comes into it. Domains are added and removed here, too.
"""

from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import urlencode

from starlette.responses import HTMLResponse, Response

from outgate.advisor.domain_check import DomainCheck, DomainFindings
from outgate.directory.dns_records import DnsPurpose, DnsRecord, dns_records, zone_line
from outgate.directory.errors import Invalid
from outgate.directory.organisation import Domain
from outgate.directory.privileges import Privilege
from outgate.extras import MissingExtra
from outgate.frozen import frozen
from outgate.http.http_route import HttpRoute
from outgate.mail import dkim
from outgate.mail_program.program_records import program_records
from outgate.mail_program.program_servers import servers_of
from outgate.operations import domain_operations, setup_operations
from outgate.web import safety_question
from outgate.web.safety_question import SafetyQuestion
from outgate.web.server_page import RESULTS
from outgate.web.setup_check import AUTHENTICATE, PATIENCE, signing_of
from outgate.web.visit import Visit
from outgate.web.visits import Visits, status_of
from outgate.web.wizard_page import RATE
from outgate.web.words import N_

PATH: Final = AUTHENTICATE
CHECK: Final = f"{PATH}/check"

MEANING: Final = {
    DnsPurpose.SPF: N_("SPF: who may send for this domain. Add whoever else may, and replace an older v=spf1."),
    DnsPurpose.DKIM: N_("DKIM: the key that recipients check signatures with."),
    DnsPurpose.DMARC: N_("DMARC: begin with p=none and read the reports; then p=quarantine or p=reject."),
    DnsPurpose.SERVICE: N_("Mail programs find a server by it."),
    DnsPurpose.AUTODISCOVER: N_("Outlook finds the settings by it."),
    DnsPurpose.AUTOCONFIG: N_(
        "Thunderbird finds the settings by it. The certificate of the pages must be for this name, too."
    ),
}
_DONE: Final = {
    "add": N_("The domain is added, with a DKIM key. Publish its records now."),
    "key": N_(
        "Mail is signed with the new key from now on. Publish its record now, and leave the old one for some days."
    ),
    "remove": N_("The domain is removed."),
}


@frozen
class RecordToPublish:
    """A record, as a line of a zone file and for the forms of DNS providers."""

    record: DnsRecord
    line: str
    means: str


class AuthenticatePage:
    """Shows domains, and changes them."""

    def routes(self, visits: Visits) -> list[HttpRoute]:
        """All there are."""
        return [visits.get(PATH, _show, rate=RATE), visits.get(CHECK, _check, rate=RATE), visits.post(PATH, _act)]


def path_of(domain: str, done: str = "") -> str:
    """Where a domain is shown."""
    return f"{PATH}?{urlencode({'domain': domain, **({'done': done} if done else {})})}"


async def _show(visit: Visit) -> Response:
    """At once, unless somebody without scripts has asked to wait for the check."""
    facts, domain = await visit.in_thread(_facts, visit)
    found = await _findings(visit, domain) if "look" in visit.form else None
    return visit.page("authenticate.html", **facts, found=found)


async def _check(visit: Visit) -> Response:
    """What the DNS says, as a part of the page."""
    _, domain = await visit.in_thread(_facts, visit)
    found = await _findings(visit, domain)
    return HTMLResponse(visit.fragment("authenticate_check.html", found=found, said_of=RESULTS))


def _facts(visit: Visit, why: str = "") -> tuple[dict[str, Any], Domain]:
    with visit.reading() as op:
        setup = setup_operations.setup(op)
        domain = domain_operations.show(op, visit.form.text("domain") or setup.domains[0].name)
    host = setup.gateway.host if setup.gateway else visit.services.config.hostname
    for_programs = program_records(servers_of(visit.services.config), domain.name)
    done = _DONE.get(visit.form.text("done"))
    facts = {
        "why": why,
        "done": visit.said(done) if done else "",
        "path": PATH,
        "path_of": path_of,
        "check": f"{CHECK}?{urlencode({'domain': domain.name})}",
        "domains": setup.domains,
        "domain": domain,
        "records": _to_publish(visit, dns_records(domain, host)),
        "for_programs": _to_publish(visit, for_programs),
        "said_of": RESULTS,
        "may_manage": visit.may(Privilege.DOMAINS_MANAGE),
    }
    return facts, domain


def _to_publish(visit: Visit, records: Iterable[DnsRecord]) -> list[RecordToPublish]:
    return [RecordToPublish(one, zone_line(one), visit.said(MEANING[one.purpose])) for one in records]


async def _findings(visit: Visit, domain: Domain) -> DomainFindings | str:
    """A text if it can't be asked here."""
    config = visit.services.config

    def host() -> str:
        with visit.reading() as op:
            gateway = setup_operations.setup(op).gateway
        return gateway.host if gateway else config.hostname

    try:
        leaves_by = await visit.in_thread(host)
        return await DomainCheck(config, PATIENCE).findings(domain.name, signing_of(domain), leaves_by)
    except MissingExtra as error:
        return str(error)


# --- changes ---------------------------------------------------------------------------------------------------------


def _act(visit: Visit) -> Response:
    """Do it; what can't be done is said on the page."""
    acts = {"add": _add, "remove": _remove, "key": _new_key}
    do = visit.form.text("do")
    if do not in acts:
        raise Invalid("“{text}” can't be done with a domain; choose a button of the page", text=do)
    try:
        return acts[do](visit)
    except Exception as error:
        status = status_of(error)
        facts, _ = _facts(visit, visit.said.error(error))
        return visit.page("authenticate.html", status, **facts, found=None)


def _add(visit: Visit) -> Response:
    """With a key of its own."""
    name = visit.form.text("new")
    with visit.reading() as op:  # before the work of making a key
        domain_operations.add.require(op, name)
    pem = dkim.generate("rsa")
    with visit.writing() as op:
        domain_operations.add(op, name)
        selector = domain_operations.default_selector(op.now)
        domain_operations.set_signing_key(op, name, selector, pem, dkim.dns_record(pem))
        added = domain_operations.show(op, name)
    return visit.go_to(path_of(added.name, "add"))


def _new_key(visit: Visit) -> Response:
    name = visit.form.text("domain")
    if not safety_question.is_meant(visit):
        said = visit.said
        means = said("Until its record is published, recipients can't check signatures of this domain's mail.")
        asked = SafetyQuestion(
            said("Sign with a new key?"), means, said("Make a new key"), "key", [name], {"domain": name}, is_loss=False
        )
        return safety_question.ask(visit, PATH, path_of(name), asked)
    with visit.reading() as op:  # before the work of making a key
        domain_operations.set_signing_key.require(op, name, "", b"", "")
        before = domain_operations.show(op, name)
    pem = dkim.generate("rsa")
    with visit.writing() as op:
        selector = domain_operations.next_selector(before, op.now)
        domain_operations.set_signing_key(op, name, selector, pem, dkim.dns_record(pem))
    return visit.go_to(path_of(name, "key"))


def _remove(visit: Visit) -> Response:
    name = visit.form.text("domain")
    if not safety_question.is_meant(visit):
        said = visit.said
        means = said(
            "Mail to it is not delivered here any more. Lost is its DKIM key. Addresses in it stand in the way."
        )
        asked = SafetyQuestion(
            said("Remove this domain?"), means, said("Remove domain"), "remove", [name], {"domain": name}
        )
        return safety_question.ask(visit, PATH, path_of(name), asked)
    with visit.writing() as op:
        domain_operations.remove(op, name)
    return visit.go_to(f"{PATH}?done=remove")
