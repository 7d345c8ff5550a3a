"""What waits to be sent to an endpoint, and what came of each try: when it is tried again, when it is given up, and
when an endpoint is stopped. The functions work in the caller's transaction.

An event is tried ten times over three days, as Standard Webhooks proposes, if the endpoint takes others. One that fails
is left alone for a time that grows with each failure in a row, so that what waits for it does not come down on it;
nothing is given up meanwhile. It is stopped after five days of nothing but failures, or when it answers 410.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, delete, exists, insert, or_, select, update

from outgate.frozen import frozen
from outgate.store import tables
from outgate.store.lease_clock import LeaseNow
from outgate.webhooks import endpoints
from outgate.webhooks.endpoints import StopCause
from outgate.webhooks.event_body import OF_GATEWAYS, EventBody, WebhookEventType
from outgate.webhooks.posting import PostResult, TryOutcome

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
# Seconds after the first try, the second, and so on; after the last of them it is given up. The last one repeats.
SCHEDULE: Final = (5.0, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR)
JITTER: Final = 0.2  # at most this part of each is added
GIVE_UP: Final = sum(SCHEDULE) * (1 + JITTER)  # seconds after it was taken, however often it was tried
FIRST_PAUSE: Final = 2.0  # seconds that an endpoint is left alone after a failure; twice as long each time,
LONGEST_PAUSE: Final = 5 * MINUTE  # up to this
LONGEST_WISH: Final = DAY  # that is granted of a Retry-After
STOP_AFTER: Final = 5 * DAY  # seconds of nothing but failures
OUTAGE: Final = 10 * MINUTE  # seconds of failing in which nothing is given up, and after which all is tried at once
KEPT: Final = 500  # tries of an endpoint
KEPT_FOR: Final = 30 * DAY
LEASE: Final = 60.0  # seconds: longer than a round of posts takes

_webhook, _event, _try = tables.webhook.c, tables.webhook_event.c, tables.webhook_try.c


@frozen
class WaitingEvent:
    """An event that waits, tried `attempts` times."""

    id: int
    event_id: str
    event_type: WebhookEventType
    body: str
    taken_at: float
    attempts: int


@frozen
class WebhookTry:
    """What came of a try; `next_at` is when it is tried again."""

    event_id: str
    event_type: WebhookEventType
    at: float
    attempt: int
    outcome: TryOutcome
    status: int | None
    reason: str
    seconds: float
    next_at: float | None


@frozen
class EndpointWork:
    """Of an endpoint: up to which row of the record was taken, whether it is told of gateways, and whether something
    is due.
    """

    row: int
    after: int
    of_gateways: bool
    is_due: bool


# --- who sends ---------------------------------------------------------------------------------------------------


def with_work(connection: Connection, owner: str, now: float) -> list[EndpointWork]:
    """The endpoints that this process may send to now."""
    is_due = exists().where(_event.webhook_id == _webhook.id, _event.due_at <= now)
    wanted = (_webhook.stopped_at.is_(None), _webhook.paused_until <= now, _is_free(owner))
    of_gateways = or_(*(_webhook.event_types.contains(one.value) for one in OF_GATEWAYS))
    asked = select(_webhook.id, _webhook.after, of_gateways, is_due).where(*wanted).order_by(_webhook.id)
    return [EndpointWork(*row) for row in connection.execute(asked)]


def claim(connection: Connection, row: int, owner: str) -> bool:
    """Take the lease to send to an endpoint, or keep it, for LEASE seconds; False if another has it."""
    taken = update(tables.webhook).where(_webhook.id == row, _webhook.stopped_at.is_(None), _is_free(owner))
    return connection.execute(taken.values(leased_until=LeaseNow() + LEASE, leased_by=owner)).rowcount == 1


def _is_free(owner: str) -> ColumnElement[bool]:
    now = LeaseNow()
    # A lease that ends later than any could was taken before the machine's clock began anew.
    return or_(_webhook.leased_by == owner, _webhook.leased_until <= now, _webhook.leased_until > now + LEASE)


def release(connection: Connection, owner: str) -> None:
    """Give all leases back."""
    mine = update(tables.webhook).where(_webhook.leased_by == owner)
    connection.execute(mine.values(leased_until=0.0, leased_by=None))


# --- what waits --------------------------------------------------------------------------------------------------


def due(connection: Connection, webhook_id: int, now: float, at_once: int) -> list[WaitingEvent]:
    """What is to be sent now, at most so many; one alone to an endpoint that fails, and none while it is left alone."""
    row = connection.execute(select(_webhook.failures, _webhook.paused_until).where(_webhook.id == webhook_id)).first()
    if row is None or row.paused_until > now:
        return []
    wanted = select(tables.webhook_event).where(_event.webhook_id == webhook_id, _event.due_at <= now)
    found = connection.execute(wanted.order_by(_event.due_at, _event.id).limit(1 if row.failures else at_once))
    return [
        WaitingEvent(one.id, one.event_id, WebhookEventType(one.event_type), one.body, one.taken_at, one.attempts)
        for one in found
    ]


def settle(
    connection: Connection,
    webhook_id: int,
    results: Sequence[tuple[WaitingEvent, PostResult]],
    now: float,
    chance: Callable[[], float],
) -> list[WebhookTry]:
    """Note what came of events that were sent at once: they are gone, or wait for their next try; and what that says of
    the endpoint. `chance` is from 0 to 1. What waits no more, since the webhook was removed or began anew meanwhile,
    says nothing.
    """
    results = [(event, result) for event, result in results if _waits(connection, webhook_id, event)]
    row = connection.execute(select(tables.webhook).where(_webhook.id == webhook_id)).first()
    if row is None or not results:
        return []
    gives_up = _gives_up(row, [result for _, result in results], now)
    tries = [_settled(connection, event, result, now, chance(), gives_up=gives_up) for event, result in results]
    _log(connection, webhook_id, tries)
    _judge(connection, row, [result for _, result in results], now)
    return tries


def _waits(connection: Connection, webhook_id: int, event: WaitingEvent) -> bool:
    # SQLite gives the number of a row that was removed again.
    this = (_event.id == event.id, _event.webhook_id == webhook_id, _event.event_id == event.event_id)
    return connection.scalar(select(_event.id).where(*this)) is not None


def _gives_up(row: Row[*tuple[Any, ...]], results: Sequence[PostResult], now: float) -> bool:
    """Whether a failure may be an event's own: of one to an endpoint that takes nothing at all it says nothing."""
    is_away = row.failing_since is not None and now - row.failing_since >= OUTAGE
    return not is_away or any(one.is_delivered for one in results)


def _settled(
    connection: Connection, event: WaitingEvent, result: PostResult, now: float, chance: float, *, gives_up: bool
) -> WebhookTry:
    attempt, outcome, next_at = event.attempts + 1, _outcome(event, result, now, gives_up=gives_up), None
    this = _event.id == event.id
    if outcome in (TryOutcome.DELIVERED, TryOutcome.GIVEN_UP):
        connection.execute(delete(tables.webhook_event).where(this))
    else:
        pause = SCHEDULE[min(event.attempts, len(SCHEDULE) - 1)] * (1 + JITTER * chance)
        next_at = now + max(pause, _wish(result))
        connection.execute(update(tables.webhook_event).where(this).values(attempts=attempt, due_at=next_at))
    shown_next = next_at if outcome is TryOutcome.AGAIN else None
    return WebhookTry(
        event.event_id,
        event.event_type,
        now,
        attempt,
        outcome,
        result.status,
        result.reason,
        result.seconds,
        shown_next,
    )


def _outcome(event: WaitingEvent, result: PostResult, now: float, *, gives_up: bool) -> TryOutcome:
    if result.is_delivered:
        return TryOutcome.DELIVERED
    if result.is_gone:
        return TryOutcome.GONE
    is_last = event.attempts >= len(SCHEDULE) or now - event.taken_at > GIVE_UP
    return TryOutcome.GIVEN_UP if is_last and gives_up else TryOutcome.AGAIN


def _judge(connection: Connection, row: Row[*tuple[Any, ...]], results: Sequence[PostResult], now: float) -> None:
    """What results of one time say of their endpoint: it works if one of them was taken."""
    wish = now + max(map(_wish, results))
    if any(one.is_delivered for one in results):
        values: dict[str, object] = {"failures": 0, "failing_since": None, "paused_until": wish}
        if row.failing_since is not None and now - row.failing_since >= OUTAGE:
            waits = update(tables.webhook_event).where(_event.webhook_id == row.id)
            connection.execute(waits.values(due_at=now))
    else:
        pause = min(FIRST_PAUSE * 2 ** min(row.failures, 20), LONGEST_PAUSE)
        since = now if row.failing_since is None else row.failing_since
        values = {"failures": row.failures + 1, "failing_since": since, "paused_until": max(now + pause, wish)}
        if now - since >= STOP_AFTER:
            endpoints.stop(connection, row.id, StopCause.FAILING, results[-1].reason, now)
    connection.execute(update(tables.webhook).where(_webhook.id == row.id).values(values))
    if any(one.is_gone for one in results):
        endpoints.stop(connection, row.id, StopCause.GONE, "", now)


def _wish(result: PostResult) -> float:
    return min(max(result.pause or 0.0, 0.0), LONGEST_WISH) if not result.is_delivered else 0.0


# --- the log of tries --------------------------------------------------------------------------------------------


def log_trial(connection: Connection, webhook_id: int, body: EventBody, result: PostResult, now: float) -> WebhookTry:
    """Note what came of a test: nothing is tried again, and it says nothing of the endpoint's other events."""
    outcome = TryOutcome.DELIVERED if result.is_delivered else TryOutcome.GIVEN_UP
    made = WebhookTry(
        body.event_id, body.event_type, now, 1, outcome, result.status, result.reason, result.seconds, None
    )
    _log(connection, webhook_id, [made])
    return made


def listed(connection: Connection, webhook_id: int, limit: int) -> list[WebhookTry]:
    """The newest first."""
    rows = select(tables.webhook_try).where(_try.webhook_id == webhook_id).order_by(_try.id.desc()).limit(limit)
    return [
        WebhookTry(
            row.event_id,
            WebhookEventType(row.event_type),
            row.at,
            row.attempt,
            TryOutcome(row.outcome),
            row.status,
            row.reason,
            row.seconds,
            row.next_at,
        )
        for row in connection.execute(rows)
    ]


def forget(connection: Connection, before: float, limit: int) -> int:
    """Remove at most so many tries that are older; returns their number."""
    old = select(_try.id).where(_try.at < before).order_by(_try.at).limit(limit)
    return connection.execute(delete(tables.webhook_try).where(_try.id.in_(old))).rowcount


def _log(connection: Connection, webhook_id: int, tries: Sequence[WebhookTry]) -> None:
    if not connection.scalar(select(_webhook.id).where(_webhook.id == webhook_id)):
        return  # it was removed meanwhile
    connection.execute(
        insert(tables.webhook_try),
        [
            {
                "webhook_id": webhook_id,
                "event_id": one.event_id,
                "event_type": one.event_type.value,
                "at": one.at,
                "attempt": one.attempt,
                "outcome": one.outcome.value,
                "status": one.status,
                "reason": one.reason,
                "seconds": one.seconds,
                "next_at": one.next_at,
            }
            for one in tries
        ],
    )
    oldest = select(_try.id).where(_try.webhook_id == webhook_id).order_by(_try.id.desc()).offset(KEPT).limit(1)
    if (last := connection.scalar(oldest)) is not None:
        connection.execute(delete(tables.webhook_try).where(_try.webhook_id == webhook_id, _try.id <= last))
