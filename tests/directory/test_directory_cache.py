"""directory.cache: copies in memory, never out of date."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Connection, Engine

from outgate.directory import organisation, policies, users
from outgate.directory.cache import DirectoryCache
from outgate.directory.settings import ALLOW_EXTERNAL_SMTP
from outgate.directory.users import Credentials
from outgate.sendas import send_as_addresses
from outgate.store.engine import open_engine, write

ALICE = "alice@example.com"

# Each change, and what another process must see of it at its next question.
CHANGES: list[tuple[Callable[[Connection], object], Callable[[DirectoryCache, int], object]]] = [
    (lambda c: users.suspend(c, ALICE), lambda d, alice: d.account(alice)),
    (lambda c: users.suspend(c, ALICE), lambda d, _: d.login(ALICE)),
    (lambda c: users.move(c, ALICE, "/"), lambda d, alice: d.account(alice)),
    (lambda c: users.set_credentials(c, ALICE, Credentials("hash", "scram")), lambda d, _: d.login(ALICE)),
    (lambda c: users.remove(c, ALICE), lambda d, alice: d.account(alice)),
    (lambda c: users.remove(c, ALICE), lambda d, _: d.mailbox(ALICE)),
    (
        lambda c: policies.set_value(c, "/", ALLOW_EXTERNAL_SMTP, True, 0.0),
        lambda d, alice: d.account(alice),
    ),
    (lambda c: organisation.add_domain(c, "example.org", 0.0), lambda d, _: d.organisation()),
    (
        lambda c: send_as_addresses.add(c, users.find(c, ALICE).id, "a@dominiopartner.example", 0.0),
        lambda d, alice: d.account(alice),
    ),
    (
        lambda c: send_as_addresses.edit(c, users.find(c, ALICE).id, ALICE, display_name="A."),
        lambda d, alice: d.account(alice),
    ),
]


@pytest.mark.parametrize(("change", "ask"), CHANGES)
def test_a_change_by_another_process_is_in_force_at_the_next_call(
    example: Engine,
    alice: int,
    change: Callable[[Connection], object],
    ask: Callable[[DirectoryCache, int], object],
) -> None:
    directory = DirectoryCache(example)
    before = ask(directory, alice)
    other = open_engine(example.url.render_as_string(hide_password=False))
    with write(other) as connection:
        change(connection)
    other.dispose()
    assert ask(directory, alice) != before


def test_without_a_change_the_same_copy_is_given(example: Engine, alice: int) -> None:
    directory = DirectoryCache(example)
    assert directory.account(alice) is directory.account(alice)
    assert directory.account(alice, directory.version()) is directory.account(alice)


def test_a_change_that_is_undone_is_never_seen(example: Engine, alice: int) -> None:
    directory = DirectoryCache(example)
    before = directory.account(alice)

    def fail() -> None:
        with write(example) as connection:
            users.suspend(connection, ALICE)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert directory.account(alice) is before


def test_more_questions_than_copies_are_answered_all_the_same(example: Engine, alice: int, bob: int) -> None:
    directory = DirectoryCache(example, copies=1)
    for _ in range(3):
        assert directory.mailbox(ALICE) == ALICE
        assert directory.mailbox("bob@example.com") == "bob@example.com"
        assert [directory.account(alice) is None, directory.account(bob) is None] == [False, False]


def test_before_there_is_an_organisation_there_is_nothing(engine: Engine) -> None:
    directory = DirectoryCache(engine)
    assert directory.version() == 0
    assert directory.account(1) is None
    assert directory.login(ALICE) is None
    assert directory.mailbox(ALICE) is None
    assert directory.organisation().domains == frozenset()


def test_many_threads_see_their_own_changes_at_once(example: Engine, alice: int) -> None:
    directory = DirectoryCache(example)

    def add_and_look(number: int) -> None:
        with write(example) as connection:
            send_as_addresses.add(connection, alice, f"a{number}@dominiopartner.example", 0.0)
        account = directory.account(alice)
        assert account
        assert f"a{number}@dominiopartner.example" in account.send_as

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(add_and_look, range(20)))
