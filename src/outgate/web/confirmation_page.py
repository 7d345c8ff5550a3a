"""The page that a confirmation link leads to: it asks, and a press of its button confirms the address.

Looking changes nothing: programs that look for harm in mail open every link (RFC 9110 9.2.1 asks for it as well). Other
sites can't frame the page, to have the button pressed unseen, nor post to it. It knows no cookie and no log-in: whoever
has the link may confirm.
"""

from collections.abc import Callable
from typing import Final

from sqlalchemy import Engine
from starlette.requests import Request
from starlette.responses import Response

from outgate.http.client_address import peer_of
from outgate.operations import confirmation_operations
from outgate.operations.confirmation_operations import ConfirmationLink
from outgate.sendas.verification import BadLink, LinkUsed
from outgate.store.vault import Vault
from outgate.web.language import language_of
from outgate.web.notice import Notice, show_notice
from outgate.web.words import N_, Words, words

RATE: Final = "60/1minute"  # requests from one network

ASK: Final = Notice(
    N_("Confirm this address"),
    (
        N_("Somebody asks to send mail as an address whose mail you read."),
        N_(
            "If that is you, press the button. If you do not know the account, or do not want this, close this page:"
            " nothing has happened yet."
        ),
    ),
)
CONFIRMED: Final = Notice(N_("The address is confirmed"), (N_("Mail can now be sent as it. You can close this page."),))
SPENT: Final = Notice(
    N_("This link was used already, or has expired"),
    (
        N_(
            "A link is good once, for three days, and until a newer one is sent. If you have confirmed the address"
            " before, all is well."
        ),
        N_("If it still waits, have a new message sent where you added the address, under 'Send mail as'."),
    ),
)
INVALID: Final = Notice(
    N_("This link is not valid"),
    (
        N_("Check that you have opened it whole: a mail program may have cut it at the end of a line."),
        N_("You can also enter the code from the same message, or have a new one sent."),
    ),
)


class ConfirmationPage:
    """Answers for /confirm/{token}, in the threads that may use the database."""

    def __init__(self, engine: Engine, vault: Vault, now: Callable[[], float]) -> None:
        self._engine, self._vault, self._now = engine, vault, now

    def answer(self, request: Request) -> Response:
        """GET and HEAD show the page, POST confirms. Raises StoreUnavailable."""
        said = words(language_of(request))
        try:
            link = confirmation_operations.look_at_link(
                self._engine, self._vault, request.path_params["token"], self._now()
            )
            said = words(link.language) if link.language else said
            return self._follow(request, said) if request.method == "POST" else _ask(said, link)
        except BadLink:
            return show_notice(said, INVALID, 404)

    def _follow(self, request: Request, said: Words) -> Response:
        token = request.path_params["token"]
        try:
            address = confirmation_operations.confirm_link(
                self._engine, self._vault, token, peer_of(request), self._now()
            )
        except LinkUsed:
            return show_notice(said, SPENT, 410)
        return show_notice(said, CONFIRMED, facts=[(said("Address"), address)])


def _ask(said: Words, link: ConfirmationLink) -> Response:
    if not link.waits:
        return show_notice(said, SPENT, 410)
    facts = [(said("Address"), link.address), (said("Who asks"), link.account)]
    return show_notice(said, ASK, facts=facts, button=said("Confirm"))
