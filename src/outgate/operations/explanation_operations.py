"""The decision about a message that nobody sends."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from outgate.authorise import authorise
from outgate.directory import accounts
from outgate.directory.change import compared
from outgate.directory.errors import NotFound
from outgate.directory.gateway_settings import open_password
from outgate.directory.privileges import Privilege
from outgate.frozen import frozen
from outgate.model import Gateway, Refused
from outgate.operations import schedule_operations, targets
from outgate.operations.account_lookup import account_of, require_mailbox
from outgate.operations.context import OperationContext
from outgate.operations.operation import operation
from outgate.operations.public_reply import public_reply
from outgate.operations.schedule_operations import ScheduleInForce, Usual
from outgate.queue import census
from outgate.route import Route, RouteKind, route
from outgate.sendas import oauth_grants
from outgate.store.vault import SealBroken


@frozen
class Explanation:
    """What would become of the message: addresses in compared form, and its route or why it has none."""

    account: str
    sender: str
    recipient: str
    outcome: Route | Refused
    cautions: tuple[str, ...] = ()  # what keeps the message waiting on its way, as far as it is known
    schedule: ScheduleInForce | None = None  # by which it would wait


@operation(
    "mail.explain",
    Privilege.SEND_AS_READ,
    targets.user("user"),
    changes=False,
    own=True,
    services=("local_mailboxes", "usual"),
)
def explain(
    op: OperationContext,
    user: str,
    sender: str,
    recipient: str,
    *,
    local_mailboxes: bool = False,
    usual: Usual | None = None,
) -> Explanation:
    """Say whether a user may send as an address, and which way the message would go, with the reasons.

    The organisation's gateway is told to those who may see it, as whom a common one logs in to those who may set it,
    how a server could not be reached to those who may see the queue. With `local_mailboxes` a recipient in the own
    domains must be somebody's, as at submission.
    """
    owner = account_of(op, user)
    sender, recipient = compared(sender), compared(recipient)
    verdict = authorise(owner, sender, [sender])
    if isinstance(verdict, Refused):
        return Explanation(owner.primary, sender, recipient, verdict)
    organisation = accounts.load_organisation(op.connection)
    if local_mailboxes:
        try:
            require_mailbox(op, organisation, recipient)
        except NotFound as error:
            return Explanation(owner.primary, sender, recipient, Refused(error.text, error.facts))
    found = route(
        organisation,
        owner,
        verdict.chosen,
        recipient,
        reverse_path=sender,
    )
    if isinstance(found, Route) and found.kind is RouteKind.DOMAIN_GATEWAY and not _sees_domain_gateway(op):
        found = replace(found, gateway=None, reasons=tuple(_unnamed(found.gateway, found.reasons)))
    if not isinstance(found, Route):
        return Explanation(owner.primary, sender, recipient, found)
    cautions = tuple(_cautions(op, found))
    schedule = _schedule(op, found, usual) if usual else None
    if found.gateway and found.gateway.is_common and not _sees_common_log_ins(op):
        found = replace(found, gateway=replace(found.gateway, username=""))
    return Explanation(owner.primary, sender, recipient, found, cautions, schedule)


def _schedule(op: OperationContext, way: Route, usual: Usual) -> ScheduleInForce:
    """Whose schedule it is and why is told to those who may see the queue."""
    found = schedule_operations.of_queues(op, usual, [str(way.queue)])[str(way.queue)]
    return found if op.actor.may(op.connection, Privilege.QUEUE_READ, "/") else replace(found, own=None)


def _cautions(op: OperationContext, way: Route) -> Iterator[str]:
    gateway = way.gateway
    if gateway and gateway.provider:
        if refusal := oauth_grants.refusal(op.connection, gateway):
            hides = gateway.is_common and not _sees_common_log_ins(op)
            yield f"mail waits: {_COMMON_REFUSAL if hides else refusal}"
    elif gateway and not gateway.has_credential:
        yield "the gateway's password was erased: mail waits until it is entered again"
    elif gateway:
        try:
            open_password(op.vault, gateway)
        except SealBroken:
            yield "the gateway's stored password can't be opened: mail waits until it is entered again"
    if gateway and (found := census.trouble(op.connection, str(way.queue))):
        sees_all = op.actor.may(op.connection, Privilege.QUEUE_READ, "/")
        reply = found.last_reply if sees_all else public_reply(found.last_reply, gateway)
        yield f"mail waits there after {found.attempts} attempts: {reply}"


_COMMON_REFUSAL: Final = "the log-in at the server that your administrator has set does not work now"


def _unnamed(gateway: Gateway | None, reasons: Iterable[str]) -> Iterator[str]:
    """The reasons without the name of the organisation's gateway."""
    name = f" {gateway.whereabouts}" if gateway else ""
    return (reason.removesuffix(name) for reason in reasons)


def _sees_common_log_ins(op: OperationContext) -> bool:
    return op.actor.may(op.connection, Privilege.SEND_AS_MANAGE, "/")


def _sees_domain_gateway(op: OperationContext) -> bool:
    return op.actor.may(op.connection, Privilege.UNITS_READ, "/")
