"""All pages there are, as routes. Knows no listener."""

from collections.abc import Callable

from sqlalchemy import Engine

from outgate.http.http_route import HttpRoute
from outgate.store.vault import Vault
from outgate.web import confirmation_page
from outgate.web.confirmation_page import ConfirmationPage


def page_routes(engine: Engine, vault: Vault, now: Callable[[], float]) -> list[HttpRoute]:
    """For http.application.HttpApplication."""
    confirmation = ConfirmationPage(engine, vault, now)
    return [
        HttpRoute(
            path="/confirm/{token}",
            methods=frozenset({"GET", "POST"}),
            handler=confirmation.answer,
            kind="page",
            max_body=1024,  # a browser may send something with a form that has no fields
            rate=confirmation_page.RATE,
        )
    ]
