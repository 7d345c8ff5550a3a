"""Rules that administrators make: what their words find, and how long that takes."""

import re
import time

import pytest
from sqlalchemy import Engine

from outgate.directory import own_rules
from outgate.directory.errors import AlreadyExists, Invalid, NotFound
from outgate.directory.own_rules import OwnRule, pattern_of
from outgate.directory.reply_rules import ReplyRule, RuleAction
from outgate.operations.reply_rule_operations import RuleSettings
from outgate.store.engine import read, write


def _found(words: str, reply: str) -> bool:
    return re.search(pattern_of(words), reply, re.IGNORECASE) is not None


@pytest.mark.parametrize(
    ("words", "reply", "found"),
    [
        ("server busy", "451 4.3.2 Server  BUSY, come back", True),
        ("451 * busy", "451 4.3.2 server busy", True),
        ("busy * 451", "451 4.3.2 server busy", False),
        ("4.3.2", "451 4a3b2 server busy", False),
        ("*busy*", "busy", True),
        ("busy*busy", "busy", False),
        ("a(b[c", "so: a(b[c", True),
        ("one * two", "one\r\ntwo", True),
    ],
)
def test_words_are_found_as_they_stand_in_their_order(words: str, reply: str, found: bool) -> None:
    assert _found(words, reply) is found


def test_no_words_take_long_to_be_looked_for() -> None:
    started = time.process_time()
    assert not _found("a*" * 99 + "b", "a" * 500)
    assert time.process_time() - started < 0.1


def _rule(since: float, until: float | None, name: str = "mine") -> OwnRule:
    made = ReplyRule(name=name, pattern="abc", action=RuleAction.WAIT, seconds=60, hosts=("a.example",), meaning="w")
    return OwnRule(made, "abc", "anna@example.com", since, until)


def test_a_name_is_free_again_when_its_rule_is_over_or_removed(example: Engine) -> None:
    with write(example) as connection:
        own_rules.put(connection, _rule(100.0, 200.0))
        with pytest.raises(AlreadyExists):
            own_rules.put(connection, _rule(199.0, None))
        own_rules.put(connection, _rule(200.0, None))
    with read(example) as connection:
        (kept,) = own_rules.load(connection)
    assert (kept.since, kept.until, kept.rule.hosts, kept.author) == (200.0, None, ("a.example",), "anna@example.com")
    with write(example) as connection:
        own_rules.remove(connection, "mine")
        assert own_rules.load(connection) == ()
        with pytest.raises(NotFound):
            own_rules.remove(connection, "mine")


def test_what_is_over_is_deleted_by_the_next_that_is_made(example: Engine) -> None:
    with write(example) as connection:
        own_rules.put(connection, _rule(100.0, 200.0, "over"))
        own_rules.put(connection, _rule(100.0, 201.0, "holds"))
        own_rules.put(connection, _rule(100.0, None, "always"))
        own_rules.put(connection, _rule(200.0, None, "new"))
        assert {one.rule.name for one in own_rules.load(connection)} == {"holds", "always", "new"}


def test_there_are_so_many_rules_and_no_more(example: Engine) -> None:
    with write(example) as connection:
        for number in range(own_rules.MAX_RULES):
            own_rules.put(connection, _rule(100.0, 200.0 if number == 0 else None, f"rule-{number}"))
        with pytest.raises(Invalid, match="remove one first"):
            own_rules.put(connection, _rule(199.0, None))
        own_rules.put(connection, _rule(200.0, None))  # the first is over
        with pytest.raises(Invalid):
            own_rules.put(connection, _rule(200.0, None, "more"))
        own_rules.remove(connection, "mine")
        own_rules.put(connection, _rule(200.0, None, "more"))
        assert len(own_rules.load(connection)) == own_rules.MAX_RULES


@pytest.mark.parametrize(
    "changed",
    [
        {"name": "My rule"},
        {"words": " * "},
        {"words": "a" * 201},
        {"reason": ""},
        {"hosts": ("no host!",)},
        {"seconds": 0.0},
        {"seconds": 8 * 86400.0},
        {"rate": "60/hour"},
        {"action": RuleAction.GIVE_UP},
        {"action": RuleAction.SLOW_DOWN},
        {"action": RuleAction.SLOW_DOWN, "rate": "often"},
    ],
)
def test_a_rule_that_can_not_be_is_refused(changed: dict[str, object]) -> None:
    good: dict[str, object] = {"name": "mine", "words": "450 busy", "action": RuleAction.WAIT, "reason": "why"}
    RuleSettings(**good | {"seconds": 60.0})  # type: ignore[arg-type]  # the fields by name
    with pytest.raises(Invalid):
        RuleSettings(**good | {"seconds": 60.0} | changed)  # type: ignore[arg-type]
