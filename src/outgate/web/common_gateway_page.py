"""The server that all to whom an address was granted have in common: set, repaired and taken away by administrators."""

from starlette.responses import Response

from outgate.directory.errors import DirectoryError, Invalid
from outgate.directory.gateway_settings import GatewaySettings
from outgate.http.http_route import HttpRoute
from outgate.operations import common_gateway_operations, domain_proof_operations
from outgate.operations.context import OperationContext
from outgate.sendas.proven_domains import AddressGrant
from outgate.web import safety_question
from outgate.web.granted_addresses_page import GATEWAY, PATH, fields_of, gateway_path, grant_of
from outgate.web.safety_question import SafetyQuestion
from outgate.web.server_form import ServerFields
from outgate.web.server_trial import ServerTrial, TrialState
from outgate.web.visit import Visit
from outgate.web.visits import Visits, status_of
from outgate.web.wizard_page import RATE, said_at_once


class CommonGatewayPage:
    """The server of one grant."""

    def routes(self, visits: Visits) -> list[HttpRoute]:
        """All there are."""
        return [visits.get(GATEWAY, _show, proven=True), visits.post(GATEWAY, _act, rate=RATE)]


def _show(visit: Visit) -> Response:
    grant = grant_to_set(visit)
    fields = ServerFields.of(grant.gateway) if grant.gateway else ServerFields()
    return _page(visit, grant, fields)


def grant_to_set(visit: Visit) -> AddressGrant:
    """The one that the form names, for who may set its server."""
    named = grant_of(visit.form)
    with visit.reading() as op:
        common_gateway_operations.clear_gateway.require(
            op, named.address, user=named.user, unit=named.unit, group=named.group
        )
        return domain_proof_operations.find_grant(
            op, named.address, user=named.user, unit=named.unit, group=named.group
        )


def _page(visit: Visit, grant: AddressGrant, fields: ServerFields, trial: TrialState | None = None) -> Response:
    return visit.page(
        "common_gateway.html",
        trial.status if trial else 200,
        grant=grant,
        action=gateway_path(grant),
        sent=fields_of(grant),
        back=PATH,
        fields=fields,
        providers=visit.services.providers_for(grant.gateway),
        trial=trial,
    )


async def _act(visit: Visit) -> Response:
    """Save or remove."""
    if visit.form.text("do") == "remove":
        return await visit.in_thread(_remove, visit)
    return await _save(visit)


async def _save(visit: Visit) -> Response:
    """Try what was entered; if it works, it delivers from now on, what waits as well."""
    grant = await visit.in_thread(grant_to_set, visit)
    fields = ServerFields.entered(visit.form)
    try:
        settings = await visit.in_thread(_settings, visit, grant, fields)
    except DirectoryError as error:
        state = TrialState(fields.host, 0, why=visit.said.error(error), status=status_of(error))
        return said_at_once(visit, state) or _page(visit, grant, fields, state)

    def change(op: OperationContext) -> object:
        return common_gateway_operations.set_gateway(
            op, grant.address, settings, user=grant.user, unit=grant.unit, group=grant.group
        )

    trial = ServerTrial(visit, settings, change, f"{PATH}?done=gateway", grant.address)
    return await trial.answer(lambda _status, state: _page(visit, grant, fields, state))


def _settings(visit: Visit, grant: AddressGrant, fields: ServerFields) -> GatewaySettings:
    """With the password that is kept, if none was entered: for the same server and user name only."""
    password, before = visit.form.secret("server_password"), grant.gateway
    if password or not fields.username or before is None:
        return fields.settings(password)
    if (before.host, before.username) != (fields.settings("x").host, fields.username):
        raise Invalid("enter the password again: it goes to another server or user name")
    return fields.settings(common_gateway_operations.kept_password(visit, grant))


def _remove(visit: Visit) -> Response:
    grant = grant_to_set(visit)
    if not safety_question.is_meant(visit):
        said = visit.said
        asked = SafetyQuestion(
            said("Take the common server away?"),
            said(
                "The grant stays. What is sent as the address leaves by its users' own servers then, or by your"
                " organisation's where the policy allows that. The log-in is forgotten."
            ),
            said("Take away"),
            "remove",
            [grant.address, grant.to, *([grant.gateway.host] if grant.gateway else [])],
            fields_of(grant),
        )
        return safety_question.ask(visit, GATEWAY, gateway_path(grant), asked)
    with visit.writing() as op:
        common_gateway_operations.clear_gateway(op, grant.address, user=grant.user, unit=grant.unit, group=grant.group)
    return visit.go_to(f"{PATH}?done=no-gateway")
