"""Rules that read replies, made by administrators while the server runs; they come before those of files.

They are a part of the directory, as restrictions are: in force on every node when the command that makes one returns.
A reply is found by words, not by a regular expression: one that takes hours for a reply can't be written. Knows no
queue.
"""

import re
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, insert, select

from outgate.directory.change import touch
from outgate.directory.errors import AlreadyExists, Invalid, NotFound
from outgate.directory.reply_rules import ReplyRule, RuleAction
from outgate.frozen import frozen
from outgate.store import tables

ANYTHING: Final = "*"
MAX_RULES: Final = 100  # each is asked of each reply that no earlier one fits

_SEPARATOR: Final = " "


@frozen
class OwnRule:
    """`words` are what must be in a reply, in this order; `*` stands for anything between. `rule.meaning` says why it
    was made. Times in seconds since the epoch; without `until` it holds until somebody removes it.
    """

    rule: ReplyRule
    words: str
    author: str
    since: float
    until: float | None

    def holds(self, now: float) -> bool:
        """Whether it is not over."""
        return self.until is None or now < self.until


def pattern_of(words: str) -> str:
    """The regular expression that finds words in their order. What one part has found it keeps (an atomic group), so
    the time that it takes grows with the reply's length alone.
    """
    parts = [r"\s+".join(map(re.escape, part.split())) for part in words.split(ANYTHING)]
    return r"\A" + "".join(f"(?>(?s:.)*?{part})" for part in parts if part)


def load(connection: Connection) -> tuple[OwnRule, ...]:
    """All there are, also what is over and was not deleted yet, in the order in which they were made."""
    columns = tables.reply_rule.c
    return tuple(map(_made, connection.execute(select(tables.reply_rule).order_by(columns.since, columns.name))))


def in_force(rules: Sequence[OwnRule], now: float) -> tuple[OwnRule, ...]:
    """Those that are not over."""
    return tuple(one for one in rules if one.holds(now))


def put(connection: Connection, wanted: OwnRule) -> None:
    """Add a rule; those that are over are deleted. Raises AlreadyExists and Invalid."""
    touch(connection, queues=True)
    connection.execute(delete(tables.reply_rule).where(tables.reply_rule.c.until <= wanted.since))
    rule, names = wanted.rule, set(connection.scalars(select(tables.reply_rule.c.name)))
    if rule.name in names:
        raise AlreadyExists("there is a rule {name} already; remove it, or choose another name", name=rule.name)
    if len(names) >= MAX_RULES:
        raise Invalid("there are {most} rules of your own already; remove one first", most=MAX_RULES)
    row = {
        "name": rule.name,
        "words": wanted.words,
        "hosts": _SEPARATOR.join(rule.hosts),
        "action": rule.action.value,
        "seconds": rule.seconds,
        "rate": rule.rate,
        "reason": rule.meaning,
        "author": wanted.author,
        "since": wanted.since,
        "until": wanted.until,
    }
    connection.execute(insert(tables.reply_rule).values(row))


def remove(connection: Connection, name: str) -> OwnRule:
    """Take a rule away; returns it. Raises NotFound."""
    touch(connection, queues=True)
    found = next((one for one in load(connection) if one.rule.name == name), None)
    if found is None:
        raise NotFound("there is no rule {name} of your own; those of files are changed there", name=name)
    connection.execute(delete(tables.reply_rule).where(tables.reply_rule.c.name == name))
    return found


def _made(row: Row[*tuple[Any, ...]]) -> OwnRule:
    rule = ReplyRule(
        name=row.name,
        hosts=tuple(row.hosts.split()),
        pattern=pattern_of(row.words),
        action=RuleAction(row.action),
        seconds=row.seconds,
        rate=row.rate,
        meaning=row.reason,
    )
    return OwnRule(rule, row.words, row.author, row.since, row.until)
