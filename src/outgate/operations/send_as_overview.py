"""All that a user's page of addresses shows, as one operation: the addresses, the organisation, how gateways are."""

from collections.abc import Mapping, Sequence
from math import inf
from typing import TypeVar

from outgate.authorise import entry_for
from outgate.directory import accounts, restrictions
from outgate.directory.gateway_settings import open_password
from outgate.directory.privileges import Privilege
from outgate.frozen import frozen
from outgate.model import Account, Cause, Gateway, Organisation, Restriction, SendAs
from outgate.operations import targets
from outgate.operations.account_lookup import account_of
from outgate.operations.context import OperationContext
from outgate.operations.gateway_fault import GatewayFault, fault_of
from outgate.operations.operation import operation
from outgate.operations.public_reply import public_reply
from outgate.queue import census
from outgate.queue.census import IDLE, QueueStanding
from outgate.route import gateway_of, gateway_queue
from outgate.sendas import oauth_grants
from outgate.store.vault import SealBroken

K = TypeVar("K")


@frozen
class GatewayHealth:
    """How a gateway is. `waiting` is how many recipients wait there; `said` what the last attempt found, if one failed,
    as far as its user may know, and `next_attempt` when the next one is (seconds since the epoch, 0 if that is not
    known); without `has_password` it was erased or can't be opened, and mail waits until it is entered again.
    """

    waiting: int
    has_password: bool
    said: str = ""
    next_attempt: float = 0.0
    fault: GatewayFault | None = None

    @property
    def works(self) -> bool:
        """As far as is known."""
        return self.fault is None


@frozen
class SendAsOverview:
    """An account with its addresses, and the health of each gateway by its address."""

    account: Account
    organisation: Organisation
    health: Mapping[str, GatewayHealth]

    def entry(self, address: str) -> SendAs | None:
        """What lets the account send as an address; None if nothing does any more."""
        return entry_for(self.account, address)


@operation("send-as.overview", Privilege.SEND_AS_READ, targets.user("user"), changes=False, own=True)
def overview(op: OperationContext, user: str) -> SendAsOverview:
    """See a user's From addresses with how their gateways are."""
    account = account_of(op, user)
    gateways = {address: found for address, one in account.send_as.items() if (found := gateway_in_use(account, one))}
    return SendAsOverview(account, accounts.load_organisation(op.connection), health_of(op, gateways))


def gateway_in_use(account: Account, entry: SendAs) -> Gateway | None:
    """By which an address leaves, or would if policy let it."""
    return gateway_of(account, entry) or entry.gateway or entry.common_gateway


def health_of(op: OperationContext, gateways: Mapping[K, Gateway]) -> dict[K, GatewayHealth]:
    """How gateways are, each by its key, as far as its user may know."""
    queues = {key: gateway_queue(gateway) for key, gateway in gateways.items()}
    standings = census.standings(op.connection, [str(one) for one in queues.values()])
    held = restrictions.of_some(op.connection, queues.values())
    return {
        key: _health(op, gateway, standings.get(str(queues[key]), IDLE), _suspension(op, held.of(queues[key])))
        for key, gateway in gateways.items()
    }


def _health(
    op: OperationContext, gateway: Gateway, standing: QueueStanding, suspension: Restriction | None
) -> GatewayHealth:
    trouble = standing.trouble
    said = public_reply(trouble.last_reply, gateway) if trouble else ""
    if suspension and suspension.cause is Cause.LOG_IN:
        said = public_reply(suspension.reason, gateway)
    elif suspension:
        said = ""
    has_password, cause = _opens(op, gateway), suspension.cause if suspension else None
    fault = fault_of(
        said, cause, has_password=has_password, signs_in=bool(gateway.provider), is_common=gateway.is_common
    )
    return GatewayHealth(
        standing.waiting,
        has_password,
        "" if fault is GatewayFault.COMMON else said,  # it may name the log-in
        (suspension.until or 0.0) if suspension else trouble.next_attempt if trouble else 0.0,
        fault,
    )


def _suspension(op: OperationContext, held: Sequence[Restriction]) -> Restriction | None:
    """What suspends it; the one that ends last."""
    found = [one for one in held if one.suspends and one.holds(op.now)]
    return max(found, key=lambda one: inf if one.until is None else one.until, default=None)


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
