"""Acts on what a peer's replies say of a whole queue: a credential that is refused suspends its gateway, a delivery
that works again ends that, and rules read the rest.

An outcome never depends on it: what can't be written now is found out at the next attempt. Knows no transport.
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import structlog
from prometheus_client import Counter
from sqlalchemy import Engine

from outgate import clock
from outgate.deliver.delivery import AttemptResult, Delivery
from outgate.deliver.outcome import CREDENTIAL_REFUSED, Outcome, Verdict
from outgate.deliver.suspension import lapsed
from outgate.deliver.suspension_notices import SuspensionNotices
from outgate.directory import own_rules, restrictions
from outgate.directory.change import lock
from outgate.directory.reader import DirectoryReader
from outgate.directory.reply_rules import LONGEST_REPLY, ReplyRule, ReplyRules, RuleAction
from outgate.model import Cause, Gateway, QueueKey, Restriction
from outgate.printable import printable
from outgate.route import RouteKind
from outgate.store import rates
from outgate.store.engine import StoreUnavailable, write

_RESTRICTED = Counter("outgate_queues_restricted", "Restrictions that the server made by itself, by cause", ["cause"])

_RULED = Counter("outgate_replies_ruled", "Replies that a rule has read, by rule", ["rule"])

_log = structlog.get_logger("deliver")


class Restraint:
    """`notices` writes to those who can repair a gateway that is suspended."""

    def __init__(
        self, engine: Engine, directory: DirectoryReader, rules: ReplyRules, notices: SuspensionNotices
    ) -> None:
        self._engine, self._directory = engine, directory
        self._rules, self._notices = rules, notices
        self._at_work: set[QueueKey] = set()

    async def judge(self, delivery: Delivery, result: AttemptResult) -> AttemptResult:
        """The outcomes in the light of what they say of the queue, which is suspended when this returns if it is to be.
        Raises nothing.
        """
        with _survived(delivery):
            return await self._judged(delivery, result)
        return result

    async def works(self, delivery: Delivery) -> None:
        """Something was delivered there, and that is recorded: what was suspended until now is over. Raises nothing."""
        with _survived(delivery):
            await self._end_lapsed(delivery)

    async def _judged(self, delivery: Delivery, result: AttemptResult) -> AttemptResult:
        refused = _refused_log_in(delivery, result.outcomes)
        if refused is not None:
            rule = await self._rule(delivery, result.peer, refused)
            if rule is None or rule.action is RuleAction.SUSPEND:
                until = await self._suspend(delivery, refused, rule.seconds if rule else restrictions.FIRST_PAUSE)
                is_told = delivery.route.is_by_own_gateway
                outcomes = [_waits(one, until, is_told) if one.refuses_credential else one for one in result.outcomes]
                return replace(result, outcomes=outcomes)
        return replace(result, outcomes=[await self._ruled(delivery, result.peer, one) for one in result.outcomes])

    # --- rules -----------------------------------------------------------------------------------------------

    async def _ruled(self, delivery: Delivery, peer: str, outcome: Outcome) -> Outcome:
        """The outcome as a rule has it; a rule that speaks of the whole queue holds when this returns. What the peer
        itself says of the whole queue (Retry-After) is such a rule.
        """
        if outcome.queue_until is not None:
            reason = f"it wants to be left alone so long: {printable(outcome.reason, LONGEST_REPLY)}"
            wanted = Restriction(Cause.RULE, reason, restrictions.SERVER, clock.now(), outcome.queue_until)
            await self._restrict(delivery.route.queue, wanted, "retry-after")
            return outcome
        rule = await self._rule(delivery, peer, outcome)
        if rule is None:
            return outcome
        _RULED.labels(rule.name).inc()
        if rule.action is RuleAction.GIVE_UP:
            return replace(outcome, verdict=Verdict.FAILED)
        now = clock.now()
        if rule.action is not RuleAction.WAIT:
            await self._restrict(delivery.route.queue, _wanted(rule, outcome, now), rule.name)
        if rule.action is RuleAction.SLOW_DOWN:
            return outcome  # the rate is the queue's; what is final is final
        return replace(outcome, verdict=Verdict.RETRY, again=now + rule.seconds)

    async def _rule(self, delivery: Delivery, peer: str, outcome: Outcome) -> ReplyRule | None:
        """The rule that reads this outcome, if it is a peer's word: the administrators' own are asked first. Raises
        StoreUnavailable.
        """
        is_ours = outcome.untried or delivery.route.kind is RouteKind.LOCAL
        if outcome.verdict is Verdict.DELIVERED or is_ours or not outcome.is_of_peer:
            return None
        host = _host(delivery.route.gateway, outcome.peer or peer)
        own = own_rules.in_force(await self._directory.own_rules(), clock.now())
        return self._rules.behind([one.rule for one in own]).find(host, outcome.reason)

    async def _restrict(self, queue: QueueKey, wanted: Restriction, rule: str) -> None:
        def restrict() -> bool:
            with write(self._engine) as connection:
                lock(connection)
                if any(_is_as_strong(one, wanted, wanted.since) for one in restrictions.of(connection, queue)):
                    return False
                restrictions.put(connection, queue, wanted)
                return True

        if queue in self._at_work:
            return
        self._at_work.add(queue)
        try:
            if await asyncio.to_thread(restrict):
                _RESTRICTED.labels(Cause.RULE.value).inc()
                action = RuleAction.SUSPEND if wanted.suspends else RuleAction.SLOW_DOWN
                _log.warning("rule applied", queue=str(queue), rule=rule, action=action.value)
        finally:
            self._at_work.discard(queue)

    # --- the credential --------------------------------------------------------------------------------------

    async def _suspend(self, delivery: Delivery, refused: Outcome, pause: float) -> float:
        """Suspend the gateway for so many seconds at first, and tell who can repair it, in one transaction. Returns
        when the log-in is tried again; one attempt of many does it.
        """
        queue, now = delivery.route.queue, clock.now()
        if queue not in self._at_work:
            self._at_work.add(queue)
            try:
                await self._refused_at(delivery, refused, pause, now)
            finally:
                self._at_work.discard(queue)
        return now + pause

    async def _refused_at(self, delivery: Delivery, refused: Outcome, pause: float, now: float) -> None:
        queue, gateway = delivery.route.queue, delivery.route.gateway
        assert gateway  # who logs in
        reason = said(refused)
        beside = await self._notices.of(delivery, reason, now)

        def suspend() -> bool:
            with write(self._engine) as connection:
                version = gateway.credential_version
                made = restrictions.log_in_refused(connection, queue, version, reason, now, beside, pause)
                return made is not None

        if await asyncio.to_thread(suspend):
            _RESTRICTED.labels(Cause.LOG_IN.value).inc()
            _log.warning("gateway suspended", queue=delivery.route.queue_name, reason=reason)

    async def _end_lapsed(self, delivery: Delivery) -> None:
        """What was suspended until now, and works again; what was suspended anew meanwhile stays."""
        queue, now = delivery.route.queue, clock.now()
        over = [cause for cause in (Cause.LOG_IN, Cause.RULE) if lapsed(delivery.restrictions, now, cause)]
        if not over or queue in self._at_work:
            return

        def end() -> None:
            with write(self._engine) as connection:
                restrictions.end_lapsed(connection, queue, over, now)

        self._at_work.add(queue)
        try:
            await asyncio.to_thread(end)
        finally:
            self._at_work.discard(queue)


def _host(gateway: Gateway | None, peer: str) -> str:
    """By which name rules know who has replied: of a gateway's hosts the one that did."""
    name = peer.partition("[")[0]
    return gateway.host if gateway and name not in gateway.hosts else name


def said(outcome: Outcome) -> str:
    """The peer's words of a reason."""
    _, found, words = outcome.reason.partition(CREDENTIAL_REFUSED)
    return printable(words if found else outcome.reason, LONGEST_REPLY)


def _refused_log_in(delivery: Delivery, outcomes: Sequence[Outcome]) -> Outcome | None:
    gateway = delivery.route.gateway
    if gateway is None or not (gateway.sealed or gateway.provider):
        return None
    return next((one for one in outcomes if one.refuses_credential and not one.untried), None)


def _waits(outcome: Outcome, until: float, is_told: bool) -> Outcome:
    """It was tried, and waits for the repair; a gateway's user is told of that once, not of each message."""
    return replace(outcome, verdict=Verdict.RETRY, again=until, told=is_told)


def _wanted(rule: ReplyRule, outcome: Outcome, now: float) -> Restriction:
    """What a rule restricts its queue to."""
    reason = f"rule {rule.name}: {printable(outcome.reason, LONGEST_REPLY)}"
    ceiling = (rates.parsed(rule.rate),) if rule.rate else ()
    return Restriction(Cause.RULE, reason, restrictions.SERVER, now, now + rule.seconds, rates=ceiling)


def _is_as_strong(one: Restriction, wanted: Restriction, now: float) -> bool:
    """Whether a rule already holds the queue back at least as much."""
    if one.cause is not Cause.RULE or not one.holds(now):
        return False
    return one.suspends or (not wanted.suspends and _interval(one) >= _interval(wanted))


def _interval(slowed: Restriction) -> float:
    return max(map(rates.interval, slowed.rates))


@contextmanager
def _survived(delivery: Delivery) -> Iterator[None]:
    """What can't be written is logged."""
    try:
        yield
    except StoreUnavailable as error:
        _log.error("restriction of a queue not written", queue=delivery.route.queue_name, error=str(error))
    except Exception:
        _log.exception("restriction of a queue not made", queue=delivery.route.queue_name)
