"""The page that a confirmation link leads to: it asks, and a press of its button confirms the address.

Looking changes nothing: programs that look for harm in mail open every link (RFC 9110 9.2.1 asks for it as well). The
button needs no token against requests forged from other sites: the page knows no cookie and no log-in, so that a
browser adds nothing of its own to a request. Whoever can make a browser post here has the link, and could as well post
himself. Other sites can't frame the page either, to have the button pressed unseen.
"""

import asyncio
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from sqlalchemy import Engine
from starlette.requests import Request
from starlette.responses import Response

from outgate.operations import confirmation_operations
from outgate.operations.confirmation_operations import ConfirmationLink
from outgate.peer import network_of
from outgate.sendas.verification import BadLink, LinkUsed
from outgate.store.engine import StoreUnavailable
from outgate.store.rates import Rates
from outgate.store.vault import Vault
from outgate.web.page import page
from outgate.web.texts import TEXTS, preferred

RATE: Final = "60/1minute"  # requests from one network
_THREADS: Final = 2


class ConfirmationPage:
    """Answers for /confirm/{token}. The database is asked in threads: a write on the event loop would wait for
    queue.GroupCommit, which waits for the loop.
    """

    def __init__(self, engine: Engine, vault: Vault, now: Callable[[], float]) -> None:
        self._engine, self._vault, self._now = engine, vault, now
        self._rates = Rates(engine, now)
        self._threads = ThreadPoolExecutor(_THREADS, "web")

    async def answer(self, request: Request) -> Response:
        """GET and HEAD show the page, POST confirms."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._answer, request)

    async def close(self) -> None:
        """Wait for what is being answered."""
        await asyncio.to_thread(self._threads.shutdown)

    # --- in the threads ----------------------------------------------------------------------------------------------

    def _answer(self, request: Request) -> Response:
        language = preferred(request.headers.get("accept-language", ""))
        try:
            if wait := self._seconds_to_wait(request):
                return self._fault(request, 429, language, wait)
            link = confirmation_operations.look_at_link(
                self._engine, self._vault, request.path_params["token"], self._now()
            )
            language = link.language or language
            return self._follow(request, language) if request.method == "POST" else self._ask(request, link, language)
        except BadLink:
            return page(request, TEXTS[language].invalid, language, 404)
        except StoreUnavailable:
            return self._fault(request, 503, language, 60)

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

    def _seconds_to_wait(self, request: Request) -> int:
        """0 if the request may be answered, which is counted."""
        peer = peer_of(request)
        key = ("web", "network", network_of(peer) if peer else "")
        if self._rates.hit(RATE, *key):
            return 0
        return max(1, math.ceil(self._rates.seconds_left(RATE, *key)))

    def _fault(self, request: Request, status: int, language: str, wait: int) -> Response:
        text = TEXTS[language].faults[status]
        return page(request, text, language, status, headers={"Retry-After": str(wait)})


def peer_of(request: Request) -> str:
    """The address that a request came from; empty if a proxy did not name it properly."""
    host = request.client.host if request.client else ""
    try:
        network_of(host)
    except ValueError:
        return ""
    return host
