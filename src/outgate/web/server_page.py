"""The server of an address that is there already: set, change, repair, take away; and what recipients see with it."""

from typing import Final

from starlette.responses import HTMLResponse, Response

from outgate.advisor.advice import Advice, advise
from outgate.advisor.advisor import Advisor, Question
from outgate.advisor.dkim_check import Signing
from outgate.directory.change import compared
from outgate.directory.errors import DirectoryError, Invalid, NotAllowed
from outgate.directory.gateway_settings import GatewaySettings
from outgate.discovery import presets
from outgate.extras import MissingExtra
from outgate.http.http_route import HttpRoute
from outgate.model import SendAs
from outgate.operations import gateway_operations, send_as_operations
from outgate.operations.account_lookup import entry_of
from outgate.operations.context import OperationContext
from outgate.operations.send_as_operations import AdviceBasis
from outgate.operations.send_as_overview import SendAsOverview, overview
from outgate.route import NOT_ENABLED
from outgate.web.accounts_page import PATH, address_of, path_of
from outgate.web.server_form import Found, ServerFields, asked_for, found_for
from outgate.web.server_trial import ServerTrial, TrialState
from outgate.web.visit import Visit
from outgate.web.visits import Visits, status_of
from outgate.web.wizard_page import RATE, said_at_once
from outgate.web.words import N_

# Results of SPF, DKIM and DMARC, as people read them.
RESULTS: Final = {
    "pass": N_("passes"),
    "fail": N_("fails"),
    "softfail": N_("fails softly"),
    "neutral": N_("says nothing"),
    "none": N_("no policy"),
    "permerror": N_("a record with errors"),
    "temperror": N_("no answer now"),
    "unknown": N_("not known"),
    "not-signed": N_("not signed"),
    "key-missing": N_("no key published"),
    "key-differs": N_("another key published"),
    "expected-if-it-signs": N_("passes if it signs"),
}


class ServerPage:
    """All about the server of one address."""

    def routes(self, visits: Visits) -> list[HttpRoute]:
        """All there are."""
        one = PATH + "/{address:path}"
        return [
            visits.get(f"{one}/server", ask_server, rate=RATE, proven=True),
            visits.post(f"{one}/server", set_server),
            visits.post(f"{one}/server/remove", remove_server),
            visits.get(f"{one}/advice", show_advice, rate=RATE),
        ]


async def ask_server(visit: Visit) -> Response:
    """The form, with what there is or what is found."""
    seen, entry = await visit.in_thread(_seen, visit)
    if not entry.gateway and not seen.account.policy.allow_external_smtp:
        raise NotAllowed(NOT_ENABLED, address=entry.address, domain=entry.address.rpartition("@")[2])
    found = await asked_for(visit, entry.address)
    if found is None and entry.gateway:
        return _show(visit, seen, entry, ServerFields.of(entry.gateway))
    fields = found.fields if found else ServerFields(username=entry.address)
    return _show(visit, seen, entry, fields, found=found, looks=found is None and "look" not in visit.form)


async def set_server(visit: Visit) -> Response:
    """Try what was entered; if it works, it delivers from now on, what waits as well."""
    seen, entry = await visit.in_thread(_seen, visit)
    fields = ServerFields.entered(visit.form)
    try:
        settings = await visit.in_thread(_settings, visit, entry, fields)
    except DirectoryError as error:
        state = TrialState(fields.host, 0, why=visit.said.error(error), status=status_of(error))
        return said_at_once(visit, state) or _show(visit, seen, entry, fields, trial=state)

    def change(op: OperationContext) -> object:
        return gateway_operations.set_gateway(op, visit.address, entry.address, settings)

    trial = ServerTrial(visit, settings, change, f"{PATH}?done=server", entry.address)
    return await trial.answer(lambda _status, state: _show(visit, seen, entry, fields, trial=state))


def remove_server(visit: Visit) -> Response:
    """The organisation's servers deliver from now on."""
    with visit.writing() as op:
        gateway_operations.clear_gateway(op, visit.address, address_of(visit))
    return visit.go_to(f"{PATH}?done=no-server")


def _settings(visit: Visit, entry: SendAs, fields: ServerFields) -> GatewaySettings:
    """With the password that is kept, if none was entered: for the same server and user name only, so that nobody who
    has found an open browser can have it sent elsewhere.
    """
    password = visit.form.secret("server_password")
    before = entry.gateway
    if password or not fields.username or before is None:
        return fields.settings(password)
    if (before.host, before.username) != (fields.settings("x").host, fields.username):
        raise Invalid("enter the password again: it goes to another server or user name")
    return fields.settings(gateway_operations.kept_password(visit, visit.address, entry.address))


def _seen(visit: Visit) -> tuple[SendAsOverview, SendAs]:
    with visit.reading() as op:
        seen = overview(op, visit.address)
    return seen, entry_of(seen.account, address_of(visit))


def _show(
    visit: Visit,
    seen: SendAsOverview,
    entry: SendAs,
    fields: ServerFields,
    *,
    trial: TrialState | None = None,
    found: Found | None = None,
    looks: bool = False,
) -> Response:
    return visit.page(
        "server.html",
        trial.status if trial else 200,
        entry=entry,
        path=path_of(entry.address),
        domain=entry.address.rpartition("@")[2],
        health=seen.health.get(entry.address),
        fields=fields,
        trial=trial,
        found=found,
        looks=looks,
        presets=presets.shipped().names,
        providers=visit.services.providers_for(entry.gateway),
    )


# --- what recipients see ---------------------------------------------------------------------------------------------


async def show_advice(visit: Visit) -> Response:
    """Before and after: by the organisation's servers, and by the address's own. A part of other pages."""
    address = compared(address_of(visit))
    try:
        advice = await _advice(visit, address)
    except MissingExtra as error:
        return HTMLResponse(visit.fragment("advice.html", advice=None, why=str(error), said_of=RESULTS))
    return HTMLResponse(visit.fragment("advice.html", advice=advice, why="", said_of=RESULTS))


async def _advice(visit: Visit, address: str) -> Advice:
    def asked() -> AdviceBasis:
        with visit.reading() as op:
            return send_as_operations.advice_basis(op, visit.address)

    basis = await visit.in_thread(asked)
    entry = entry_of(basis.account, address)
    found = None if entry.gateway or entry.own_domain else await found_for(visit, address)
    signing = {domain: Signing(selector, record) for domain, (selector, record) in basis.dkim.items()}
    host = found.fields.host if found else ""
    question = Question(basis.organisation, basis.account, address, signing, gateway_host=host)
    findings = await Advisor(visit.services.config).findings(question)
    return advise(findings, visit.said.language)
