"""All that a user's page of addresses shows, as one operation: the addresses, the organisation, how gateways are."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final, TypeVar

from outgate.directory import accounts
from outgate.directory.gateway_settings import open_password
from outgate.directory.privileges import Privilege
from outgate.frozen import frozen
from outgate.model import Account, Gateway, Organisation
from outgate.operations import targets
from outgate.operations.account_lookup import account_of
from outgate.operations.context import OperationContext
from outgate.operations.operation import operation
from outgate.operations.public_reply import public_reply
from outgate.queue import census
from outgate.queue.census import QueueStanding
from outgate.route import gateway_queue
from outgate.sendas import oauth_grants
from outgate.store.vault import SealBroken

K = TypeVar("K")

_OF_LOG_IN: Final = re.compile(r"53[0458] |4\.7\.8 ")


@frozen
class GatewayHealth:
    """How a gateway is. `waiting` is how many recipients wait there; `said` what the last attempt found, if one failed,
    as far as its user may know, and `next_attempt` when the next one is (seconds since the epoch); without
    `has_password` it was erased or can't be opened, and mail waits until it is entered again.
    """

    waiting: int
    has_password: bool
    said: str = ""
    next_attempt: float = 0.0

    @property
    def works(self) -> bool:
        """As far as is known."""
        return self.has_password and not self.said

    @property
    def needs_password(self) -> bool:
        """Whether a password that is entered anew is likely to help."""
        return not self.has_password or _OF_LOG_IN.match(self.said) is not None


@frozen
class SendAsOverview:
    """An account with its addresses, and the health of each gateway by its address."""

    account: Account
    organisation: Organisation
    health: Mapping[str, GatewayHealth]


@operation("send-as.overview", Privilege.SEND_AS_READ, targets.user("user"), changes=False, own=True)
def overview(op: OperationContext, user: str) -> SendAsOverview:
    """See a user's From addresses with how their gateways are."""
    account = account_of(op, user)
    gateways = {one.address: one.gateway for one in account.send_as.values() if one.gateway}
    return SendAsOverview(account, accounts.load_organisation(op.connection), health_of(op, gateways))


def health_of(op: OperationContext, gateways: Mapping[K, Gateway]) -> dict[K, GatewayHealth]:
    """How gateways are, each by its key, as far as its user may know."""
    queues = {key: str(gateway_queue(gateway)) for key, gateway in gateways.items()}
    standings = census.standings(op.connection, queues.values())
    return {key: _health(op, gateway, standings.get(queues[key])) for key, gateway in gateways.items()}


def _health(op: OperationContext, gateway: Gateway, standing: QueueStanding | None) -> GatewayHealth:
    if standing is None:
        return GatewayHealth(0, _opens(op, gateway))
    health = GatewayHealth(standing.waiting, _opens(op, gateway))
    if (trouble := standing.trouble) is None:
        return health
    return replace(health, said=public_reply(trouble.last_reply, gateway), next_attempt=trouble.next_attempt)


def _opens(op: OperationContext, gateway: Gateway) -> bool:
    if gateway.provider:
        return oauth_grants.refusal(op.connection, gateway) is None
    if not gateway.has_credential:
        return False
    try:
        open_password(op.vault, gateway)
    except SealBroken:
        return False
    return True
