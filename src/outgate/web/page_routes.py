"""All pages there are, as routes. Knows no listener."""

from outgate.http.http_route import HttpRoute
from outgate.web import confirmation_page, csp_reports, static_files
from outgate.web.accounts_page import AccountsPage
from outgate.web.confirmation_page import ConfirmationPage
from outgate.web.drafts_page import DraftsPage
from outgate.web.email_log_page import EmailLogPage
from outgate.web.end_user_access_page import EndUserAccessPage
from outgate.web.inbox_page import InboxPage
from outgate.web.letter_page import LetterPage
from outgate.web.log_in_page import LogInPage
from outgate.web.message_page import MessagePage
from outgate.web.queue_page import QueuePage
from outgate.web.sent_page import SentPage
from outgate.web.server_page import ServerPage
from outgate.web.services import PageServices
from outgate.web.session_cookie import SessionCookie
from outgate.web.visits import Visits
from outgate.web.wizard_page import WizardPage
from outgate.web.write_page import WritePage


def page_routes(services: PageServices) -> list[HttpRoute]:
    """For http.application.HttpApplication."""
    web = services.config.web
    cookie = SessionCookie(web.public_url.startswith("https:"), int(web.session_lifetime))
    visits = Visits(services, cookie)
    return [
        static_files.route(),
        csp_reports.route(),
        _confirmation(services),
        *LogInPage(services, cookie).routes(visits),
        *WritePage().routes(visits),
        *DraftsPage().routes(visits),
        *InboxPage().routes(visits),
        *LetterPage().routes(visits),
        *SentPage().routes(visits),
        *WizardPage().routes(visits),
        *ServerPage().routes(visits),
        *AccountsPage().routes(visits),
        *EndUserAccessPage().routes(visits),
        *EmailLogPage().routes(visits),
        *MessagePage().routes(visits),
        *QueuePage().routes(visits),
    ]


def _confirmation(services: PageServices) -> HttpRoute:
    return HttpRoute(
        path="/confirm/{token}",
        methods=frozenset({"GET", "POST"}),
        handler=ConfirmationPage(services.engine, services.vault, services.now).answer,
        kind="page",
        max_body=1024,  # a browser may send something with a form that has no fields
        rate=confirmation_page.RATE,
    )
