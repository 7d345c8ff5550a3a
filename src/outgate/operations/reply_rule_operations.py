"""Operations on rules that read replies: what a peer means when it says so, and what follows. Those of files are only
shown; an administrator's own come first, and each has a reason, an author, and an end if it is to have one.
"""

import re
from collections.abc import Iterator
from typing import Final

from outgate.directory import own_rules
from outgate.directory.change import compared_domain
from outgate.directory.errors import AlreadyExists, Invalid
from outgate.directory.own_rules import ANYTHING, OwnRule
from outgate.directory.privileges import Privilege
from outgate.directory.reply_rules import LONGEST, NAME, ReplyRule, ReplyRules, RuleAction
from outgate.frozen import frozen
from outgate.operations import targets
from outgate.operations.context import OperationContext
from outgate.operations.operation import operation
from outgate.operations.restriction_operations import MAX_REASON, end_of, rate_of

MAX_WORDS: Final = 200  # characters
MAX_HOSTS: Final = 20


@frozen
class RuleShown:
    """A rule; `own` is None of those that files have."""

    rule: ReplyRule
    own: OwnRule | None = None

    @property
    def words(self) -> str:
        """What it looks for: words, or the regular expression of a file."""
        return self.own.words if self.own else self.rule.pattern


@frozen
class RuleSettings:
    """A rule that somebody wants; `seconds` and `rate` ("60/hour") as their action has them. `hosts` are endings of
    servers' names; none are all. Checked when made: raises Invalid.
    """

    name: str
    words: str
    action: RuleAction
    reason: str
    hosts: tuple[str, ...] = ()
    seconds: float = 0.0
    rate: str = ""

    def __post_init__(self) -> None:
        if not re.fullmatch(NAME, self.name):
            raise Invalid("“{name}” is no name of a rule: 3 to 60 of a-z, 0-9 and -", name=self.name[:80])
        if not 3 <= len(self.words.replace(ANYTHING, "").strip()) <= len(self.words) <= MAX_WORDS:
            raise Invalid("say 3 to {most} characters of the reply that the rule is to find", most=MAX_WORDS)
        if not self.reason or len(self.reason) > MAX_REASON:
            raise Invalid("say why there is to be this rule, in at most {most} characters", most=MAX_REASON)
        if len(self.hosts) > MAX_HOSTS:
            raise Invalid("at most {most} servers' names in a rule", most=MAX_HOSTS)
        object.__setattr__(self, "hosts", tuple(compared_domain(host.strip(". ")) for host in self.hosts))
        if self.action.lasts != bool(self.seconds) or not 0 <= self.seconds <= LONGEST:
            raise Invalid("say how long it holds, at most 7 days; of a rule that gives up, nothing")
        if self.action.has_rate != bool(self.rate):
            raise Invalid("say a rate such as 60/hour with “slow down”, and with nothing else")
        if self.rate:
            object.__setattr__(self, "rate", rate_of(self.rate))

    def rule(self) -> ReplyRule:
        """As delivery reads it."""
        return ReplyRule(
            name=self.name,
            hosts=self.hosts,
            pattern=own_rules.pattern_of(self.words),
            action=self.action,
            seconds=self.seconds,
            rate=self.rate,
            meaning=self.reason,
        )


@operation("rule.list", Privilege.QUEUE_READ, targets.ORGANISATION, changes=False, services=("installed",))
def listed(op: OperationContext, installed: ReplyRules) -> list[RuleShown]:
    """See the rules that read replies, in the order in which they are asked."""
    return list(_all(op, installed))


@operation("rule.test", Privilege.QUEUE_READ, targets.ORGANISATION, changes=False, services=("installed",))
def reading(op: OperationContext, installed: ReplyRules, reply: str, host: str) -> RuleShown | None:
    """See which rule reads a reply of a server, if one does."""
    own = _own(op)
    found = installed.behind([one.rule for one in own]).find(host, reply)
    return RuleShown(found, next((one for one in own if one.rule is found), None)) if found else None


@operation("rule.add", Privilege.QUEUE_MANAGE, targets.ORGANISATION, services=("installed",))
def add(op: OperationContext, installed: ReplyRules, wanted: RuleSettings, seconds: float | None) -> OwnRule:
    """Add a rule that reads replies, for so many seconds or until it is removed."""
    if wanted.name in {one.name for one in installed.all}:  # what they have read is counted by name
        raise AlreadyExists("there is a rule {name} already; choose another name", name=wanted.name)
    made = OwnRule(wanted.rule(), wanted.words, op.actor.name, op.now, end_of(op, seconds))
    own_rules.put(op.connection, made)
    op.note(**_told(made))
    return made


@operation("rule.remove", Privilege.QUEUE_MANAGE, targets.ORGANISATION)
def remove(op: OperationContext, name: str) -> OwnRule:
    """Remove a rule that somebody added."""
    removed = own_rules.remove(op.connection, name)
    op.note(**_told(removed))
    return removed


def _all(op: OperationContext, installed: ReplyRules) -> Iterator[RuleShown]:
    yield from (RuleShown(own.rule, own) for own in _own(op))
    yield from map(RuleShown, installed.all)


def _own(op: OperationContext) -> tuple[OwnRule, ...]:
    return own_rules.in_force(own_rules.load(op.connection), op.now)


def _told(own: OwnRule) -> dict[str, object]:
    """For the audit trail."""
    rule = own.rule
    return {
        "rule": rule.name,
        "words": own.words,
        "hosts": list(rule.hosts),
        "action": rule.action.value,
        "rate": rule.rate,
        "seconds": rule.seconds,
        "reason": rule.meaning,
        "until": own.until,
    }
