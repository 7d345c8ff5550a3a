"""Adding an address: who it is, its server, the code. Each step has an address, and works without scripts."""

from typing import Final
from urllib.parse import urlencode

from starlette.responses import HTMLResponse, Response

from outgate.advisor.ask import Names
from outgate.advisor.strict_policy import strict_policy
from outgate.directory.change import compared
from outgate.directory.errors import DirectoryError
from outgate.directory.gateway_settings import GatewaySettings
from outgate.discovery import presets
from outgate.http.http_route import HttpRoute
from outgate.model import SendAs
from outgate.operations import send_as_operations
from outgate.operations.context import OperationContext, rehearse
from outgate.operations.send_as_operations import AdviceBasis, NewAddress
from outgate.operations.send_as_overview import SendAsOverview, overview
from outgate.route import NOT_ENABLED
from outgate.web.accounts_page import PATH, path_of
from outgate.web.form import Form
from outgate.web.server_form import Found, ServerFields, asked_for, found_for
from outgate.web.server_trial import ServerTrial, TrialState
from outgate.web.visit import Visit
from outgate.web.visits import Visits, status_of

ADD: Final = f"{PATH}/add"
SERVER: Final = f"{ADD}/server"
FOUND: Final = f"{ADD}/found"
RATE: Final = "60/1minute"  # of questions to the DNS on behalf of somebody


class WizardPage:
    """The steps up to the code, which is accounts_page's."""

    def routes(self, visits: Visits) -> list[HttpRoute]:
        """All there are."""
        return [
            visits.get(ADD, ask_who),
            visits.post(ADD, add_without_server),
            visits.get(FOUND, look, rate=RATE),
            visits.get(SERVER, ask_server, rate=RATE, proven=True),
            visits.post(SERVER, add_with_server),
        ]


def _wanted(form: Form, gateway: GatewaySettings | None = None) -> NewAddress:
    return NewAddress(form.text("address"), form.text("name"), treat_as_alias=form.ticked("alias"), gateway=gateway)


def _query(wanted: NewAddress) -> str:
    alias = {"alias": "on"} if wanted.treat_as_alias else {}
    return urlencode({"address": wanted.address, "name": wanted.display_name, **alias})


# --- step 1: who -----------------------------------------------------------------------------------------------------


def ask_who(visit: Visit, status: int = 200, why: str = "", not_enabled: bool = False) -> Response:
    """Name, address, alias. What the query names is filled in: so each state can be sent to a colleague."""
    form = visit.form
    is_new = "address" not in form
    with visit.reading() as op:
        account = send_as_operations.account(op, visit.address)
    return visit.page(
        "address_add.html",
        status,
        why=why,
        name=account.name if is_new else form.text("name"),
        address=form.text("address"),
        alias=is_new or form.ticked("alias"),
        not_enabled=not_enabled,
        without_server=not_enabled and account.policy.external_from,
    )


async def add_without_server(visit: Visit) -> Response:
    """The organisation's servers deliver: in its own domains always, else where the user wants it so."""
    try:
        basis, entry = await visit.in_thread(_added, visit)
    except Exception as error:
        return await visit.in_thread(ask_who, visit, status_of(error), visit.said.error(error))
    names = Names(visit.services.config.delivery.nameservers)
    strict = await strict_policy(names, basis.organisation, basis.account, entry)
    told = f"&policy={strict.policy.value}" if strict else ""
    return visit.go_to(f"{path_of(entry.address, 'confirm')}?done=added{told}")


def _added(visit: Visit) -> tuple[AdviceBasis, SendAs]:
    wanted = _wanted(visit.form)
    entry = send_as_operations.save(visit, visit.address, wanted, visit.services.confirmation, None)
    with visit.reading() as op:
        return send_as_operations.advice_basis(op, visit.address), entry


# --- step 2: the server ----------------------------------------------------------------------------------------------


async def ask_server(visit: Visit) -> Response:
    """The form, at once; what is found of the server comes later, or with it if the query says `look`."""
    seen = await visit.in_thread(_seen, visit)
    wanted = _wanted(visit.form)
    if refusal := await visit.in_thread(_refusal, visit, seen, wanted):
        return refusal
    found = await asked_for(visit, wanted.address)
    fields = found.fields if found else ServerFields(username=compared(wanted.address))
    return _show_server(visit, seen, fields, found=found)


def _seen(visit: Visit) -> SendAsOverview:
    with visit.reading() as op:
        return overview(op, visit.address)


def _refusal(visit: Visit, seen: SendAsOverview, wanted: NewAddress) -> Response | None:
    """What is said in place of the second step, if anything speaks against the address."""
    try:
        rehearse(visit, lambda op: send_as_operations.create(op, visit.address, wanted, visit.services.confirmation))
        address = compared(wanted.address)
    except DirectoryError as error:
        return ask_who(visit, status_of(error), visit.said.error(error))
    domain = address.rpartition("@")[2]
    if domain in seen.organisation.domains:
        return visit.page("address_own.html", wanted=wanted, address=address, organisation=seen.organisation)
    if not seen.account.policy.allow_external_smtp:
        told = visit.said(NOT_ENABLED).format(address=address, domain=domain)
        return ask_who(visit, 403, told, not_enabled=True)
    return None


async def look(visit: Visit) -> Response:
    """What is found of the server, for the form that is shown already."""
    found = await found_for(visit, visit.form.text("address"))
    return HTMLResponse(visit.fragment("server_found.html", found=found))


async def add_with_server(visit: Visit) -> Response:
    """Try the server; if it works, add the address and mail the code."""
    form = visit.form
    seen = await visit.in_thread(_seen, visit)
    fields = ServerFields.entered(form)
    try:
        wanted = _wanted(form, fields.settings(form.secret("server_password")))
        address = compared(wanted.address)
    except DirectoryError as error:
        state = TrialState(fields.host, 0, why=visit.said.error(error), status=status_of(error))
        return said_at_once(visit, state) or _show_server(visit, seen, fields, state)

    def change(op: OperationContext) -> object:
        return send_as_operations.create(op, visit.address, wanted, visit.services.confirmation)

    assert wanted.gateway
    trial = ServerTrial(visit, wanted.gateway, change, f"{path_of(address, 'confirm')}?done=added", address)
    return await trial.answer(lambda _status, state: _show_server(visit, seen, fields, state))


def said_at_once(visit: Visit, state: TrialState) -> Response | None:
    """A refusal as the page's script shows it; None where there is none."""
    if visit.request.headers.get("hx-request") != "true":
        return None
    return HTMLResponse(visit.fragment("server_trial.html", trial=state))


def _show_server(
    visit: Visit,
    seen: SendAsOverview,
    fields: ServerFields,
    trial: TrialState | None = None,
    found: Found | None = None,
) -> Response:
    wanted = _wanted(visit.form)
    return visit.page(
        "address_server.html",
        trial.status if trial else 200,
        wanted=wanted,
        query=_query(wanted),
        domain=wanted.address.rpartition("@")[2],
        organisation=seen.organisation,
        without_server=seen.account.policy.external_from,
        fields=fields,
        trial=trial,
        found=found,
        looks="look" not in visit.form and found is None and trial is None,
        presets=presets.shipped().names,
        providers=visit.services.providers_for(None),
    )
