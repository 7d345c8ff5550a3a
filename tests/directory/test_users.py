"""directory.users, .password and .accounts: who there is, and what the way of a message gets of them."""

import base64
import hashlib
import hmac
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine, func, select

from outgate.directory import accounts, organisation, password_hash, policies, users
from outgate.directory.errors import AlreadyExists, DirectoryError, Invalid, NotFound
from outgate.directory.gateway_settings import GatewaySettings
from outgate.directory.settings import ALLOW_EXTERNAL_SMTP
from outgate.directory.users import LONGEST_NAME, Credentials
from outgate.model import Security
from outgate.sendas import gateways, send_as_addresses
from outgate.store import tables
from outgate.store.engine import read, write
from outgate.store.vault import Vault

ALICE = "alice@example.com"


def test_a_new_user_can_send_from_the_primary_address_only(example: Engine, alice: int) -> None:
    with read(example) as connection:
        account = accounts.load(connection, alice)
    assert account
    assert (account.primary, account.name, account.unit, account.suspended) == (ALICE, "Alice", "/Sales", False)
    assert not account.policy.allow_external_smtp
    (entry,) = account.send_as.values()
    assert entry.address == ALICE
    assert entry.is_primary
    assert entry.is_default
    assert entry.verified
    assert entry.own_domain
    assert entry.gateway is None


def test_an_address_is_compared_without_regard_to_its_writing(example: Engine) -> None:
    with pytest.raises(AlreadyExists), write(example) as connection:
        users.create(connection, "Alice@EXAMPLE.com", None, 0.0)


def test_a_primary_address_is_in_an_own_domain(example: Engine) -> None:
    with pytest.raises(Invalid, match=r"dominiopartner\.example"), write(example) as connection:
        users.create(connection, "carol@dominiopartner.example", None, 0.0)


@pytest.mark.parametrize(("address", "name"), [("carol", ""), ("", ""), ("carol@example.com", "Carol\r\nBcc: x@y")])
def test_a_user_that_can_not_be_written_in_from_is_refused(example: Engine, address: str, name: str) -> None:
    with pytest.raises(Invalid), write(example) as connection:
        users.create(connection, address, None, 0.0, name=name)


def test_a_name_is_as_long_as_an_index_can_take(example: Engine) -> None:
    longest = "\U0001f4ee" * LONGEST_NAME
    with pytest.raises(Invalid, match="at most 255 characters, and this one has 256"), write(example) as connection:
        users.create(connection, "carol@example.com", None, 0.0, name=longest + "x")
    with write(example) as connection:
        users.create(connection, "carol@example.com", None, 0.0, name=longest)


def test_users_are_listed_by_address_or_by_unit(example: Engine) -> None:
    with read(example) as connection:
        assert [user.address for user in users.users(connection)] == [ALICE, "bob@example.com"]
        assert [user.address for user in users.users(connection, "/Sales")] == [ALICE]


def test_a_suspended_user_is_told_apart_until_resumed(example: Engine) -> None:
    with write(example) as connection:
        users.suspend(connection, ALICE)
        found = accounts.login(connection, ALICE)
        assert found
        assert found.suspended
        users.resume(connection, ALICE)
        found = accounts.login(connection, ALICE)
        assert found
        assert not found.suspended


def test_a_removed_user_leaves_nothing_and_the_id_is_never_used_again(
    example: Engine, alice: int, bob: int, vault: Vault
) -> None:
    with write(example) as connection:
        policies.set_value(connection, "/", ALLOW_EXTERNAL_SMTP, True, 0.0)
        send_as_addresses.add(connection, bob, "bob@dominiopartner.example", 0.0)
        server = GatewaySettings("mail.example", 465, Security.SSL)
        gateways.set_gateway(connection, vault, bob, "bob@dominiopartner.example", server, 0.0)
        users.remove(connection, "bob@example.com")
        assert connection.scalar(select(func.count()).select_from(tables.gateway)) == 0
        assert connection.scalars(select(tables.send_as.c.account_id)).all() == [alice]
        again = users.create(connection, "bob@example.com", None, 0.0)
    assert again.id not in (alice, bob)


@pytest.mark.parametrize("change", [users.suspend, users.resume, users.remove])
def test_a_user_that_is_not_there_is_told(example: Engine, change: object) -> None:
    assert callable(change)
    with pytest.raises(NotFound, match="carol"), write(example) as connection:
        change(connection, "carol@example.com")


def test_two_administrators_adding_the_same_user_make_one(example: Engine) -> None:
    def add(_: int) -> bool:
        try:
            with write(example) as connection:
                users.create(connection, "carol@example.com", None, 0.0)
        except AlreadyExists:
            return False
        return True

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(add, range(4))) == 1


def test_a_password_is_kept_as_argon2id_and_scram(example: Engine) -> None:
    with write(example) as connection:
        users.set_credentials(connection, ALICE, Credentials.derive("correct horse", 4096))
        found = accounts.login(connection, ALICE)
    assert found
    assert found.password_hash
    assert found.scram
    assert found.password_hash.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert password_hash.verify(found.password_hash, "correct horse")
    assert not password_hash.verify(found.password_hash, "wrong horse")
    assert found.password_hash not in repr(found)
    assert found.scram not in repr(found)


def test_the_scram_verifier_proves_the_password() -> None:
    """As a server checks it, RFC 5802 section 3, computed here from the text of RFC 5803."""
    mechanism, parameters, keys = Credentials.derive("pencil case", 4096).scram.split("$")
    iterations, salt = parameters.split(":")
    stored_key, server_key = (base64.b64decode(key) for key in keys.split(":"))
    salted = hashlib.pbkdf2_hmac("sha256", b"pencil case", base64.b64decode(salt), int(iterations))
    assert (mechanism, iterations) == ("SCRAM-SHA-256", "4096")
    assert stored_key == hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    assert server_key == hmac.digest(salted, b"Server Key", "sha256")


def test_the_same_characters_typed_in_another_way_are_the_same_password() -> None:
    hashed = password_hash.hash_password("caf\u00e9")
    assert password_hash.verify(hashed, "cafe\u0301")
    assert not password_hash.verify(hashed, "cafe")


@pytest.mark.parametrize("text", ["", "seven77", "\u00ad", "x" * 1025, "\0", "pass\nword", "\ud800"])
def test_a_password_has_bounds(text: str) -> None:
    with pytest.raises(Invalid):
        Credentials.derive(text, 4096)


@pytest.mark.parametrize("broken", ["", "plain", "\0", "$argon2id$", "$argon2id$v=19$m=19456,t=2,p=1$AAAA$AAAA"])
def test_a_hash_that_can_not_be_read_matches_no_password(broken: str) -> None:
    assert not password_hash.verify(broken, "")
    assert not password_hash.verify(broken, broken)


@pytest.mark.measures
def test_an_unknown_user_costs_as_much_as_a_wrong_password() -> None:
    hashed = password_hash.hash_password("secret")

    def cost(check: object, *arguments: str) -> float:
        assert callable(check)
        times = []
        for _ in range(7):
            start = time.process_time()
            assert not check(*arguments)
            times.append(time.process_time() - start)
        return min(times)

    known, unknown = cost(password_hash.verify, hashed, "wrong"), cost(password_hash.verify_nobody, "wrong")
    assert 0.5 < known / unknown < 2


def test_nobody_has_a_log_in_that_is_not_there(example: Engine) -> None:
    with read(example) as connection:
        assert accounts.login(connection, "carol@example.com") is None
        assert accounts.find(connection, "carol@example.com") is None
        assert accounts.load(connection, 999) is None


def test_an_account_is_found_by_its_primary_address_only(example: Engine, alice: int) -> None:
    with write(example) as connection:
        send_as_addresses.add(connection, alice, "sales@example.com", 0.0, granted_by_administrator=True)
        assert accounts.find(connection, "sales@example.com") is None
        found = accounts.find(connection, ALICE)
    assert found
    assert found.id == alice


@pytest.mark.parametrize(
    ("address", "mailbox"),
    [
        (ALICE, ALICE),
        ("sales@example.com", ALICE),  # granted to both, to alice first
        ("bob@example.com", "bob@example.com"),  # bob's own, though granted to alice before
        ("pending@example.com", None),
        ("nobody@example.com", None),
        ("alice+shop@example.com", ALICE),
        ("alice+bob@example.com", "bob@example.com"),  # granted as it is
        ("nobody+shop@example.com", None),
        ("alice@dominiopartner.example", None),  # not an own domain
    ],
)
def test_mail_to_an_own_address_belongs_to_one_mailbox(
    example: Engine, alice: int, bob: int, address: str, mailbox: str | None
) -> None:
    with write(example) as connection:
        send_as_addresses.add(connection, alice, "bob@example.com", -1.0, granted_by_administrator=True)
        send_as_addresses.add(connection, bob, "sales@example.com", 2.0, granted_by_administrator=True)
        send_as_addresses.add(connection, alice, "sales@example.com", 1.0, granted_by_administrator=True)
        send_as_addresses.add(connection, bob, "alice+bob@example.com", 2.0, granted_by_administrator=True)
        send_as_addresses.add(connection, alice, "pending@example.com", 0.0)
        send_as_addresses.add(connection, alice, "alice@dominiopartner.example", 0.0)
        connection.execute(
            tables.send_as.update().where(tables.send_as.c.address.endswith("partner.example")).values(verified_at=0.0)
        )
        assert accounts.local_mailbox(connection, address) == mailbox


def test_an_address_belongs_to_an_own_domain_as_soon_as_that_is_added(example: Engine, alice: int) -> None:
    with write(example) as connection:
        send_as_addresses.add(connection, alice, "alice@example.org", 0.0)
        assert not send_as_addresses.addresses(connection, alice)[1].own_domain
        organisation.add_domain(connection, "example.org", 0.0)
        assert send_as_addresses.addresses(connection, alice)[1].own_domain


def test_every_error_of_the_directory_is_one() -> None:
    assert all(issubclass(error, DirectoryError) for error in (AlreadyExists, Invalid, NotFound))
