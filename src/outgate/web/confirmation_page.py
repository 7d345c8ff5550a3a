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
from outgate.web.page import page
from outgate.web.texts import TEXTS, preferred

RATE: Final = "60/1minute"  # requests from one network


class ConfirmationPage:
    """Answers for /confirm/{token}, in the threads that may use the database."""

    def __init__(self, engine: Engine, vault: Vault, now: Callable[[], float]) -> None:
        self._engine, self._vault, self._now = engine, vault, now

    def answer(self, request: Request) -> Response:
        """GET and HEAD show the page, POST confirms. Raises StoreUnavailable."""
        language = preferred(request.headers.get("accept-language", ""))
        try:
            link = confirmation_operations.look_at_link(
                self._engine, self._vault, request.path_params["token"], self._now()
            )
            language = link.language or language
            return self._follow(request, language) if request.method == "POST" else self._ask(request, link, language)
        except BadLink:
            return page(request, TEXTS[language].invalid, language, 404)

    def _ask(self, request: Request, link: ConfirmationLink, language: str) -> Response:
        texts = TEXTS[language]
        if not link.waits:
            return page(request, texts.spent, language, 410)
        facts = [(texts.address, link.address), (texts.account, link.account)]
        return page(request, texts.ask, language, facts=facts, button=texts.button)

    def _follow(self, request: Request, language: str) -> Response:
        texts = TEXTS[language]
        token = request.path_params["token"]
        try:
            address = confirmation_operations.confirm_link(
                self._engine, self._vault, token, peer_of(request), self._now()
            )
        except LinkUsed:
            return page(request, texts.spent, language, 410)
        return page(request, texts.confirmed, language, facts=[(texts.address, address)])
