"""All pages there are, as routes. Knows no listener."""

from outgate.http.http_route import HttpRoute
from outgate.mail_program.program_servers import servers_of
from outgate.web import confirmation_page, csp_reports, static_files
from outgate.web.accounts_page import AccountsPage
from outgate.web.admin_log_events_page import AdminLogEventsPage
from outgate.web.authenticate_page import AuthenticatePage
from outgate.web.common_gateway_page import CommonGatewayPage
from outgate.web.compliance_page import CompliancePage
from outgate.web.confirmation_page import ConfirmationPage
from outgate.web.consent_page import ConsentPage
from outgate.web.dashboard_page import DashboardPage
from outgate.web.drafts_page import DraftsPage
from outgate.web.email_log_page import EmailLogPage
from outgate.web.end_user_access_page import EndUserAccessPage
from outgate.web.gateways_page import GatewaysPage
from outgate.web.granted_addresses_page import GrantedAddressesPage
from outgate.web.home_page import HomePage
from outgate.web.inbox_page import InboxPage
from outgate.web.language_page import LanguagePage
from outgate.web.letter_page import LetterPage
from outgate.web.log_in_link_page import LogInLinkPage
from outgate.web.log_in_page import LogInPage
from outgate.web.mail_program_page import MailProgramPage
from outgate.web.message_page import MessagePage
from outgate.web.passkey_ceremony import PasskeyCeremony
from outgate.web.program_documents import ProgramDocuments
from outgate.web.proven_domains_page import ProvenDomainsPage
from outgate.web.provider_log_in_page import ProviderLogInPage
from outgate.web.queue_page import QueuePage
from outgate.web.reply_rules_page import ReplyRulesPage
from outgate.web.retry_schedules_page import RetrySchedulesPage
from outgate.web.roles_page import RolesPage
from outgate.web.routing_page import RoutingPage
from outgate.web.search_page import SearchPage
from outgate.web.second_factor_page import SecondFactorPage
from outgate.web.security_page import SecurityPage
from outgate.web.sent_page import SentPage
from outgate.web.server_page import ServerPage
from outgate.web.services import PageServices
from outgate.web.session_cookie import SessionCookie
from outgate.web.sign_in_page import SignInPage
from outgate.web.signature_page import SignaturePage
from outgate.web.tickets import Tickets
from outgate.web.tls_reports_page import TlsReportsPage
from outgate.web.units_page import UnitsPage
from outgate.web.user_page import UserPage
from outgate.web.users_page import UsersPage
from outgate.web.visits import Visits
from outgate.web.webhooks_page import WebhooksPage
from outgate.web.wizard_page import WizardPage
from outgate.web.write_page import WritePage


def page_routes(services: PageServices) -> list[HttpRoute]:
    """For http.application.HttpApplication."""
    web = services.config.web
    cookie = SessionCookie(web.public_url.startswith("https:"), int(web.session_lifetime))
    visits = Visits(services, cookie)
    tickets = Tickets(services.vault, services.engine, services.now)
    passkeys = PasskeyCeremony(web.public_url, tickets)
    log_in = LogInPage(services, cookie, tickets, passkeys)
    return [
        static_files.route(),
        csp_reports.route(),
        _confirmation(services),
        *ProgramDocuments(services.engine, servers_of(services.config)).routes(),
        *log_in.routes(visits),
        *ProviderLogInPage(services, visits, log_in, tickets, secure=cookie.secure).routes(),
        *LogInLinkPage(services, log_in).routes(),
        *LanguagePage().routes(visits),
        *WritePage().routes(visits),
        *DraftsPage().routes(visits),
        *InboxPage().routes(visits),
        *LetterPage().routes(visits),
        *SentPage().routes(visits),
        *SignInPage(services, secure=cookie.secure).routes(visits),
        *WizardPage().routes(visits),
        *ServerPage().routes(visits),
        *SignaturePage().routes(visits),
        *AccountsPage().routes(visits),
        *HomePage().routes(visits),
        *SearchPage().routes(visits),
        *UsersPage().routes(visits),
        *UserPage().routes(visits),
        *UnitsPage().routes(visits),
        *RolesPage().routes(visits),
        *SecurityPage(log_in, passkeys).routes(visits),
        *SecondFactorPage(passkeys).routes(visits),
        *ConsentPage().routes(visits),
        *MailProgramPage().routes(visits),
        *EndUserAccessPage().routes(visits),
        *CompliancePage().routes(visits),
        *RoutingPage().routes(visits),
        *ProvenDomainsPage().routes(visits),
        *GrantedAddressesPage().routes(visits),
        *CommonGatewayPage().routes(visits),
        *AuthenticatePage().routes(visits),
        *GatewaysPage().routes(visits),
        *DashboardPage().routes(visits),
        *AdminLogEventsPage().routes(visits),
        *EmailLogPage().routes(visits),
        *MessagePage().routes(visits),
        *QueuePage().routes(visits),
        *RetrySchedulesPage().routes(visits),
        *ReplyRulesPage().routes(visits),
        *WebhooksPage().routes(visits),
        *TlsReportsPage().routes(visits),
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
