"""Apps > Workspace > Mail > Granted addresses: who may send as which address without a proof of their own; granting and
revoking. The server that they have in common is on common_gateway_page.py.
"""

from collections.abc import Sequence
from typing import Final
from urllib.parse import urlencode

from starlette.responses import Response

from outgate.directory.errors import Invalid
from outgate.directory.privileges import Privilege
from outgate.http.http_route import HttpRoute
from outgate.model import Gateway
from outgate.operations import domain_proof_operations
from outgate.operations.domain_proof_operations import GrantStanding
from outgate.route import gateway_queue
from outgate.sendas.proven_domains import AddressGrant, GrantFilter
from outgate.web import queue_page, safety_question
from outgate.web.form import Form
from outgate.web.safety_question import SafetyQuestion
from outgate.web.users_page import units_of
from outgate.web.visit import Visit
from outgate.web.visits import Visits, status_of
from outgate.web.words import N_

PATH: Final = "/admin/apps/mail/granted-addresses"
GATEWAY: Final = f"{PATH}/gateway"
ON_A_PAGE: Final = 50
_FIELDS: Final = ("find", "domain")
_DONE: Final = {
    "add": N_("Granted: they can send as it from now on."),
    "remove": N_("The grant is taken back."),
    "gateway": N_("What is sent as this address by them leaves by this server from now on, what waits as well."),
    "no-gateway": N_("They have no server in common any more. Their own ones deliver, or your organisation's."),
}


class GrantedAddressesPage:
    """Shows grants, and changes them."""

    def routes(self, visits: Visits) -> list[HttpRoute]:
        """All there are."""
        return [visits.get(PATH, _show), visits.post(PATH, _act)]


def path_of(domain: str) -> str:
    """Where the grants in a domain are."""
    return f"{PATH}?{urlencode({'domain': domain})}"


def gateway_path(grant: AddressGrant) -> str:
    """Where the common server of a grant is set."""
    return f"{GATEWAY}?{urlencode(fields_of(grant))}"


def fields_of(grant: AddressGrant) -> dict[str, str]:
    """A grant as fields of a form."""
    named = {"unit": grant.unit, "group": grant.group, "user": grant.user}
    return {"address": grant.address, **{name: text for name, text in named.items() if text is not None}}


def grant_of(form: Form) -> AddressGrant:
    """The grant that a form names."""
    user, unit, group = (form.text(name) or None for name in ("user", "unit", "group"))
    return AddressGrant(form.text("address"), user, unit, group)


def _show(visit: Visit, status: int = 200, why: str = "") -> Response:
    form = visit.form
    wanted = GrantFilter(form.text("find"), form.text("domain"), _after(form), ON_A_PAGE + 1)
    with visit.reading() as op:
        found = domain_proof_operations.search_grants(op, wanted)
    done, may_manage = _DONE.get(form.text("done")), visit.may(Privilege.SEND_AS_MANAGE)
    return visit.page(
        "granted_addresses.html",
        status,
        path=PATH,
        why=why,
        done=visit.said(done) if done else "",
        found=found[:ON_A_PAGE],
        more=_behind(form, found),
        find=wanted.text,
        domain=wanted.domain,
        is_asked=any(form.text(name) for name in _FIELDS),
        entered=form if why else Form(()),
        units=units_of(visit) if may_manage else (),
        fields_of=fields_of,
        gateway_path=gateway_path,
        queue_path=_queue_path if visit.may(Privilege.QUEUE_READ) else None,
        may_manage=may_manage,
    )


def _queue_path(gateway: Gateway) -> str:
    """Where it is shown what waits for a common server."""
    return f"{queue_page.PATH}?{urlencode({'queue': gateway_queue(gateway)})}"


def _after(form: Form) -> tuple[str, int] | None:
    """Address and number behind which the page begins."""
    number = form.number("of")
    return (form.text("after"), number) if number is not None else None


def _behind(form: Form, found: Sequence[GrantStanding]) -> str:
    """The address of the page behind this one; empty if this is the last."""
    if len(found) <= ON_A_PAGE:
        return ""
    last = found[ON_A_PAGE - 1]
    query = {name: text for name in _FIELDS if (text := form.text(name))}
    return f"{PATH}?{urlencode({**query, 'after': last.grant.address, 'of': last.number})}"


# --- changes ---------------------------------------------------------------------------------------------------------


def _act(visit: Visit) -> Response:
    """Do it; what can't be done is said on the page."""
    acts = {"add": _add, "remove": _remove}
    do = visit.form.text("do")
    if do not in acts:
        raise Invalid("“{text}” can't be done with a grant; choose a button of the page", text=do)
    try:
        return acts[do](visit)
    except Exception as error:
        return _show(visit, status_of(error), visit.said.error(error))


def _add(visit: Visit) -> Response:
    """To the user or group that was entered, else to the chosen unit; then to its server, if that is wanted."""
    form = visit.form
    user, group = form.text("user") or None, form.text("group") or None
    unit = None if user or group else form.text("unit")
    with visit.writing() as op:
        granted = domain_proof_operations.grant(op, form.text("address"), user=user, unit=unit, group=group)
    return visit.go_to(gateway_path(granted) if form.ticked("common") else f"{PATH}?done=add")


def _remove(visit: Visit) -> Response:
    grant = grant_of(visit.form)
    if not safety_question.is_meant(visit):
        said = visit.said
        asked = SafetyQuestion(
            said("Take this grant back?"),
            said(
                "They can't send as it any more, unless they have confirmed it by themselves. The servers that were set"
                " for it are forgotten, with their passwords."
            ),
            said("Take back"),
            "remove",
            [grant.address, grant.to],
            fields_of(grant),
        )
        return safety_question.ask(visit, PATH, PATH, asked)
    with visit.writing() as op:
        domain_proof_operations.revoke(op, grant.address, user=grant.user, unit=grant.unit, group=grant.group)
    return visit.go_to(f"{PATH}?done=remove")
