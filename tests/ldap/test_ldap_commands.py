"""`outgate ldap` with a real directory."""

import shutil
from pathlib import Path

import pytest

from cli.program import PASSWORD, Program
from ldap.slapd import Slapd, dn_of, person
from outgate.cli.status import Status
from outgate.directory import users
from outgate.operations.moments import MOMENT
from way.place import install


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With alice and bob, who are kept here. Never used itself, only copied."""
    return install(tmp_path_factory.mktemp("ldap") / "data", dkim_key=False).data


@pytest.fixture
def program(made: Path, tmp_path: Path, settings: dict[str, object]) -> Program:
    shutil.copytree(made, tmp_path / "data")
    configuration = tmp_path / "data" / "outgate.toml"
    lines = "\n".join(f"{key} = {value!r}" for key, value in settings.items())
    configuration.write_text(configuration.read_text().replace("[ldap]\n", f"[ldap]\n{lines}\n"))
    return Program(tmp_path / "data")


def people(program: Program) -> dict[str, users.User]:
    with program.reading() as connection:
        return {user.address.partition("@")[0]: user for user in users.users(connection) if user.external}


def counts(said: dict[str, dict[str, int]]) -> dict[str, int]:
    return {kind: count for kind, count in said["counts"].items() if count}


def test_check_shows_what_is_there(program: Program) -> None:
    said = program.run("ldap", "check")
    assert (said["users"], said["faulty"], len(said["first"])) == (30, 0, 5)
    assert "30 users" in program.says("ldap", "check")
    assert people(program) == {}


def test_a_dry_run_changes_nothing_and_a_second_sync_neither(program: Program) -> None:
    assert counts(program.run("ldap", "sync", "--dry-run")) == {"create": 30}
    assert people(program) == {}
    assert counts(program.run("ldap", "sync")) == {"create": 30}
    assert len(people(program)) == 30
    assert counts(program.run("ldap", "sync")) == {}
    assert "nothing to do" in program.says("ldap", "sync")


def test_each_account_has_a_short_transaction_with_room_behind_it(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Submissions go on beside a sync, as beside an import."""
    slow = SlowClock()
    monkeypatch.setattr("outgate.operations.moments.time", slow)
    dry = program.run("ldap", "sync", "--dry-run")
    assert len(slow.slept) == 30
    done = program.run("ldap", "sync")
    assert len(slow.slept) == 60
    assert all(seconds > 0 for seconds in slow.slept)
    assert (counts(dry), dry["problems"]) == (counts(done), done["problems"])


class SlowClock:
    """Whatever is done takes so long that a transaction's time is over."""

    def __init__(self) -> None:
        self.now, self.slept = 0.0, list[float]()

    def monotonic(self) -> float:
        self.now += MOMENT * 0.6
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


def test_changes_in_the_directory_follow(program: Program, slapd: Slapd) -> None:
    program.run("ldap", "sync")
    slapd.modify(dn_of("user1"), "cn", "Ann Other")
    slapd.rename(dn_of("user2"), "uid=moved")
    slapd.delete(dn_of("user3"))
    assert counts(program.run("ldap", "sync")) == {"rename": 1, "link": 1, "suspend": 1}
    now = people(program)
    assert now["user1"].name == "Ann Other"
    assert now["user2"].external == users.External(now["user2"].external.id, dn_of("moved"))  # type: ignore[union-attr]  # it has one
    assert now["user3"].suspended
    for operation, times in (("user.create", 30), ("user.suspend", 1), ("user.edit", 1), ("user.link", 2)):
        assert len(program.run("audit", "list", "--operation", operation, "--limit", "100")) == times


def test_who_was_disabled_comes_back_but_not_whom_an_administrator_suspended(program: Program, slapd: Slapd) -> None:
    program.run("ldap", "sync")
    program.run("user", "suspend", "user1@example.com")
    slapd.modify(dn_of("user2"), "objectClass", ("inetOrgPerson", "adUser"))
    slapd.modify(dn_of("user2"), "userAccountControl", "514")
    assert counts(program.run("ldap", "sync")) == {"suspend": 1}
    slapd.modify(dn_of("user2"), "userAccountControl", "512")
    assert counts(program.run("ldap", "sync")) == {"link": 1, "resume": 1}
    assert {name for name, user in people(program).items() if user.suspended} == {"user1"}


def test_a_user_who_is_kept_here_is_taken_over_only_when_asked(program: Program, slapd: Slapd) -> None:
    slapd.add(person("alice"))
    said = program.run("ldap", "sync")
    assert [problem["text"] for problem in said["problems"]] == [
        "there is an account alice@example.com that is kept here; --adopt makes it this entry's"
    ]
    assert counts(program.run("ldap", "sync", "--adopt")) == {"adopt": 1, "rename": 1}
    shown = program.run("user", "show", "alice@example.com")
    assert (shown["has_password"], shown["ldap_dn"]) == (False, dn_of("alice"))


def test_the_password_of_a_user_of_the_directory_is_not_set_here(program: Program) -> None:
    program.run("ldap", "sync")
    text = program.fails(
        Status.NOT_ALLOWED, "user", "password", "user1@example.com", "--password-stdin", stdin=f"{PASSWORD}\n"
    )
    assert "change it there" in text


def test_many_suspensions_must_be_asked_for(program: Program, slapd: Slapd) -> None:
    program.run("ldap", "sync")
    slapd.delete(*(dn_of(f"user{number}") for number in range(7)))
    assert "7 of 30 users" in program.fails(Status.NOT_ALLOWED, "ldap", "sync")
    assert not any(user.suspended for user in people(program).values())
    assert counts(program.run("ldap", "sync", "--force")) == {"suspend": 7}


def test_an_entry_that_can_not_be_a_user_is_named_and_left_alone(program: Program, slapd: Slapd) -> None:
    slapd.add(person("far", mail="far@elsewhere.example"), person("big", cn=b"x" * 2**20))
    for options in (["--dry-run"], []):
        said = program.run("ldap", "sync", *options)
        assert counts(said) == {"create": 30}
        problems = {problem["subject"]: problem["text"] for problem in said["problems"]}
        assert "elsewhere.example is not one of the organisation's domains" in problems["far@elsewhere.example"]
        assert "1048576 bytes" in problems[dn_of("big")]
    assert len(people(program)) == 30


def test_a_directory_that_is_down_suspends_nobody(program: Program, slapd: Slapd) -> None:
    program.run("ldap", "sync")
    slapd.stop()
    for command in ("sync", "check"):
        assert "ldaps://localhost" in program.fails(Status.UNAVAILABLE, "ldap", command)
    assert not any(user.suspended for user in people(program).values())


def test_without_settings_they_are_asked_for(made: Path) -> None:
    assert "ldap.url" in Program(made).fails(Status.UNAVAILABLE, "ldap", "check")
