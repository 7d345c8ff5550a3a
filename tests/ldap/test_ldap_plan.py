"""What a sync would do, from entries and accounts alone."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgate.directory.users import External, ReplyFrom, User
from outgate.ldap.entries import Fault, LdapEntry
from outgate.ldap.sync import StepKind, SyncStep, plan


def entry(id_: str, who: str = "alice", **changes: object) -> LdapEntry:
    return replace(LdapEntry(id_, f"uid={who}", f"{who}@example.com", who.title()), **changes)  # type: ignore[arg-type]  # as given


def user(who: str = "alice", external: External | None = None, **changes: object) -> User:
    made = User(1, f"{who}@example.com", who.title(), "/", False, 0.0, "en", ReplyFrom.RECEIVED, external)
    return replace(made, **changes)  # type: ignore[arg-type]  # as given


def kinds(users: Sequence[User], found: Sequence[LdapEntry | Fault], *, adopt: bool = False) -> list[str]:
    return [step.kind.value for step in plan(users, found, adopt=adopt).steps]


LINKED = External("1", "uid=alice")


def test_who_is_new_is_created_and_who_is_disabled_is_not() -> None:
    assert kinds([], [entry("1")]) == ["create"]
    assert kinds([], [entry("1", disabled=True)]) == []


def test_what_is_equal_needs_nothing() -> None:
    assert kinds([user(external=LINKED)], [entry("1")]) == []


def test_names_units_and_dns_follow() -> None:
    changed = entry("1", name="Alice Rossi", unit="/Sales", dn="uid=a")
    assert kinds([user(external=LINKED)], [changed]) == ["link", "rename", "move"]
    assert kinds([user(external=LINKED, unit="/Sales")], [entry("1")]) == []  # no unit in the directory: an admin's


@pytest.mark.parametrize("found", [[], [entry("1", disabled=True)]])
def test_who_is_gone_or_disabled_is_suspended_once(found: list[LdapEntry]) -> None:
    (step,) = plan([user(external=LINKED)], found).steps
    assert (step.kind, step.external.dn) == (StepKind.SUSPEND, None)
    assert kinds([user(external=External("1", None), suspended=True)], found) == []


def test_only_whom_a_sync_suspended_is_resumed() -> None:
    assert kinds([user(external=External("1", None), suspended=True)], [entry("1")]) == ["link", "resume"]
    assert kinds([user(external=LINKED, suspended=True)], [entry("1")]) == []


def test_an_entry_with_a_fault_suspends_nobody() -> None:
    for fault in (Fault("1", "uid=elsewhere", "bad"), Fault(None, "uid=alice", "bad")):
        made = plan([user(external=LINKED)], [fault])
        assert (made.steps, len(made.problems)) == ((), 1)


def test_accounts_that_are_there_are_taken_over_only_when_asked() -> None:
    made = plan([user()], [entry("1", name="Other")])
    assert (made.steps, len(made.problems)) == ((), 1)
    assert kinds([user()], [entry("1", name="Other")], adopt=True) == ["adopt", "rename"]


def test_the_account_of_an_entry_that_is_gone_is_taken_over_only_when_asked() -> None:
    gone = user(external=External("0", "uid=alice"))
    assert kinds([gone], [entry("1")]) == ["suspend"]
    assert kinds([gone], [entry("1")], adopt=True) == ["adopt"]


def test_an_account_never_goes_from_one_present_entry_to_another() -> None:
    found = [entry("1", address="new@example.com"), entry("2")]
    made = plan([user(external=LINKED)], found, adopt=True)
    assert (made.steps, len(made.problems)) == ((), 2)


def test_what_two_entries_claim_is_nobodys() -> None:
    assert kinds([], [entry("1"), entry("2")]) == []
    assert kinds([], [entry("1"), entry("1", "bob")]) == []
    assert kinds([user(external=LINKED)], [entry("1"), entry("1", "bob")]) == []


@pytest.mark.parametrize(("gone", "of", "many"), [(5, 5, False), (6, 6, True), (6, 30, False), (7, 30, True)])
def test_many_suspensions_are_for_a_person_to_decide(gone: int, of: int, many: bool) -> None:
    there = [user(f"u{number}", External(str(number), f"uid=u{number}")) for number in range(of)]
    assert plan(there, [entry(str(number), f"u{number}") for number in range(gone, of)]).suspends_too_many is many


NAMES = st.sampled_from(["alice", "bob", "carol"])
ENTRIES = st.builds(
    LdapEntry,
    id=st.sampled_from("1234"),
    dn=st.sampled_from(["uid=a", "uid=b", "uid=c"]),
    address=NAMES.map("{}@example.com".format),
    name=st.sampled_from(["", "One", "Two"]),
    unit=st.sampled_from([None, "/", "/Sales"]),
    disabled=st.booleans(),
)
FOUND = st.lists(
    ENTRIES | st.builds(Fault, id=st.sampled_from([None, "1", "2"]), dn=st.just("uid=a"), text=st.just(""))
)


@given(st.lists(NAMES, unique=True), st.lists(FOUND, min_size=1, max_size=4), st.booleans())
def test_a_second_sync_finds_nothing_to_do(
    local: list[str], states: list[list[LdapEntry | Fault]], adopt: bool
) -> None:
    users = {f"{name}@example.com": user(name) for name in local}
    for found in states:
        for step in plan(list(users.values()), found, adopt=adopt).steps:
            users[step.address] = _done(users.get(step.address), step)
        assert kinds(list(users.values()), found, adopt=adopt) == []
        ids = [one.external.id for one in users.values() if one.external]
        assert len(ids) == len(set(ids))


def _done(before: User | None, step: SyncStep) -> User:
    if before is None:
        assert step.kind is StepKind.CREATE
        return User(1, step.address, step.name, step.unit or "/", False, 0.0, "en", ReplyFrom.RECEIVED, step.external)
    assert step.kind is not StepKind.CREATE
    match step.kind:
        case StepKind.RENAME:
            return replace(before, name=step.name)
        case StepKind.MOVE:
            return replace(before, unit=step.unit or "/")
        case StepKind.RESUME:
            return replace(before, suspended=False)
        case StepKind.SUSPEND:
            return replace(before, suspended=True, external=step.external)
    return replace(before, external=step.external)
