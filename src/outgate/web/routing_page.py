"""Apps > Workspace > Mail > Routing: the organisation's outbound gateway, tried before it is saved."""

from typing import Final

from starlette.responses import Response

from outgate.directory.errors import DirectoryError, Invalid
from outgate.directory.gateway_settings import GatewaySettings
from outgate.directory.privileges import Privilege
from outgate.http.http_route import HttpRoute
from outgate.model import Gateway, QueueKind
from outgate.operations import domain_gateway_operations, setup_operations
from outgate.operations.context import OperationContext
from outgate.operations.setup_operations import Setup
from outgate.web import queue_page, safety_question
from outgate.web.safety_question import SafetyQuestion
from outgate.web.server_form import ServerFields
from outgate.web.server_trial import ServerTrial, TrialState
from outgate.web.visit import Visit
from outgate.web.visits import Visits, status_of
from outgate.web.wizard_page import said_at_once
from outgate.web.words import N_

PATH: Final = "/admin/apps/mail/routing"

_DONE: Final = {
    "saved": N_("All mail but that of users' own servers leaves by this gateway from now on, what waits as well."),
    "removed": N_("Mail goes to its recipients' exchangers from now on."),
}


class RoutingPage:
    """Shows the gateway, and changes it."""

    def routes(self, visits: Visits) -> list[HttpRoute]:
        """All there are."""
        return [visits.get(PATH, _show), visits.post(PATH, _act)]


def _show(visit: Visit) -> Response:
    with visit.reading() as op:
        setup = setup_operations.setup(op)
    fields = ServerFields.of(setup.gateway) if setup.gateway else ServerFields(port="25")
    return _page(visit, setup, fields)


def _page(visit: Visit, setup: Setup, fields: ServerFields, trial: TrialState | None = None) -> Response:
    done = _DONE.get(visit.form.text("done"))
    return visit.page(
        "routing.html",
        trial.status if trial else 200,
        path=PATH,
        done=visit.said(done) if done else "",
        gateway=setup.gateway,
        domain=setup.domains[0].name,
        is_on=setup.is_on,
        fields=fields,
        trial=trial,
        queue=f"{queue_page.PATH}?queue={QueueKind.DOMAIN_GATEWAY}" if visit.may(Privilege.QUEUE_READ) else "",
        may_save=visit.may(Privilege.GMAIL_SETTINGS),
    )


async def _act(visit: Visit) -> Response:
    """Save or remove."""
    if visit.form.text("do") == "remove":
        return await visit.in_thread(_remove, visit)
    return await _save(visit)


async def _save(visit: Visit) -> Response:
    """Try what was entered; if it works, it is the gateway from now on."""
    setup = await visit.in_thread(_setup, visit)
    fields = ServerFields.entered(visit.form)
    try:
        settings = await visit.in_thread(_settings, visit, setup.gateway, fields)
    except DirectoryError as error:
        state = TrialState(fields.host, 0, why=visit.said.error(error), status=status_of(error))
        return said_at_once(visit, state) or _page(visit, setup, fields, state)

    def change(op: OperationContext) -> object:
        return domain_gateway_operations.set_gateway(op, settings)

    trial = ServerTrial(visit, settings, change, f"{PATH}?done=saved", is_organisations=True)
    return await trial.answer(lambda _status, state: _page(visit, setup, fields, state))


def _setup(visit: Visit) -> Setup:
    with visit.reading() as op:
        return setup_operations.setup(op)


def _settings(visit: Visit, before: Gateway | None, fields: ServerFields) -> GatewaySettings:
    """With the password that is kept, if none was entered: for the same server and user name only."""
    password = visit.form.secret("server_password")
    if password or not fields.username or before is None:
        return fields.settings(password)
    wanted = fields.settings("x")
    if (before.host, before.username) != (wanted.host, wanted.username):
        raise Invalid("enter the password again: it goes to another server or user name")
    return fields.settings(domain_gateway_operations.kept_password(visit, wanted))


def _remove(visit: Visit) -> Response:
    """The organisation's servers deliver by themselves from now on."""
    if not safety_question.is_meant(visit):
        said, setup = visit.said, _setup(visit)
        asked = SafetyQuestion(
            said("Remove the outbound gateway?"),
            said("Mail goes to its recipients' exchangers then, what waits as well. Its password is forgotten."),
            said("Remove gateway"),
            "remove",
            [setup.gateway.in_short] if setup.gateway else [],
        )
        return safety_question.ask(visit, PATH, PATH, asked)
    with visit.writing() as op:
        domain_gateway_operations.clear_gateway(op)
    return visit.go_to(f"{PATH}?done=removed")
