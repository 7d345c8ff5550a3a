"""sendas.verification: a code proves an address once, within its time and tries, and can't be guessed."""

import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from sqlalchemy import Engine, select

from outgate.directory import accounts, users
from outgate.directory.errors import DirectoryError, Invalid, NotAllowed, NotFound
from outgate.sendas import send_as_addresses, verification
from outgate.sendas.verification import CodeExpired, WrongCode, confirm
from outgate.store import tables
from outgate.store.engine import read, write
from outgate.store.vault import Vault

EXTERNAL = "alice@dominiopartner.example"
DAY = 86400.0


@pytest.fixture
def pending(example: Engine, alice: int) -> Engine:
    """Alice has added an external address."""
    with write(example) as connection:
        send_as_addresses.add(connection, alice, EXTERNAL, 0.0)
    return example


def send(engine: Engine, vault: Vault, account_id: int, now: float = 0.0, address: str = EXTERNAL) -> str:
    with write(engine) as connection:
        return verification.start(connection, vault, account_id, address, now).code


def is_verified(engine: Engine, account_id: int, address: str = EXTERNAL) -> bool:
    with read(engine) as connection:
        account = accounts.load(connection, account_id)
    assert account
    return account.send_as[address].verified


def other_than(code: str) -> str:
    return f"{(int(code) + 1) % 10**9:09}"


def test_the_code_has_nine_digits_and_only_a_digest_is_kept(pending: Engine, vault: Vault, alice: int) -> None:
    code = send(pending, vault, alice)
    assert re.fullmatch(r"[0-9]{9}", code)
    with read(pending) as connection:
        (row,) = connection.execute(select(tables.verification)).all()
    assert code not in repr(row)
    assert (row.tries_left, row.expires_at) == (5, 3 * DAY)


@pytest.mark.parametrize("written", ["{0}", " {0} ", "{1} {2} {3}", "{1}-{2}-{3}"])
def test_the_code_proves_the_address(pending: Engine, vault: Vault, alice: int, written: str) -> None:
    code = send(pending, vault, alice)
    assert not is_verified(pending, alice)
    confirm(pending, vault, alice, EXTERNAL, written.format(code, code[:3], code[3:6], code[6:]), 1.0)
    assert is_verified(pending, alice)


def test_a_code_is_good_once(pending: Engine, vault: Vault, alice: int) -> None:
    code = send(pending, vault, alice)
    confirm(pending, vault, alice, EXTERNAL, code, 1.0)
    with pytest.raises(Invalid, match="confirmed already"):
        confirm(pending, vault, alice, EXTERNAL, code, 1.0)
    with write(pending) as connection:
        send_as_addresses.remove(connection, alice, EXTERNAL)
        send_as_addresses.add(connection, alice, EXTERNAL, 2.0)
    with pytest.raises(NotFound, match="no code is waiting"):
        confirm(pending, vault, alice, EXTERNAL, code, 2.0)


def test_after_five_wrong_codes_the_right_one_is_void(pending: Engine, vault: Vault, alice: int) -> None:
    code = send(pending, vault, alice)
    for left in (4, 3, 2, 1, 0):
        with pytest.raises(WrongCode) as caught:
            confirm(pending, vault, alice, EXTERNAL, other_than(code), 1.0)
        assert caught.value.tries_left == left
    with pytest.raises(WrongCode, match="have a new code sent"):
        confirm(pending, vault, alice, EXTERNAL, code, 1.0)
    assert not is_verified(pending, alice)


@pytest.mark.parametrize("wrong", ["", "12345678", "x" * 9, "१२३४५६७८९", "1" * 1000, "\0"])
def test_what_is_no_code_is_a_wrong_code(pending: Engine, vault: Vault, alice: int, wrong: str) -> None:
    send(pending, vault, alice)
    with pytest.raises(WrongCode):
        confirm(pending, vault, alice, EXTERNAL, wrong, 1.0)


def test_a_code_expires_after_three_days(pending: Engine, vault: Vault, alice: int) -> None:
    code = send(pending, vault, alice)
    with pytest.raises(CodeExpired):
        confirm(pending, vault, alice, EXTERNAL, code, 3 * DAY)
    confirm(pending, vault, alice, EXTERNAL, code, 3 * DAY - 1)


def test_a_new_code_makes_the_former_void(pending: Engine, vault: Vault, alice: int) -> None:
    former = send(pending, vault, alice)
    code = send(pending, vault, alice)
    with pytest.raises(WrongCode):
        confirm(pending, vault, alice, EXTERNAL, former, 1.0)
    confirm(pending, vault, alice, EXTERNAL, code, 1.0)


def test_five_codes_an_hour_are_sent_even_if_the_address_is_added_anew(
    pending: Engine, vault: Vault, alice: int, bob: int
) -> None:
    for minute in range(5):
        send(pending, vault, alice, minute * 60.0)
    with write(pending) as connection:
        send_as_addresses.remove(connection, alice, EXTERNAL)
        send_as_addresses.add(connection, alice, EXTERNAL, 300.0)
        send_as_addresses.add(connection, bob, EXTERNAL, 300.0)
    with pytest.raises(NotAllowed, match="in 56 minutes"):
        send(pending, vault, alice, 300.0)
    send(pending, vault, bob, 300.0)
    send(pending, vault, alice, 3600.0)


def test_twenty_codes_an_hour_are_sent_for_all_addresses_of_an_account(
    pending: Engine, vault: Vault, alice: int
) -> None:
    for number in range(21):
        with write(pending) as connection:
            send_as_addresses.add(connection, alice, f"a{number}@p.example", 0.0)
    for number in range(20):
        send(pending, vault, alice, 0.0, f"a{number}@p.example")
    with pytest.raises(NotAllowed):
        send(pending, vault, alice, 1.0, "a20@p.example")


def test_a_code_of_another_address_or_account_is_wrong(pending: Engine, vault: Vault, alice: int, bob: int) -> None:
    with write(pending) as connection:
        send_as_addresses.add(connection, alice, "a2@p.example", 0.0)
        send_as_addresses.add(connection, bob, EXTERNAL, 0.0)
    code = send(pending, vault, alice)
    send(pending, vault, alice, address="a2@p.example")
    send(pending, vault, bob)
    with pytest.raises(WrongCode):
        confirm(pending, vault, alice, "a2@p.example", code, 1.0)
    with pytest.raises(WrongCode):
        confirm(pending, vault, bob, EXTERNAL, code, 1.0)


def test_no_code_is_sent_to_a_confirmed_or_unknown_address(pending: Engine, vault: Vault, alice: int) -> None:
    with pytest.raises(Invalid, match="confirmed already"):
        send(pending, vault, alice, address="alice@example.com")
    with pytest.raises(NotFound):
        send(pending, vault, alice, address="carol@p.example")


def test_guesses_at_the_same_time_have_five_tries_together(pending: Engine, vault: Vault, alice: int) -> None:
    code = send(pending, vault, alice)

    def guess(_: int) -> int:
        try:
            confirm(pending, vault, alice, EXTERNAL, other_than(code), 1.0)
        except WrongCode as error:
            return error.tries_left
        return -1

    with ThreadPoolExecutor(4) as threads:
        assert sorted(threads.map(guess, range(8))) == [0, 0, 0, 0, 1, 2, 3, 4]


def test_the_same_code_entered_twice_at_the_same_time_is_taken_once(pending: Engine, vault: Vault, alice: int) -> None:
    code = send(pending, vault, alice)

    def enter(_: int) -> bool:
        try:
            confirm(pending, vault, alice, EXTERNAL, code, 1.0)
        except Invalid:
            return False
        return True

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(enter, range(4))) == 1


class Verification(RuleBasedStateMachine):
    """Against a model of four variables: the code in force, tries left, expiry, confirmed."""

    runs = 0

    def __init__(self, engine: Engine, vault: Vault) -> None:
        super().__init__()
        Verification.runs += 1
        self.engine, self.vault, self.now = engine, vault, 1000.0
        self.address = f"run{Verification.runs}@p.example"
        self.code, self.former, self.tries, self.expires, self.confirmed = "", "", 0, 0.0, False
        self.sent: list[float] = []
        with write(engine) as connection:
            user = users.create(connection, f"run{Verification.runs}@example.com", None, 0.0)
            send_as_addresses.add(connection, user.id, self.address, 0.0)
        self.account = user.id

    @rule(seconds=st.sampled_from([1.0, 600.0, 3600.0, DAY, 3 * DAY]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def a_code_is_sent(self) -> None:
        recent = [at for at in self.sent if at > self.now - 3600]
        try:
            code = send(self.engine, self.vault, self.account, self.now, self.address)
        except DirectoryError:
            assert self.confirmed or len(recent) >= 5
            return
        assert not self.confirmed
        assert len(recent) < 5
        self.sent.append(self.now)
        self.former, self.code, self.tries, self.expires = self.code, code, 5, self.now + 3 * DAY

    @rule(which=st.sampled_from(["right", "wrong", "former"]))
    def a_code_is_entered(self, which: str) -> None:
        code = {"right": self.code, "wrong": other_than(self.code or "0"), "former": self.former}[which]
        good = bool(self.code) and code == self.code and self.tries > 0 and self.now < self.expires
        outcome = self.enter(code)
        assert (outcome is None) == good
        if good:
            self.confirmed, self.code = True, ""
        elif isinstance(outcome, WrongCode):
            self.tries = max(self.tries - 1, 0)
            assert outcome.tries_left == self.tries

    def enter(self, code: str) -> DirectoryError | None:
        try:
            confirm(self.engine, self.vault, self.account, self.address, code, self.now)
        except DirectoryError as error:
            return error
        return None

    @invariant()
    def confirmed_as_the_model_says(self) -> None:
        assert is_verified(self.engine, self.account, self.address) == self.confirmed


def test_any_order_of_events_agrees_with_the_model(example: Engine, vault: Vault) -> None:
    class Here(Verification):
        def __init__(self) -> None:
            super().__init__(example, vault)

    run_state_machine_as_test(
        Here,
        settings=settings(
            max_examples=20, stateful_step_count=15, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
