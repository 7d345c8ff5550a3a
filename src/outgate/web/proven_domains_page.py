"""Account > Proven domains: domains outside that a DNS record proves whole; how it stands with each; asking the DNS."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final
from urllib.parse import urlencode

from starlette.responses import Response

from outgate.advisor.ask import Names, NoAnswerNow
from outgate.directory.errors import Invalid, NotFound
from outgate.directory.privileges import Privilege
from outgate.http.http_route import HttpRoute
from outgate.operations import domain_proof_operations
from outgate.sendas.proven_domains import ProvenDomain
from outgate.web import granted_addresses_page, safety_question
from outgate.web.safety_question import SafetyQuestion
from outgate.web.visit import Visit
from outgate.web.visits import Visits, status_of
from outgate.web.words import N_

PATH: Final = "/admin/account/proven-domains"
RATE: Final = "30/minute"  # questions to the DNS
PATIENCE: Final = 5.0  # seconds that a DNS question takes at most


class DomainState(StrEnum):
    """How it stands with a domain's proof."""

    BEGUN = "begun"
    PROVEN = "proven"
    MISSING = "missing"
    SUSPENDED = "suspended"


STATES: Final[Mapping[DomainState, tuple[str, str]]] = {  # the look, the words
    DomainState.BEGUN: ("", N_("not proven yet")),
    DomainState.PROVEN: ("good", N_("proven")),
    DomainState.MISSING: ("behalf", N_("record missing")),
    DomainState.SUSPENDED: ("bad", N_("not in use: record missing")),
}
_DONE: Final = {
    "begin": N_("Publish the record below in the domain's DNS, then check it."),
    "found": N_("The record is there: the domain is proven. Grant addresses in it now."),
    "absent": N_("The DNS answers that the record is not there. It may take some time until a new one is seen."),
    "remove": N_("The domain is no longer proven, and what was granted in it is taken away."),
}


class ProvenDomainsPage:
    """Shows the domains, and changes them."""

    def routes(self, visits: Visits) -> list[HttpRoute]:
        """All there are."""
        return [visits.get(PATH, _show), visits.post(PATH, _act, rate=RATE)]


def path_of(domain: str, done: str = "") -> str:
    """Where a domain is shown."""
    return f"{PATH}?{urlencode({'domain': domain, **({'done': done} if done else {})})}"


def state_of(domain: ProvenDomain, now: float) -> DomainState:
    """As its page shows it."""
    if domain.proven_at is None:
        return DomainState.BEGUN
    if domain.missing_since is None:
        return DomainState.PROVEN
    return DomainState.MISSING if domain.is_usable(now) else DomainState.SUSPENDED


def _show(visit: Visit, status: int = 200, why: str = "") -> Response:
    name = visit.form.text("domain")
    with visit.reading() as op:
        domains = domain_proof_operations.list_proofs(op)
    domain = _shown(domains, name)
    if name and domain is None and not why:
        raise NotFound("{domain} is not being proven", domain=name[:80])
    done = _DONE.get(visit.form.text("done"))
    return visit.page(
        "proven_domains.html",
        status,
        path=PATH,
        path_of=path_of,
        why=why,
        done=visit.said(done) if done else "",
        domains=domains,
        domain=domain,
        state_of=lambda one: state_of(one, visit.services.now()),
        states=STATES,
        line=_zone_line(domain) if domain else "",
        entered=visit.form.text("new") if why else "",
        grants=granted_addresses_page.path_of(domain.name) if domain and visit.may(Privilege.SEND_AS_READ) else "",
        may_manage=visit.may(Privilege.DOMAINS_MANAGE),
    )


def _shown(domains: Sequence[ProvenDomain], name: str) -> ProvenDomain | None:
    """The one that is named, else the first."""
    return next((one for one in domains if not name or one.name == name), None)


def _zone_line(domain: ProvenDomain) -> str:
    return f'{domain.record_name}. IN TXT "{domain.record_value}"'


# --- changes ---------------------------------------------------------------------------------------------------------


async def _act(visit: Visit) -> Response:
    """Do it; what can't be done is said on the page."""
    do = visit.form.text("do")
    try:
        if do == "check":
            return await _check(visit)
        return await visit.in_thread(_changed, visit, do)
    except Exception as error:
        return await visit.in_thread(_show, visit, status_of(error), visit.said.error(error))


def _changed(visit: Visit, do: str) -> Response:
    if do == "begin":
        with visit.writing() as op:
            begun = domain_proof_operations.begin(op, visit.form.text("new"))
        return visit.go_to(path_of(begun.name, "begin"))
    if do == "remove":
        return _remove(visit, visit.form.text("domain"))
    raise Invalid("“{text}” can't be done with a domain; choose a button of the page", text=do)


async def _check(visit: Visit) -> Response:
    """Ask the DNS now. Without an answer nothing changes."""
    asked = await visit.in_thread(_asked, visit)
    try:
        texts = await Names(visit.services.config.delivery.nameservers, PATIENCE).texts(asked.record_name)
    except NoAnswerNow as error:
        why = visit.said("The DNS gives no answer now, so nothing has changed. Check again later. (%(why)s)", why=error)
        return await visit.in_thread(_show, visit, 503, why)
    found = await visit.in_thread(_settled, visit, asked, asked.record_value in texts)
    return visit.go_to(path_of(found.name, "found" if asked.record_value in texts else "absent"))


def _asked(visit: Visit) -> ProvenDomain:
    name = visit.form.text("domain")
    with visit.reading() as op:
        domain_proof_operations.checked.require(op, name, is_published=False)
        return domain_proof_operations.find(op, name)


def _settled(visit: Visit, asked: ProvenDomain, is_published: bool) -> ProvenDomain:
    with visit.writing() as op:
        return domain_proof_operations.checked(op, asked.name, is_published=is_published)


def _remove(visit: Visit, name: str) -> Response:
    if not safety_question.is_meant(visit):
        said = visit.said
        asked = SafetyQuestion(
            said("Remove the proof of this domain?"),
            said(
                "All that was granted in it is taken away, with the servers that were set for it. Addresses that users"
                " have confirmed by themselves stay."
            ),
            said("Remove proof"),
            "remove",
            [name],
            {"domain": name},
        )
        return safety_question.ask(visit, PATH, path_of(name), asked)
    with visit.writing() as op:
        domain_proof_operations.remove(op, name)
    return visit.go_to(f"{PATH}?done=remove")
