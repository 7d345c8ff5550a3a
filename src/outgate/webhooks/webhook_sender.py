"""Tells endpoints of events: looks what there is for each, takes it from the record, and sends it. One process at a
time sends to an endpoint, by a lease; each endpoint has a task of its own, so that none waits for another.

Nothing that it tells of waits for it, and nothing is lost that it has not told: the record, and how far it was taken,
are in the database. What was sent and not noted yet, when the process was killed, is sent again with the same id.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import field
from random import random
from typing import Final, TypeVar, TypeVarTuple

import structlog
from prometheus_client import Counter
from sqlalchemy import Connection, Engine

from outgate.directory.restrictions import version as restrictions_version
from outgate.egress.https_client import HttpsClient
from outgate.frozen import frozen
from outgate.record.record_horizon import RecordHorizon
from outgate.store.engine import StoreUnavailable, read
from outgate.store.vault import SealBroken, Vault
from outgate.store.writers_turn import writing
from outgate.webhooks import endpoints, taking, tries
from outgate.webhooks.endpoints import StopCause, Webhook
from outgate.webhooks.posting import PostResult, TryOutcome, post
from outgate.webhooks.tries import LEASE, EndpointWork, WaitingEvent, WebhookTry

LOOK_EVERY: Final = 1.0  # seconds
AT_ONCE: Final = 4  # posts to one endpoint
BREATH: Final = 0.05  # seconds between them: mail is what the processor is for
SUSPENSIONS_EVERY: Final = 30.0  # seconds between looks for suspensions whose time has come to an end

_THREADS: Final = 2  # of its own for the database: those of asyncio are delivery's

_TRIES = Counter("outgate_webhook_tries", "Events sent to webhooks, by what came of it", ["outcome"])
_STOPPED = Counter("outgate_webhooks_stopped", "Webhooks that the server has stopped")
_TEXT: Final = """\
The webhook {name} is stopped; nothing is sent any more to

    {url}

Why: {reason}

What waits for it is kept, and what has happened since is on record. When the endpoint is mended, this sends all of it:

    outgate webhook enable {name}

The last tries: outgate webhook tries {name}
"""

TellStop = Callable[[str, str, str], Awaitable[None]]  # the webhook's name, a subject and a text

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_log = structlog.get_logger("webhooks")


@frozen
class _Round:
    """What is sent to an endpoint now; and whether there is more on record than was taken."""

    webhook: Webhook
    events: list[WaitingEvent]
    keys: list[bytes] = field(repr=False)
    is_more: bool


class WebhookSender:
    """For one event loop; `owner` names this process among all that share the database."""

    def __init__(
        self,
        engine: Engine,
        vault: Vault,
        client: HttpsClient,
        owner: str,
        now: Callable[[], float],
        tell_stop: TellStop,
    ) -> None:
        self._engine, self._vault, self._client = engine, vault, client
        self._owner, self._now, self._tell_stop = owner, now, tell_stop
        self._threads = ThreadPoolExecutor(_THREADS, "webhooks")
        self._horizon = RecordHorizon()
        self._complete = 0
        self._turns: dict[int, asyncio.Task[None]] = {}
        self._claimed: dict[int, float] = {}  # when
        self._gone_through: dict[int, int] = {}  # up to which row, if there was nothing for the endpoint there
        self._suspensions: set[int] = set()  # the endpoints for which these are to be looked at
        self._queue_version, self._suspensions_at = -1, float("-inf")

    async def run(self) -> None:
        """Look each second, until it is cancelled; then the leases are given back."""
        try:
            while True:
                try:
                    await self.look()
                except StoreUnavailable as error:
                    _log.error("webhooks not looked at", error=str(error))
                await asyncio.sleep(LOOK_EVERY)
        finally:
            await self._stop()
            self._threads.shutdown(wait=False)

    async def look(self) -> None:
        """Begin a turn for each endpoint that there is something for, and has none; tell of those that were stopped.
        Raises StoreUnavailable.
        """
        found, stopped = await self._in_thread(self._look)
        for row in found:
            if row not in self._turns:
                turn = asyncio.get_running_loop().create_task(self._turn(row), name=f"webhook {row}")
                self._turns[row] = turn
                turn.add_done_callback(lambda _, row=row: self._turns.pop(row, None))  # type: ignore[misc]
        for webhook in stopped:
            await self._tell(webhook)

    async def finish(self) -> None:
        """Wait for the turns under way."""
        await asyncio.gather(*self._turns.values())

    def _look(self) -> tuple[list[int], Sequence[Webhook]]:
        with read(self._engine) as connection:
            self._complete = self._horizon.look(connection) or 0
            work = tries.with_work(connection, self._owner, self._now())
            self._look_for_suspensions(connection, [one.row for one in work if one.of_gateways])
            found = [one.row for one in work if one.is_due or self._is_behind(one) or one.row in self._suspensions]
            return found, endpoints.stops_to_tell(connection)

    def _is_behind(self, one: EndpointWork) -> bool:
        return max(one.after, self._gone_through.get(one.row, 0)) < self._complete

    def _look_for_suspensions(self, connection: Connection, rows: Sequence[int]) -> None:
        version, at = restrictions_version(connection), time.monotonic()
        if version != self._queue_version or at - self._suspensions_at >= SUSPENSIONS_EVERY:
            self._queue_version, self._suspensions_at = version, at
            self._suspensions.update(rows)

    def _in_thread(self, function: Callable[[*Ts], T], *args: *Ts) -> Awaitable[T]:
        return asyncio.get_running_loop().run_in_executor(self._threads, function, *args)

    # --- one endpoint's turn ---------------------------------------------------------------------------------------

    async def _turn(self, row: int) -> None:
        try:
            while (now := await self._in_thread(self._prepared, row)) and (now.events or now.is_more):
                if now.events:
                    await self._send(now)
                await asyncio.sleep(BREATH)
        except StoreUnavailable as error:
            _log.error("webhook not served", webhook=row, error=str(error))
        except Exception:
            _log.exception("webhook not served", webhook=row)

    def _prepared(self, row: int) -> _Round | None:
        """None if another process sends to it, or nobody does any more."""
        is_more = self._take(row)
        with read(self._engine) as connection:
            webhook = endpoints.by_row(connection, row)
            if webhook is None or webhook.stopped_at is not None:
                return None
            if not tries.due(connection, row, self._now(), 1):
                return _Round(webhook, [], [], is_more)
        if not self._claims(row):
            return None
        with read(self._engine) as connection:
            webhook = endpoints.by_row(connection, row)
            if webhook is None or webhook.stopped_at is not None:
                return None
            events = tries.due(connection, row, self._now(), AT_ONCE)
            try:
                keys = endpoints.secrets_of(connection, self._vault, webhook.name, self._now()) if events else []
                return _Round(webhook, events, keys, is_more)
            except SealBroken as error:
                fault = str(error)
        with writing(self._engine) as connection:
            endpoints.stop(connection, row, StopCause.SEALED, fault, self._now())
        return None

    def _claims(self, row: int) -> bool:
        at = time.monotonic()
        if at - self._claimed.get(row, float("-inf")) < LEASE / 4:
            return True
        with writing(self._engine) as connection:
            is_ours = tries.claim(connection, row, self._owner)
        if is_ours:
            self._claimed[row] = at
        else:
            self._claimed.pop(row, None)
        return is_ours

    def _take(self, row: int) -> bool:
        """Have wait what the record has for it; whether there is more. It writes if there is anything."""
        of_gateways = row in self._suspensions
        self._suspensions.discard(row)
        with read(self._engine) as connection:
            webhook = endpoints.by_row(connection, row)
            if webhook is None:
                return False
            after = max(webhook.after, self._gone_through.get(row, 0))
            found = taking.look(connection, webhook, after, self._complete)
            room = max(taking.MOST_WAITING - webhook.waiting - len(found.events), 0) if of_gateways else 0
            suspensions = taking.look_for_suspensions(connection, webhook, self._now(), room) if room else None
        if found.events or suspensions or found.to - webhook.after >= taking.SCANNED:
            if not self._claims(row):
                return False
            with writing(self._engine) as connection:
                if not taking.take(connection, webhook, self._owner, found, self._now()):
                    self._claimed.pop(row, None)
                    return False
                if suspensions:
                    taking.take_suspensions(connection, webhook, suspensions, self._now())
        self._gone_through[row] = found.to
        return found.is_more

    async def _send(self, now: _Round) -> None:
        url, keys = now.webhook.url, now.keys
        posts = (post(self._client, url, keys, one.event_id, one.body, self._now) for one in now.events)
        results = await asyncio.gather(*posts)
        pairs = list(zip(now.events, results, strict=True))
        for made in await self._in_thread(self._settled, now.webhook.id, pairs):
            _TRIES.labels(made.outcome.value).inc()
            if made.outcome is not TryOutcome.DELIVERED:
                facts = {"event_id": made.event_id, "attempt": made.attempt, "reason": made.reason}
                _log.warning("webhook failed", webhook=now.webhook.name, outcome=made.outcome.value, **facts)

    def _settled(self, row: int, pairs: Sequence[tuple[WaitingEvent, PostResult]]) -> list[WebhookTry]:
        with writing(self._engine) as connection:
            return tries.settle(connection, row, pairs, self._now(), random)

    # --- its end -----------------------------------------------------------------------------------------------------

    async def _tell(self, stopped: Webhook) -> None:
        """At least once: who tells says each thing once a day."""
        _STOPPED.inc()
        _log.error("webhook stopped", webhook=stopped.name, reason=str(stopped.stopped))
        text = _TEXT.format(name=stopped.name, url=stopped.url, reason=str(stopped.stopped))
        await self._tell_stop(stopped.name, f"The webhook {stopped.name} is stopped", text)
        await self._in_thread(self._told, stopped.id)

    def _told(self, row: int) -> None:
        with writing(self._engine) as connection:
            endpoints.stop_told(connection, row)

    async def _stop(self) -> None:
        """Break off what is being sent, which will be sent again, and let others send."""
        turns = list(self._turns.values())
        for turn in turns:
            turn.cancel()
        await asyncio.gather(*turns, return_exceptions=True)
        if self._claimed:
            self._claimed.clear()
            with suppress(StoreUnavailable):  # they end by themselves
                await self._in_thread(self._release)

    def _release(self) -> None:
        with writing(self._engine) as connection:
            tries.release(connection, self._owner)
