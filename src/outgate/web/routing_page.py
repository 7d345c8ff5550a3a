"""Apps > Workspace > Mail > Routing: the outbound gateways of the organisation and of its domains, each tried before it
is saved.
"""

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlencode

from starlette.responses import Response

from outgate.directory.errors import DirectoryError, Invalid
from outgate.directory.gateway_settings import GatewaySettings
from outgate.directory.privileges import Privilege
from outgate.frozen import frozen
from outgate.http.http_route import HttpRoute
from outgate.model import Gateway, QueueKey, QueueKind
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
    "saved-domain": N_("What is sent from this domain leaves by this gateway from now on, what waits as well."),
    "removed-domain": N_("What is sent from this domain leaves as the organisation's other mail from now on."),
}


@frozen
class AskedGateway:
    """Whose gateway the page is about: of what is sent from one of the organisation's domains; by an empty name, of all
    that has none of its own.
    """

    domain: str
    setup: Setup
    gateways: Mapping[str, Gateway]

    @property
    def gateway(self) -> Gateway | None:
        """The one that there is."""
        return self.gateways.get(self.domain)

    @property
    def path(self) -> str:
        """Where it is shown."""
        return f"{PATH}?{urlencode({'domain': self.domain})}" if self.domain else PATH

    def path_done(self, done: str) -> str:
        """The same once something was done."""
        asked = {"domain": self.domain, "done": f"{done}-domain"} if self.domain else {"done": done}
        return f"{PATH}?{urlencode(asked)}"


class RoutingPage:
    """Shows the gateways, and changes them."""

    def routes(self, visits: Visits) -> list[HttpRoute]:
        """All there are."""
        return [visits.get(PATH, _show), visits.post(PATH, _act)]


def _show(visit: Visit) -> Response:
    asked = _asked(visit)
    fields = ServerFields.of(asked.gateway) if asked.gateway else ServerFields(port="25")
    return _page(visit, asked, fields)


def _asked(visit: Visit) -> AskedGateway:
    with visit.reading() as op:
        setup, gateways = setup_operations.setup(op), domain_gateway_operations.listed(op)
    domain = visit.form.text("domain")
    return AskedGateway(domain if domain in [one.name for one in setup.domains] else "", setup, gateways)


def _page(visit: Visit, asked: AskedGateway, fields: ServerFields, trial: TrialState | None = None) -> Response:
    done = _DONE.get(visit.form.text("done"))
    queue = QueueKey(QueueKind.DOMAIN_GATEWAY, asked.domain)
    return visit.page(
        "routing.html",
        trial.status if trial else 200,
        path=PATH,
        done=visit.said(done) if done else "",
        gateway=asked.gateway,
        gateways=asked.gateways,
        of_domain=asked.domain,
        domains=[one.name for one in asked.setup.domains],
        domain=asked.domain or asked.setup.domains[0].name,
        is_on=asked.setup.is_on,
        fields=fields,
        trial=trial,
        queue=f"{queue_page.PATH}?{urlencode({'queue': str(queue)})}" if visit.may(Privilege.QUEUE_READ) else "",
        may_save=visit.may(Privilege.GMAIL_SETTINGS),
    )


async def _act(visit: Visit) -> Response:
    """Save or remove."""
    if visit.form.text("do") == "remove":
        return await visit.in_thread(_remove, visit)
    return await _save(visit)


async def _save(visit: Visit) -> Response:
    """Try what was entered; if it works, it is the gateway from now on."""
    asked = await visit.in_thread(_asked, visit)
    fields = ServerFields.entered(visit.form)
    try:
        settings = await visit.in_thread(_settings, visit, asked, fields)
    except DirectoryError as error:
        state = TrialState(fields.host, 0, why=visit.said.error(error), status=status_of(error))
        return said_at_once(visit, state) or _page(visit, asked, fields, state)

    def change(op: OperationContext) -> object:
        return domain_gateway_operations.set_gateway(op, settings, asked.domain)

    trial = ServerTrial(visit, settings, change, asked.path_done("saved"), is_organisations=True)
    return await trial.answer(lambda _status, state: _page(visit, asked, fields, state))


def _settings(visit: Visit, asked: AskedGateway, fields: ServerFields) -> GatewaySettings:
    """With the password that is kept, if none was entered: for the same servers and user name only."""
    password, before = visit.form.secret("server_password"), asked.gateway
    if password or not fields.username or before is None:
        return fields.settings(password, several=True)
    wanted = fields.settings("x", several=True)
    if (*before.hosts, before.username) != (wanted.host, *wanted.fallbacks, wanted.username):
        raise Invalid("enter the password again: it goes to another server or user name")
    return fields.settings(domain_gateway_operations.kept_password(visit, wanted, asked.domain), several=True)


def _remove(visit: Visit) -> Response:
    """The organisation's servers deliver by themselves from now on; a domain's mail goes as the organisation's."""
    asked = _asked(visit)
    if not safety_question.is_meant(visit):
        said = visit.said
        whole = said("Mail goes to its recipients' exchangers then, what waits as well. Its password is forgotten.")
        own = said(
            "Its mail goes as the organisation's other mail then, what waits as well. The password is forgotten."
        )
        question = SafetyQuestion(
            said("Remove the outbound gateway?"),
            own if asked.domain else whole,
            said("Remove gateway"),
            "remove",
            [asked.gateway.in_short] if asked.gateway else [],
            fields={"domain": asked.domain},
        )
        return safety_question.ask(visit, PATH, asked.path, question)
    with visit.writing() as op:
        domain_gateway_operations.clear_gateway(op, asked.domain)
    return visit.go_to(asked.path_done("removed"))
