"""What holds mail back has a reason, and an end that can be shown; a rule has a name of its own."""

from collections.abc import Callable

import pytest
from sqlalchemy import Engine

from outgate.directory import own_rules, restrictions
from outgate.directory.errors import AlreadyExists, Invalid
from outgate.directory.reply_rules import LONGEST_REPLY, RuleAction, shipped
from outgate.iso_time import iso
from outgate.model import QueueKey
from outgate.operations import reply_rule_operations, restriction_operations
from outgate.operations.actor import Actor
from outgate.operations.context import OperationContext
from outgate.operations.reply_rule_operations import RuleSettings
from outgate.operations.restriction_operations import MAX_DAYS, Ceiling
from outgate.store.engine import write
from outgate.store.vault import Vault

NOW = 1_700_000_000.0
QUEUE = QueueKey.parse("mx:recipient.example")
LONGEST = MAX_DAYS * 86400.0

Held = Callable[[OperationContext, float | None], object]


def _suspended(op: OperationContext, seconds: float | None) -> float | None:
    restriction_operations.suspend(op, [QUEUE], "why", seconds)
    return restrictions.load(op.connection).by_queue[QUEUE][0].until


def _rule(name: str = "mine") -> RuleSettings:
    return RuleSettings(name, "450 busy", RuleAction.WAIT, "why", seconds=60.0)


def _ruled(op: OperationContext, seconds: float | None) -> float | None:
    return reply_rule_operations.add(op, shipped(), _rule(), seconds).until


@pytest.mark.parametrize("hold", [_suspended, _ruled])
def test_what_is_to_end_ends_within_a_year_or_never(example: Engine, vault: Vault, hold: Held) -> None:
    with write(example) as connection:
        op = OperationContext(connection, vault, Actor.console("root"), NOW)
        for seconds in (LONGEST + 1, 99_999_999 * 3600.0, 999_999_999 * 3600.0, 999_999 * 86400.0, 0.0, -1.0):
            with pytest.raises(Invalid, match=f"at most {MAX_DAYS} days"):
                hold(op, seconds)
        assert restrictions.load(connection).by_queue == {}
        assert own_rules.load(connection) == ()
        until = hold(op, LONGEST)
        assert until == NOW + LONGEST
        assert iso(until) == "2024-11-14T22:13:20.000Z"


@pytest.mark.parametrize("hold", [_suspended, _ruled])
def test_without_a_time_there_is_no_end(example: Engine, vault: Vault, hold: Held) -> None:
    with write(example) as connection:
        assert hold(OperationContext(connection, vault, Actor.console("root"), NOW), None) is None


@pytest.mark.parametrize("reason", ["", "  "])
def test_a_ceiling_needs_a_reason_and_taking_it_away_does_not(example: Engine, vault: Vault, reason: str) -> None:
    with write(example) as connection:
        op = OperationContext(connection, vault, Actor.console("root"), NOW)
        restriction_operations.limit(op, [QUEUE], Ceiling(2), "agreed")
        with pytest.raises(Invalid, match="say why there is to be a ceiling"):
            restriction_operations.limit(op, [QUEUE], Ceiling(3), reason)
        assert [one.connections for one in restrictions.load(connection).by_queue[QUEUE]] == [2]
        restriction_operations.limit(op, [QUEUE], None, reason)
        assert restrictions.load(connection).by_queue == {}


def test_no_rule_has_the_name_of_one_that_is_installed(example: Engine, vault: Vault) -> None:
    with write(example) as connection:
        op = OperationContext(connection, vault, Actor.console("root"), NOW)
        for installed in shipped().all:
            with pytest.raises(AlreadyExists, match=installed.name):
                reply_rule_operations.add(op, shipped(), _rule(installed.name), None)
        assert own_rules.load(connection) == ()


def test_a_trial_reads_replies_as_delivery_does(example: Engine, vault: Vault) -> None:
    """As much of them as is kept, own rules first, and names of servers in whatever case."""
    settings = RuleSettings("mine", "450 busy", RuleAction.WAIT, "why", ("partner.example",), seconds=60.0)
    own = settings.rule()
    with write(example) as connection:
        op = OperationContext(connection, vault, Actor.console("root"), NOW)
        reply_rule_operations.add(op, shipped(), settings, None)
        replies = ["450 busy", "x" * LONGEST_REPLY + "450 busy", "550 5.7.1 nothing that a rule speaks of"]
        for host in ("smtp.partner.example", "SMTP.Partner.example.", "partner.example", "other.example"):
            for reply in replies:
                shown = reply_rule_operations.reading(op, shipped(), reply, host)
                assert (shown and shown.rule) == shipped().behind([own]).find(host, reply)
                assert (shown is not None) == (reply == "450 busy" and host != "other.example")
                assert shown is None or (shown.own is not None and shown.own.words == "450 busy")
