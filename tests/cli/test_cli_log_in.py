"""Locked log-ins and application passwords by the command line."""

import re

import pytest

from cli.program import ALICE, Program
from outgate.accept.throttle import limits_of
from outgate.cli.status import Status
from outgate.config import LogInSettings
from outgate.store.engine import open_engine
from outgate.store.rates import Rates

LIMITS = limits_of(LogInSettings())


def fail(program: Program, account: str, network: str, times: int) -> None:
    engine = open_engine(f"sqlite:///{program.data / 'outgate.db'}")
    for _ in range(times):
        Rates(engine).hit_all(LIMITS.events(account, network))
    engine.dispose()


def test_what_is_locked_is_listed_until_it_is_unlocked(program: Program) -> None:
    assert "nothing is locked" in program.says("log-in", "locked")
    fail(program, ALICE, "192.0.2.0/24", 10)
    fail(program, ALICE, "2001:db8::/64", 10)
    fail(program, "bob@example.com", "192.0.2.0/24", 9)
    rows = program.run("log-in", "locked")
    assert [(row["account"], row["network"]) for row in rows] == [(ALICE, "192.0.2.0/24"), (ALICE, "2001:db8::/64")]
    assert all(re.fullmatch(r"\d{4}-.*T.*Z", row["until"]) for row in rows)
    assert program.run("log-in", "unlock", "192.0.2.77")["failures"] == 10 + 9 + 19
    assert [row["network"] for row in program.run("log-in", "locked")] == ["2001:db8::/64"]
    assert "unlocked alice@example.com" in program.says("user", "unlock", ALICE)
    assert program.run("log-in", "locked") == []
    assert "no failed log-ins" in program.says("user", "unlock", ALICE)


def test_a_bad_network_and_an_unknown_user_are_named(program: Program) -> None:
    assert "192.0.2.0/24" in program.fails(Status.USAGE, "log-in", "unlock", "office")
    program.fails(Status.NOT_FOUND, "user", "unlock", "nobody@example.com")


def test_an_application_password_is_shown_once_and_can_be_revoked(program: Program) -> None:
    made = program.run("app-password", "create", ALICE, "Office printer")
    assert re.fullmatch("([A-Z2-7]{4} ?){6}", made["password"])
    program.run("app-password", "create", ALICE, "Import", "--scope", "api")
    rows = program.run("app-password", "list", ALICE)
    assert [(row["name"], row["scope"], row["last_used_at"]) for row in rows] == [
        ("Office printer", "smtp", None),
        ("Import", "api", None),
    ]
    everything = program.says("app-password", "list", ALICE) + program.says("--json", "audit", "list")
    assert made["password"][:9] not in everything
    assert "revoked" in program.says("app-password", "revoke", ALICE, "Import")
    assert [row["name"] for row in program.run("app-password", "list", ALICE)] == ["Office printer"]
    program.fails(Status.NOT_FOUND, "app-password", "revoke", ALICE, "Import")
    assert "smtp or api" in program.fails(Status.USAGE, "app-password", "create", ALICE, "X", "--scope", "imap")


def test_who_may_not_make_application_passwords_makes_none(program: Program) -> None:
    program.fails(Status.NOT_ALLOWED, "--as", "bob@example.com", "app-password", "create", ALICE, "Mine")
    assert program.run("app-password", "list", ALICE) == []


@pytest.mark.parametrize(
    ("rate", "why"), [("ten", "10/10minutes"), ("10/2days", "at most a day"), ("5", "10/10minutes")]
)
def test_a_rate_that_is_none_is_named(program: Program, rate: str, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTGATE_LOG_IN__FAILURES_PER_NETWORK", rate)
    error = program.fails(Status.UNAVAILABLE, "user", "list")
    assert "OUTGATE_LOG_IN__FAILURES_PER_NETWORK" in error
    assert why in error
