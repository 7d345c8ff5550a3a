"""Apps > Workspace > Mail > Authenticate email: each domain's DKIM key and the DNS records to paste, with a check.

The page is there at once; what the DNS says comes into it. Domains are added and removed here, too.
"""

from collections.abc import Awaitable, Iterable
from typing import Any, Final
from urllib.parse import urlencode

from starlette.responses import HTMLResponse, Response

from outgate.advisor.ask import Names
from outgate.advisor.domain_check import DomainCheck, DomainFindings
from outgate.directory.dns_records import DnsPurpose, DnsRecord, dns_records, zone_line
from outgate.directory.domain_keys import KeyPlace, KeyRecord, KeysSettled, KeyStage
from outgate.directory.errors import Invalid
from outgate.directory.organisation import Domain
from outgate.directory.privileges import Privilege
from outgate.extras import MissingExtra
from outgate.frozen import frozen
from outgate.http.http_route import HttpRoute
from outgate.key_look import look_for_keys
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
    DnsPurpose.NEXT_DKIM: N_("DKIM: the next key. Mail is signed with it once this record is seen."),
    DnsPurpose.FORMER_DKIM: N_("DKIM: a former key. Its record stays for some days."),
    DnsPurpose.DMARC: N_("DMARC: begin with p=none and read the reports; then p=quarantine or p=reject."),
    DnsPurpose.SERVICE: N_("Mail programs find a server by it."),
    DnsPurpose.AUTODISCOVER: N_("Outlook finds the settings by it."),
    DnsPurpose.AUTOCONFIG: N_(
        "Thunderbird finds the settings by it. The certificate of the pages must be for this name, too."
    ),
    DnsPurpose.PACC: N_(
        "Programs that know PACC find the settings by it. The certificate of the pages must be for this name, too."
    ),
    DnsPurpose.PACC_DIGEST: N_("Programs that know PACC believe the settings by it. It changes with the servers."),
}
_DONE: Final = {
    "add": N_("The domain is added, with a DKIM key. Publish its records now."),
    "rotate": N_("New keys are made. Publish their records now: mail is signed with them as soon as all are seen."),
    "begun": N_("Mail is signed with the new keys from now on. Leave the records of the former ones for some days."),
    "waits": N_("Not all records of the new keys are seen yet. The server looks again each quarter of an hour."),
    "unanswered": N_("The DNS gives no answer now. Look again later."),
    "cancel": N_("The new keys are forgotten. Mail is signed as before."),
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
        return [
            visits.get(PATH, _show, rate=RATE),
            visits.get(CHECK, _check, rate=RATE),
            visits.post(PATH, _act, rate=RATE),
        ]


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
        "keys": [(one.selector, one.stage is KeyStage.SIGNING, _stands(visit, one)) for one in domain.keys],
        "for_programs": _to_publish(visit, for_programs),
        "said_of": RESULTS,
        "may_manage": visit.may(Privilege.DOMAINS_MANAGE),
    }
    return facts, domain


def _to_publish(visit: Visit, records: Iterable[DnsRecord]) -> list[RecordToPublish]:
    return [RecordToPublish(one, zone_line(one), visit.said(MEANING[one.purpose])) for one in records]


def _stands(visit: Visit, key: KeyRecord) -> str:
    """Where a key is in its life, in the visitor's words."""
    if key.removable_from is None:
        return visit.said("signs") if key.stage is KeyStage.SIGNING else visit.said("waits for its record")
    if key.is_removable(visit.services.now()):
        return visit.said("former; its record may be removed")
    return visit.said("former; leave its record until %(day)s", day=visit.said.day(key.removable_from, visit.zone))


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


async def _act(visit: Visit) -> Response:
    """Do it; what can't be done is said on the page."""
    acts = {"add": _add, "remove": _remove, "rotate": _rotate, "cancel": _cancel}
    do = visit.form.text("do")
    if do not in acts and do != "look":
        raise Invalid("“{text}” can't be done with a domain; choose a button of the page", text=do)
    try:
        return await (_look(visit) if do == "look" else visit.in_thread(acts[do], visit))
    except Exception as error:
        status = status_of(error)
        facts, _ = await visit.in_thread(_facts, visit, visit.said.error(error))
        return visit.page("authenticate.html", status, **facts, found=None)


def _add(visit: Visit) -> Response:
    """With a key of its own."""
    name = visit.form.text("new")
    with visit.reading() as op:  # before the work of making a key
        domain_operations.add.require(op, name)
        now = op.now
    key = domain_operations.new_key(domain_operations.new_selector(now))
    with visit.writing() as op:
        domain_operations.add(op, name)
        domain_operations.set_signing_key(op, name, key)
        added = domain_operations.show(op, name)
    return visit.go_to(path_of(added.name, "add"))


def _rotate(visit: Visit) -> Response:
    name = visit.form.text("domain")
    with visit.reading() as op:  # before the work of making keys
        domain_operations.begin_rotation.require(op, name, ())
        now = op.now
    made = domain_operations.new_keys(now)
    with visit.writing() as op:
        domain_operations.begin_rotation(op, name, made)
    return visit.go_to(path_of(name, "rotate"))


async def _look(visit: Visit) -> Response:
    """For the records of new keys, now."""
    domain = await visit.in_thread(_asked_about, visit)

    def settled(published: frozenset[KeyPlace], gone: frozenset[KeyPlace]) -> Awaitable[KeysSettled]:
        return visit.in_thread(_settled, visit, domain.name, published, gone)

    names = Names(visit.services.config.delivery.nameservers, PATIENCE)
    look = await look_for_keys(names, domain, visit.services.now(), settled)
    done = "begun" if look.done.begun else "waits"
    return visit.go_to(path_of(domain.name, done if look.is_answered else "unanswered"))


def _settled(visit: Visit, name: str, published: frozenset[KeyPlace], gone: frozenset[KeyPlace]) -> KeysSettled:
    with visit.writing() as op:
        return domain_operations.settle_keys(op, name, published=published, gone=gone)


def _asked_about(visit: Visit) -> Domain:
    with visit.reading() as op:
        name = visit.form.text("domain")
        domain_operations.settle_keys.require(op, name, published=(), gone=())
        return domain_operations.show(op, name)


def _cancel(visit: Visit) -> Response:
    name = visit.form.text("domain")
    with visit.writing() as op:
        domain_operations.cancel_rotation(op, name)
    return visit.go_to(path_of(name, "cancel"))


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
