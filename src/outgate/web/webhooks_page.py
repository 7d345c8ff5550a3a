"""Reporting > Webhooks: the endpoints that are told of events, what was sent to each, and a test of one."""

from typing import Final
from urllib.parse import urlencode

from starlette.responses import Response

from outgate.directory.errors import Invalid, NotFound
from outgate.directory.privileges import Privilege
from outgate.http.http_route import HttpRoute
from outgate.operations import webhook_operations
from outgate.web import safety_question
from outgate.web.form import Form
from outgate.web.safety_question import SafetyQuestion
from outgate.web.users_page import units_of
from outgate.web.visit import Visit
from outgate.web.visits import Visits, status_of
from outgate.web.words import N_
from outgate.webhooks.endpoints import Webhook, WebhookSecret, WebhookSettings
from outgate.webhooks.event_body import CHOICES, WebhookEventType
from outgate.webhooks.posting import TryOutcome
from outgate.webhooks.trial import WebhookTrial, trial

PATH: Final = "/admin/reporting/webhooks"
ONE: Final = PATH + "/{name}"
SHOWN: Final = 50  # tries

_TYPES: Final = {
    WebhookEventType.DELIVERED: N_("A message is delivered to a recipient"),
    WebhookEventType.DEFERRED: N_("A message waits for its next try"),
    WebhookEventType.BOUNCED: N_("A message can't be delivered to a recipient"),
    WebhookEventType.SUSPENDED: N_("A gateway is suspended"),
    WebhookEventType.RESUMED: N_("A gateway goes on"),
    WebhookEventType.TEST: N_("Test"),
}
_OUTCOMES: Final = {
    TryOutcome.DELIVERED: N_("taken"),
    TryOutcome.AGAIN: N_("tried again"),
    TryOutcome.GIVEN_UP: N_("given up"),
    TryOutcome.GONE: N_("webhook stopped"),
}
_DONE: Final = {
    "enable": N_("Events are sent again, also those since it was stopped."),
    "disable": N_("Nothing is sent to it any more. What happens meanwhile is sent once it is on again."),
    "remove": N_("The webhook is removed."),
    "taken": N_("The endpoint has taken the test."),
    "not-taken": N_("The endpoint has not taken the test; below it is said why."),
}


class WebhooksPage:
    """Shows webhooks, and changes them."""

    def routes(self, visits: Visits) -> list[HttpRoute]:
        """All there are."""
        return [
            visits.get(PATH, _show),
            visits.post(PATH, _add),
            visits.get(ONE, _show_one),
            visits.post(ONE, _act),
        ]


def _show(visit: Visit, status: int = 200, why: str = "") -> Response:
    with visit.reading() as op:
        found = webhook_operations.listed(op)
    return visit.page(
        "webhooks.html",
        status,
        path=PATH,
        why=why,
        done=_done(visit),
        webhooks=found,
        types=_TYPES,
        choices=CHOICES,
        entered=visit.form if why else Form(()),
        units=units_of(visit),
        may_manage=visit.may(Privilege.API_MANAGE),
    )


def _show_one(visit: Visit, status: int = 200, why: str = "") -> Response:
    name = _name(visit)
    with visit.reading() as op:
        webhook = webhook_operations.find(op, name)
        tries = webhook_operations.tries_of(op, name, SHOWN)
    return visit.page(
        "webhook.html",
        status,
        path=PATH,
        here=path_of(name),
        why=why,
        done=_done(visit),
        webhook=webhook,
        tries=tries,
        types=_TYPES,
        outcomes=_OUTCOMES,
        may_manage=visit.may(Privilege.API_MANAGE),
    )


def _name(visit: Visit) -> str:
    return str(visit.request.path_params["name"])


def path_of(name: str) -> str:
    """Of a webhook's own page; a name needs no quoting."""
    return f"{PATH}/{name}"


def _done(visit: Visit) -> str:
    done = _DONE.get(visit.form.text("done"))
    return visit.said(done) if done else ""


# --- changes ---------------------------------------------------------------------------------------------------------


def _add(visit: Visit) -> Response:
    try:
        wanted = _entered(visit)
        with visit.writing() as op:
            made, secret = webhook_operations.add(op, wanted)
    except Exception as error:
        return _show(visit, status_of(error), visit.said.error(error))
    return _show_secret(visit, made, secret)


def _entered(visit: Visit) -> WebhookSettings:
    form = visit.form
    unit = form.text("unit", "/")
    return WebhookSettings(
        form.text("name"),
        form.text("url"),
        tuple(one for one in CHOICES if form.ticked(one.value)),
        None if unit == "/" else unit,
        form.text("user") or None,
        visit.services.config.webhooks.allow_http,
    )


def _show_secret(visit: Visit, webhook: Webhook, secret: WebhookSecret) -> Response:
    return visit.page("webhook_secret.html", path=PATH, here=path_of(webhook.name), webhook=webhook, secret=secret.text)


async def _act(visit: Visit) -> Response:
    """Do it; what can't be done is said on the page."""
    if visit.form.text("do") == "test":
        return await _test(visit)
    return await visit.in_thread(_change, visit)


def _change(visit: Visit) -> Response:
    name, do = _name(visit), visit.form.text("do")
    if do not in ("rotate", "enable", "disable", "remove"):
        raise Invalid("“{text}” can't be done with a webhook; choose a button of the page", text=do)
    try:
        if do == "remove" and not safety_question.is_meant(visit):
            return _ask(visit, name)
        with visit.writing() as op:
            match do:
                case "rotate":
                    changed, secret = webhook_operations.rotate(op, name)
                case "enable":
                    webhook_operations.enable(op, name, from_now=False)
                case "disable":
                    webhook_operations.disable(op, name)
                case _:
                    webhook_operations.remove(op, name)
    except NotFound:
        raise
    except Exception as error:
        return _show_one(visit, status_of(error), visit.said.error(error))
    if do == "rotate":
        return _show_secret(visit, changed, secret)
    return visit.go_to(f"{PATH if do == 'remove' else path_of(name)}?{urlencode({'done': do})}")


def _ask(visit: Visit, name: str) -> Response:
    said = visit.said
    asked = SafetyQuestion(
        said("Remove this webhook?"),
        said("What waits to be sent to it is lost, and so is the log of its tries."),
        said("Remove webhook"),
        "remove",
        [name],
    )
    return safety_question.ask(visit, path_of(name), path_of(name), asked)


async def _test(visit: Visit) -> Response:
    """Send a test, and wait for what is answered."""
    name = _name(visit)
    webhook, keys = await visit.in_thread(_to_test, visit, name)
    made = await trial(visit.services.webhook_client, webhook, keys, visit.services.now)
    outcome = await visit.in_thread(_note_test, visit, name, made)
    done = "taken" if outcome is TryOutcome.DELIVERED else "not-taken"
    return visit.go_to(f"{path_of(name)}?{urlencode({'done': done})}")


def _to_test(visit: Visit, name: str) -> tuple[Webhook, list[bytes]]:
    with visit.reading() as op:
        return webhook_operations.to_test(op, name)


def _note_test(visit: Visit, name: str, made: WebhookTrial) -> TryOutcome:
    with visit.writing() as op:
        return webhook_operations.tested(op, name, made).outcome
