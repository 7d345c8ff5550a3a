"""What the pages have of the installation, made once by wiring. Data only."""

from collections.abc import Callable, Mapping

from sqlalchemy import Engine

from outgate.accept.authenticator import Authenticator
from outgate.config import Config
from outgate.deliver.probe import Prober
from outgate.directory.reply_rules import ReplyRules
from outgate.directory.web_sessions import WebSessionLimits
from outgate.discovery.discoverer import Discoverer
from outgate.egress.https_client import HttpsClient
from outgate.frozen import frozen
from outgate.http.database_threads import DatabaseThreads
from outgate.mailbox.user_mailbox import Mailboxes
from outgate.model import Gateway
from outgate.oauth.providers import OAuthProvider
from outgate.oauth.sign_in import SignIns
from outgate.openid.provider_log_in import ProviderLogIn
from outgate.operations.confirmation import Confirmation
from outgate.operations.mail_operations import SendLimits
from outgate.operations.sent_operations import Dispatch
from outgate.store.vault import Vault


@frozen
class PageServices:
    """`threads` are the base's, in which plain functions run; `authenticator` is the one that SMTP has, too; gateways
    are tried by delivery's own code (`prober`). Mailboxes, which may be slow, have threads of their own.
    """

    config: Config
    engine: Engine
    vault: Vault
    now: Callable[[], float]
    threads: DatabaseThreads
    authenticator: Authenticator
    prober: Prober
    discoverer: Discoverer
    mailboxes: Mailboxes
    mail_threads: DatabaseThreads
    send_limits: SendLimits
    sign_ins: Mapping[str, SignIns]  # by provider
    provider_log_in: ProviderLogIn | None  # where one is set
    reply_rules: ReplyRules
    webhook_client: HttpsClient  # asks their endpoints
    scopes: Mapping[str, str]  # what programs may be let do, in words, by scope

    def providers_for(self, gateway: Gateway | None) -> list[OAuthProvider]:
        """Those that a user may sign in with for an address: whose server is known."""
        named = gateway.provider if gateway else ""
        return [one.provider for one in self.sign_ins.values() if one.provider.host or one.provider.name == named]

    @property
    def session_limits(self) -> WebSessionLimits:
        """How long log-ins last."""
        web = self.config.web
        return WebSessionLimits(web.session_idle, web.session_lifetime, web.proof_lasts)

    @property
    def confirmation(self) -> Confirmation:
        """How codes are mailed."""
        return Confirmation(self.config.hostname, self.config.web.public_url)

    @property
    def dispatch(self) -> Dispatch:
        """How messages are sent that are written here."""
        return Dispatch(self.send_limits, self.config.hostname, self.config.web.undo_send)
