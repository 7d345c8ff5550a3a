"""The decision about a message that nobody sends."""

from dataclasses import dataclass, replace

from outgate.authorise import authorise
from outgate.directory import accounts
from outgate.directory.change import compared
from outgate.directory.privileges import Privilege
from outgate.model import Refused
from outgate.operations import targets
from outgate.operations.account_lookup import account_of
from outgate.operations.context import OperationContext
from outgate.operations.operation import operation
from outgate.route import Route, RouteKind, route


@dataclass(frozen=True, slots=True)
class Explanation:
    """What would become of the message: addresses in compared form, and its route or why it has none."""

    account: str
    sender: str
    recipient: str
    outcome: Route | Refused


@operation("mail.explain", Privilege.SEND_AS_READ, targets.user("user"), changes=False, own=True)
def explain(op: OperationContext, user: str, sender: str, recipient: str) -> Explanation:
    """Say whether a user may send as an address, and which way the message would go, with the reasons.

    The organisation's gateway is told to those who may see it.
    """
    owner = account_of(op, user)
    sender, recipient = compared(sender), compared(recipient)
    verdict = authorise(owner, sender, [sender])
    if isinstance(verdict, Refused):
        return Explanation(owner.primary, sender, recipient, verdict)
    found = route(
        accounts.load_organisation(op.connection),
        owner,
        verdict.chosen,
        recipient,
        reverse_path=sender,
    )
    if isinstance(found, Route) and found.kind is RouteKind.DOMAIN_GATEWAY and not _sees_domain_gateway(op):
        found = replace(found, gateway=None)
    return Explanation(owner.primary, sender, recipient, found)


def _sees_domain_gateway(op: OperationContext) -> bool:
    return op.actor.may(op.connection, Privilege.UNITS_READ, "/")
