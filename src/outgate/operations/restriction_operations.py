"""Operations on what holds mail of a queue back: suspending gateways and destinations, ceilings, undoing either."""

from collections.abc import Sequence
from typing import Final

from outgate.directory import restrictions
from outgate.directory.errors import Invalid
from outgate.directory.privileges import Privilege
from outgate.frozen import frozen
from outgate.model import Cause, QueueKey, Restriction
from outgate.operations import targets
from outgate.operations.context import OperationContext
from outgate.operations.operation import operation
from outgate.queue.admin import Selection
from outgate.store import rates

MAX_REASON: Final = 500  # characters
MAX_DAYS: Final = 366  # of what is to have an end
MOST_CONNECTIONS: Final = 100_000  # of a ceiling; more is none
SUSPENSIONS: Final = (Cause.OPERATOR, Cause.LOG_IN, Cause.RULE)  # what `resume` ends


@frozen
class Ceiling:
    """At most so many connections at once, and messages by time ("300/hour"). Checked when made: raises Invalid."""

    connections: int | None = None
    rates: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.connections is not None and self.connections < 1:
            raise Invalid(
                "at least 1 connection, not {number}; to stop it altogether: suspend", number=self.connections
            )
        if self.connections is not None and self.connections > MOST_CONNECTIONS:
            raise Invalid("at most {most} connections; more is no ceiling", most=MOST_CONNECTIONS)
        if self.connections is None and not self.rates:
            raise Invalid("say a ceiling: connections, a rate such as 300/hour, or both")
        object.__setattr__(self, "rates", tuple(rate_of(text) for text in self.rates))


@operation("queue.restrictions", Privilege.QUEUE_READ, targets.ORGANISATION, changes=False)
def listed(op: OperationContext) -> list[tuple[QueueKey, Restriction]]:
    """See what is suspended or slowed down, why, by whom, and until when."""
    found = restrictions.load(op.connection).by_queue
    return [(queue, one) for queue in sorted(found) for one in found[queue] if one.holds(op.now)]


def by_queue(op: OperationContext) -> dict[str, list[Restriction]]:
    """The same by queue; what suspends it first."""
    found: dict[str, list[Restriction]] = {}
    for queue, one in listed(op):
        found.setdefault(str(queue), []).append(one)
    return {queue: sorted(all_of, key=lambda one: not one.suspends) for queue, all_of in found.items()}


def suspended(op: OperationContext) -> frozenset[str]:
    """The queues of which nothing goes."""
    return frozenset(str(queue) for queue, one in listed(op) if one.suspends)


@operation("queue.suspend", Privilege.QUEUE_MANAGE, targets.ORGANISATION)
def suspend(op: OperationContext, queues: Sequence[QueueKey], reason: str, seconds: float | None) -> None:
    """Suspend gateways or destinations: their mail waits."""
    _check(reason)
    until = end_of(op, seconds)
    op.note(queues=[str(queue) for queue in queues], reason=reason, until=until)
    wanted = Restriction(Cause.OPERATOR, reason, op.actor.name, op.now, until)
    for queue in queues:
        restrictions.put(op.connection, queue, wanted)


@operation("queue.resume", Privilege.QUEUE_MANAGE, targets.ORGANISATION)
def resume(op: OperationContext, queues: Sequence[QueueKey]) -> list[tuple[QueueKey, Restriction]]:
    """Let suspended gateways or destinations go on; what waits is tried at once."""
    ended = [(queue, one) for queue in queues for one in restrictions.end(op.connection, queue, SUSPENSIONS)]
    op.note(queues=[str(queue) for queue in queues], ended=[f"{queue}: {one.reason}" for queue, one in ended])
    for queue in dict.fromkeys(queue for queue, _ in ended):
        op.reconsider(Selection(queue=str(queue)))
    return ended


@operation("queue.limit", Privilege.QUEUE_MANAGE, targets.ORGANISATION)
def limit(op: OperationContext, queues: Sequence[QueueKey], ceiling: Ceiling | None, reason: str) -> None:
    """Give gateways or destinations a ceiling of connections and messages by time, or take it away."""
    _check(reason)
    if ceiling and not reason.strip():
        raise Invalid("say why there is to be a ceiling: it stands beside each message that waits for it")
    op.note(queues=[str(queue) for queue in queues], reason=reason)
    if ceiling:
        op.note(connections=ceiling.connections, rates=list(ceiling.rates))
    for queue in queues:
        restrictions.end(op.connection, queue, (Cause.LIMIT,))
        if ceiling:
            wanted = Restriction(Cause.LIMIT, reason, op.actor.name, op.now, None, ceiling.connections, ceiling.rates)
            restrictions.put(op.connection, queue, wanted)
        op.reconsider(Selection(queue=str(queue)))


def _check(reason: str) -> None:
    if len(reason) > MAX_REASON:
        raise Invalid("the reason is too long; at most {most} characters", most=MAX_REASON)


def end_of(op: OperationContext, seconds: float | None) -> float | None:
    """When it ends what is to hold for so many seconds from now; None is without an end. Raises Invalid."""
    if seconds is None:
        return None
    if not 0 < seconds <= MAX_DAYS * 86400:
        raise Invalid("say a time of at most {most} days, or none if there is to be no end", most=MAX_DAYS)
    return op.now + seconds


def rate_of(text: str) -> str:
    """As it is written everywhere ("300/1hour"); raises Invalid."""
    try:
        return rates.parsed(text)
    except ValueError:
        raise Invalid(
            "'{text}' is not a rate of at most a day; write it as 10/second, 300/hour or 2000/day", text=text[:40]
        ) from None
