"""What the API has of the installation, made once by wiring. Data only."""

from collections.abc import Awaitable, Callable

from sqlalchemy import Engine

from outgate.api.request_quota import RequestQuota
from outgate.config import Config
from outgate.deliver.probe import Prober
from outgate.directory.log_in_limits import LogInLimits
from outgate.directory.reply_rules import ReplyRules
from outgate.egress.https_client import HttpsClient
from outgate.frozen import frozen
from outgate.http.database_threads import DatabaseThreads
from outgate.model import Gateway
from outgate.operations.confirmation import Confirmation
from outgate.operations.mail_operations import SendLimits
from outgate.operations.sent_operations import Dispatch
from outgate.queue.queue_id import QueueIds
from outgate.store.vault import Vault


@frozen
class ApiServices:
    """`threads` are the base's, in which plain functions run; gateways are tried by delivery's own code (`prober`).

    `quota` counts what programs ask for by whatever protocol; ask on the event loop.
    `token_of` gets the access token of a gateway that has an OAuth provider; it raises CheckFailed.
    """

    config: Config
    engine: Engine
    vault: Vault
    now: Callable[[], float]
    threads: DatabaseThreads
    prober: Prober
    token_of: Callable[[Gateway], Awaitable[str]]
    queue_ids: QueueIds
    send_limits: SendLimits
    reply_rules: ReplyRules
    log_in_limits: LogInLimits
    quota: RequestQuota
    webhook_client: HttpsClient

    @property
    def public_url(self) -> str:
        """Where programs find this server, without a slash at the end."""
        return self.config.web.public_url.rstrip("/")

    @property
    def confirmation(self) -> Confirmation:
        """How codes are mailed."""
        return Confirmation(self.config.hostname, self.config.web.public_url)

    @property
    def dispatch(self) -> Dispatch:
        """How drafts are sent: at once, since no program takes a message back."""
        return Dispatch(self.send_limits, self.config.hostname, 0.0)
