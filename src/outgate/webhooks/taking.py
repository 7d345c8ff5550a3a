"""Takes what is on record for an endpoint, from where it was taken last: outcomes of recipients, and gateways that are
suspended or not any more. Nothing that is recorded waits for it.

So many at most wait for an endpoint; while it takes none, the rest stays where it is, in the record, for as long as
that keeps it. The functions work in the caller's transaction.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Final

from sqlalchemy import Connection, delete, insert, select, update

from outgate.directory import restrictions
from outgate.frozen import frozen
from outgate.model import Cause, QueueKey, QueueKind, Restriction
from outgate.record import message_log
from outgate.record.events import MessageEvent
from outgate.sendas import gateways
from outgate.store import tables
from outgate.webhooks import event_body
from outgate.webhooks.endpoints import Webhook
from outgate.webhooks.event_body import KINDS, OF_GATEWAYS, EventBody

MOST_WAITING: Final = 1000  # events of one endpoint
BATCH: Final = 100  # that are taken at once
SCANNED: Final = 20_000  # rows of the record that are gone through at once

_event, _suspension = tables.webhook_event.c, tables.webhook_suspension.c
_GATEWAYS: Final = (QueueKind.GATEWAY, QueueKind.COMMON_GATEWAY, QueueKind.DOMAIN_GATEWAY)


@frozen
class FoundEvents:
    """What the record has for an endpoint behind the row `after`, up to the row `to`. `is_more`: more behind that."""

    to: int
    events: tuple[EventBody, ...]
    is_more: bool


@frozen
class FoundSuspensions:
    """What an endpoint is to be told of gateways, by queue: those suspended, with since when, and those that go on."""

    begun: Mapping[str, tuple[float, EventBody]]
    ended: Mapping[str, EventBody]

    def __bool__(self) -> bool:
        return bool(self.begun or self.ended)


def look(connection: Connection, webhook: Webhook, after: int, horizon: int) -> FoundEvents:
    """Outcomes that the endpoint is to be told of, at most BATCH."""
    kinds = [KINDS[one].value for one in webhook.event_types if one in KINDS]
    to = min(horizon, after + SCANNED)
    room = min(BATCH, MOST_WAITING - webhook.waiting)
    if not kinds or to <= after:
        return FoundEvents(max(horizon, after), (), is_more=False)
    if room <= 0:
        return FoundEvents(after, (), is_more=False)
    rows = message_log.between(connection, after, to, kinds, room)
    if len(rows) == room:
        to = rows[-1][0]
    return FoundEvents(to, tuple(_bodies(connection, webhook, rows)), is_more=to < horizon)


def _bodies(connection: Connection, webhook: Webhook, rows: Sequence[tuple[int, MessageEvent]]) -> Iterable[EventBody]:
    first = message_log.firsts(connection, {event.message_id for _, event in rows})
    accounts = {str(one.detail.get("account", "")) for one in first.values()}
    units = _units_of(connection, accounts)
    for row, event in rows:
        accepted = first[event.message_id].detail if event.message_id in first else None
        account = str(accepted.get("account", "")) if accepted else ""
        if _concerns(webhook, account, units.get(account)):
            yield event_body.of_message(row, event, accepted, units.get(account))


def take(connection: Connection, webhook: Webhook, owner: str, found: FoundEvents, now: float) -> bool:
    """Have it wait; False if that is not ours to do any more: another sends, or it was stopped meanwhile."""
    columns = tables.webhook.c
    ours = update(tables.webhook).where(
        columns.id == webhook.id,
        columns.after == webhook.after,
        columns.leased_by == owner,
        columns.stopped_at.is_(None),
    )
    if connection.execute(ours.values(after=found.to)).rowcount != 1:
        return False
    _add(connection, webhook.id, found.events, now)
    return True


def look_for_suspensions(
    connection: Connection, webhook: Webhook, now: float, room: int | None = None
) -> FoundSuspensions:
    """What differs between the gateways that are suspended and those that the endpoint was told of; at most `room` in
    all, the others the next time.
    """
    if not any(one in OF_GATEWAYS for one in webhook.event_types):
        return FoundSuspensions({}, {})
    told = {
        row.queue: row
        for row in connection.execute(select(tables.webhook_suspension).where(_suspension.webhook_id == webhook.id))
    }
    found = _suspended(connection, now)
    ended = {
        queue: event_body.resumed(QueueKey.parse(queue), row.since, json.loads(row.detail), now)
        for queue, row in islice(((queue, row) for queue, row in told.items() if queue not in found), room)
    }
    new = {queue: found[queue] for queue in found if queue not in told}
    left = None if room is None else room - len(ended)
    return FoundSuspensions(dict(islice(_begun(connection, webhook, new), left)), ended)


def take_suspensions(
    connection: Connection, webhook: Webhook, found: FoundSuspensions, now: float, *, tell: bool = True
) -> None:
    """Tell of the gateways that are suspended and were not when it was told last, and of those that go on."""
    known = select(_suspension.queue).where(_suspension.webhook_id == webhook.id)
    there = set(connection.scalars(known.where(_suspension.queue.in_([*found.begun, *found.ended]))))
    begun = {queue: one for queue, one in found.begun.items() if queue not in there}
    ended = {queue: one for queue, one in found.ended.items() if queue in there}
    rows = [
        {
            "webhook_id": webhook.id,
            "queue": queue,
            "since": since,
            "detail": json.dumps(event_body.data_of(body.text)),
        }
        for queue, (since, body) in begun.items()
    ]
    if rows:
        connection.execute(insert(tables.webhook_suspension), rows)
    if ended:
        of_them = (_suspension.webhook_id == webhook.id, _suspension.queue.in_(ended))
        connection.execute(delete(tables.webhook_suspension).where(*of_them))
    if tell:
        events = [*(body for _, body in begun.values()), *ended.values()]
        _add(connection, webhook.id, [one for one in events if one.event_type in webhook.event_types], now)


def forget_suspensions(connection: Connection, webhook: Webhook, now: float) -> None:
    """It is told of what changes from now on."""
    connection.execute(delete(tables.webhook_suspension).where(_suspension.webhook_id == webhook.id))
    take_suspensions(connection, webhook, look_for_suspensions(connection, webhook, now), now, tell=False)


def _begun(
    connection: Connection, webhook: Webhook, found: Mapping[str, Restriction]
) -> Iterator[tuple[str, tuple[float, EventBody]]]:
    """Those that concern it."""
    owned = gateways.of_queues(connection, found.keys())
    units = _units_of(connection, {one.account for one in owned.values()})
    for queue, why in found.items():
        owner = owned.get(queue)
        unit = (owner.unit or units.get(owner.account)) if owner else None
        if _concerns(webhook, owner.account if owner else "", unit):
            yield queue, (why.since, event_body.suspended(QueueKey.parse(queue), why, owner, unit))


def _suspended(connection: Connection, now: float) -> dict[str, Restriction]:
    """The gateways that are suspended, each with what has suspended it first. A refused log-in suspends until one
    works, although it is tried from time to time.
    """
    found: dict[str, Restriction] = {}
    for queue, causes in restrictions.load(connection).by_queue.items():
        if queue.kind in _GATEWAYS:
            those = [one for one in causes if one.suspends and (one.cause is Cause.LOG_IN or one.holds(now))]
            if those:
                found[str(queue)] = min(those, key=lambda one: one.since)
    return found


def _concerns(webhook: Webhook, account: str, unit: str | None) -> bool:
    if webhook.user is not None:
        return account == webhook.user
    if webhook.unit is None or webhook.unit == "/":
        return True
    return unit is not None and (unit == webhook.unit or unit.startswith(f"{webhook.unit}/"))


def _units_of(connection: Connection, accounts: Collection[str]) -> dict[str, str]:
    account = tables.account.c
    wanted = select(account.primary_address, tables.unit.c.path).join(tables.unit, tables.unit.c.id == account.unit_id)
    rows = connection.execute(wanted.where(account.primary_address.in_(accounts)))
    return {row.primary_address: row.path for row in rows}


def _add(connection: Connection, webhook_id: int, events: Sequence[EventBody], now: float) -> None:
    """What waits already, or has a former event's id, is not added again."""
    ids = [one.event_id for one in events]
    waiting = select(_event.event_id).where(_event.webhook_id == webhook_id, _event.event_id.in_(ids))
    there = set(connection.scalars(waiting))
    rows = [
        {
            "webhook_id": webhook_id,
            "event_id": one.event_id,
            "event_type": one.event_type.value,
            "body": one.text,
            "taken_at": now,
            "attempts": 0,
            "due_at": now,
        }
        for one in events
        if one.event_id not in there
    ]
    if rows:
        connection.execute(insert(tables.webhook_event), rows)
