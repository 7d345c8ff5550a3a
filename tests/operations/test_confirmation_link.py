"""The confirmation link: good once, for its time, for its address; what is spent or forged is refused and recorded."""

import base64

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from outgate.directory import accounts, users
from outgate.operations import confirmation_operations
from outgate.operations.confirmation import Confirmation
from outgate.record import audit_trail
from outgate.record.audit_trail import AuditFilter
from outgate.sendas import send_as_addresses, verification
from outgate.sendas.verification import VALID_SECONDS, BadLink, Challenge, LinkUsed
from outgate.store.engine import read, write
from outgate.store.vault import Vault

PARTNER = "alice@dominiopartner.example"


def challenge(engine: Engine, vault: Vault, account_id: int, now: float = 0.0) -> Challenge:
    with write(engine) as connection:
        if PARTNER not in {one.address for one in send_as_addresses.addresses(connection, account_id)}:
            send_as_addresses.add(connection, account_id, PARTNER, now)
        return verification.start(connection, vault, account_id, PARTNER, now)


def is_verified(engine: Engine, account_id: int) -> bool:
    with read(engine) as connection:
        account = accounts.load(connection, account_id)
    assert account
    return account.send_as[PARTNER].verified


def outcomes(engine: Engine) -> list[tuple[str, str, str, str]]:
    with read(engine) as connection:
        found = [one.entry for one in audit_trail.search(connection, AuditFilter())][::-1]
    return [(one.operation, one.outcome, one.target, one.peer) for one in found]


def test_a_link_is_good_once_and_a_replay_is_recorded(example: Engine, vault: Vault, alice: int) -> None:
    token = challenge(example, vault, alice).token
    assert confirmation_operations.confirm_link(example, vault, token, "192.0.2.1", 1.0) == PARTNER
    assert is_verified(example, alice)
    with pytest.raises(LinkUsed):
        confirmation_operations.confirm_link(example, vault, token, "198.51.100.9", 2.0)
    assert outcomes(example) == [
        ("send-as.verify", "done", "alice@example.com", "192.0.2.1"),
        ("send-as.verify", "refused", "alice@example.com", "198.51.100.9"),
    ]


def test_codes_that_are_sent_at_one_moment_are_messages_of_their_own(example: Engine, vault: Vault) -> None:
    """An import sends many within a millisecond."""
    confirmation, sent, now = Confirmation("mail.example.com"), set(), 1_800_000_000.0
    with write(example) as connection:
        for number in range(20):
            user = users.create(connection, f"u{number}@example.com", None, now)
            account = accounts.load(connection, user.id)
            assert account
            for address in [f"u{number}.{n}@dominiopartner.example" for n in range(5)]:
                send_as_addresses.add(connection, user.id, address, now)
                sent.add(confirmation.send(connection, vault, account, address, now))
    assert len(sent) == 100


def test_a_link_expires(example: Engine, vault: Vault, alice: int) -> None:
    token = challenge(example, vault, alice).token
    with pytest.raises(LinkUsed):
        confirmation_operations.confirm_link(example, vault, token, "", VALID_SECONDS)
    assert not is_verified(example, alice)


def test_a_newer_link_or_a_used_code_makes_the_former_link_void(example: Engine, vault: Vault, alice: int) -> None:
    former, newer = challenge(example, vault, alice), challenge(example, vault, alice, 1.0)
    with pytest.raises(LinkUsed):
        confirmation_operations.confirm_link(example, vault, former.token, "", 2.0)
    verification.confirm(example, vault, alice, PARTNER, newer.code, 3.0)
    with pytest.raises(LinkUsed):
        confirmation_operations.confirm_link(example, vault, newer.token, "", 4.0)


def test_the_link_of_a_deleted_address_does_not_confirm_the_next_one(example: Engine, vault: Vault, alice: int) -> None:
    token = challenge(example, vault, alice).token
    with write(example) as connection:
        send_as_addresses.remove(connection, alice, PARTNER)
    challenge(example, vault, alice, 1.0)
    with pytest.raises(LinkUsed):
        confirmation_operations.confirm_link(example, vault, token, "", 2.0)
    assert not is_verified(example, alice)
    assert outcomes(example)[-1][2] in ("", "alice@example.com")


def test_a_spent_link_is_not_laid_to_the_account_of_a_later_address(
    example: Engine, vault: Vault, alice: int, bob: int
) -> None:
    token = challenge(example, vault, alice).token
    with write(example) as connection:
        send_as_addresses.remove(connection, alice, PARTNER)
    challenge(example, vault, bob, 1.0)
    with pytest.raises(LinkUsed):
        confirmation_operations.confirm_link(example, vault, token, "", 2.0)
    assert outcomes(example)[-1][2] == ""


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(place=st.integers(0, 47), bit=st.integers(0, 7))
def test_a_link_with_a_bit_flipped_is_not_ours(vault: Vault, place: int, bit: int) -> None:
    token = verification._token(vault, 7, 1e9, bytes(16))
    data = bytearray(base64.urlsafe_b64decode(token + "=="))
    data[place] ^= 1 << bit
    with pytest.raises(BadLink):
        verification._opened(vault, base64.urlsafe_b64encode(bytes(data)).decode().rstrip("="))


@given(st.text(max_size=80))
def test_what_is_no_link_is_refused(text: str) -> None:
    with pytest.raises(BadLink):
        verification._opened(Vault({"k": bytes(32)}, "k"), text)


def test_an_address_is_confirmed_by_two_accounts(example: Engine, vault: Vault, alice: int, bob: int) -> None:
    """A shared mailbox: each proves it, and each would have its own credential."""
    tokens = [challenge(example, vault, one).token for one in (alice, bob)]
    for token in tokens:
        assert confirmation_operations.confirm_link(example, vault, token, "", 1.0) == PARTNER
    assert is_verified(example, alice)
    assert is_verified(example, bob)


def test_nothing_is_shown_of_the_challenge_by_its_repr(example: Engine, vault: Vault, alice: int) -> None:
    made = challenge(example, vault, alice)
    assert made.code not in repr(made)
    assert made.token not in repr(made)
