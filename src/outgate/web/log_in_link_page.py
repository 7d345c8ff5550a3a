"""The page that a log-in link leads to: it asks, and a press of its button logs in, in place of the password.

Looking changes nothing: programs that look for harm in mail open every link. A second factor is asked for as after a
password. Knows no page behind it.
"""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from outgate.accept.authenticator import LoggedIn
from outgate.directory.web_sessions import OpenedBy
from outgate.http.body_limit import read_body
from outgate.http.http_route import HttpRoute
from outgate.operations import log_in_link_operations
from outgate.web.form import MAX_FORM, Form
from outgate.web.log_in_page import RATE, LogInPage, known_peer, said_to
from outgate.web.notice import Notice, show_notice
from outgate.web.page import page
from outgate.web.services import PageServices
from outgate.web.words import N_, words

PATH: Final = f"{log_in_link_operations.PATH}/{{token}}"

SPENT: Final = Notice(
    N_("This link logs nobody in"),
    (
        N_(
            "A log-in link is good once, for a day, until a newer one is made or the password is changed. Check that"
            " you have opened it whole."
        ),
        N_(
            "If you have not used it yourself, tell your administrator: somebody else may have. The administrator can"
            " make a new one."
        ),
    ),
)


class LogInLinkPage:
    """Answers for /log-in/link/{token}."""

    def __init__(self, services: PageServices, log_in: LogInPage) -> None:
        self._services, self._log_in = services, log_in

    def routes(self) -> list[HttpRoute]:
        """All there are."""
        return [
            HttpRoute(
                path=PATH,
                methods=frozenset({"GET", "POST"}),
                handler=self.answer,
                kind="page",
                max_body=MAX_FORM,
                rate=RATE,
            )
        ]

    async def answer(self, request: Request) -> Response:
        """GET and HEAD show the page, POST logs in. Raises StoreUnavailable."""
        await read_body(request)
        return await (self._follow if request.method == "POST" else self._ask)(request)

    async def _ask(self, request: Request) -> Response:
        services, token = self._services, request.path_params["token"]
        user = await services.threads.run(log_in_link_operations.look_at_link, services.engine, token, services.now())
        if user is None:
            return show_notice(said_to(request), SPENT, 410)
        return page(words(user.language), "log_in_link.html", {"address": user.address})

    async def _follow(self, request: Request) -> Response:
        services, token, peer = self._services, request.path_params["token"], known_peer(request)
        holder = await services.threads.run(
            log_in_link_operations.follow_link, services.engine, services.vault, token, peer, services.now()
        )
        if holder is None:
            return show_notice(said_to(request), SPENT, 410)
        address = holder.user.address
        outcome = services.authenticator.vouched(holder.entry, address, peer)
        assert isinstance(outcome, LoggedIn)  # nobody's link opens who is suspended
        to = Form.sent_with(request).text("to")
        return await self._log_in.enter_or_ask(request, outcome.account_id, address, to, OpenedBy.LINK)
