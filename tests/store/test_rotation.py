"""store.rotation: all that is sealed opens before, between and after the steps."""

import base64
import time
from collections.abc import Callable
from pathlib import Path
from threading import Barrier, Event, Thread
from typing import Any

import pytest
from sqlalchemy import Engine, func, select

from outgate.directory import domain_keys, organisation, policies, second_factors
from outgate.directory.domain_keys import NewDkimKey
from outgate.directory.gateway_settings import GatewaySettings, open_password
from outgate.directory.settings import ALLOW_EXTERNAL_SMTP
from outgate.model import Security
from outgate.record import audit_trail
from outgate.sendas import gateways, send_as_addresses, verification
from outgate.store import keyfile, rotation, sealed, tables
from outgate.store.engine import read, write
from outgate.store.keyfile import KeyFileError
from outgate.store.rotation import rotate
from outgate.store.vault import SealBroken, Vault
from outgate.webhooks import endpoints
from outgate.webhooks.endpoints import WebhookSettings

EXTERNAL = "alice@dominiopartner.example"
PASSWORDS = {"gateway": "gateway-secret", "domain": "domain-secret", "dkim": "PEM", "factor": "enrolled"}
PASSWORDS |= {"webhook": "2 secrets"}


class Killed(BaseException):
    """Stands for kill -9: nothing of the program runs after it, and the database undoes what was not committed."""


@pytest.fixture
def key_path(example: Engine, alice: int, tmp_path: Path) -> Path:
    """A key file, and one secret of each kind sealed with its key."""
    path = tmp_path / "secret.key"
    vault = Vault.create(path)
    with write(example) as connection:
        audit_trail.begin(connection, vault)
        policies.set_value(connection, "/", ALLOW_EXTERNAL_SMTP, True, 0.0)
        send_as_addresses.add(connection, alice, EXTERNAL, 0.0)
        partner = GatewaySettings("mail.dominiopartner.example", 587, Security.STARTTLS, "alice", PASSWORDS["gateway"])
        gateways.set_gateway(connection, vault, alice, EXTERNAL, partner, 0.0)
        relay = GatewaySettings("relay.example", 465, Security.SSL, "example", PASSWORDS["domain"])
        organisation.set_domain_gateway(connection, vault, relay)
        domain_keys.sign_with(connection, vault, "example.com", NewDkimKey("s1", "v=DKIM1; p=", b"PEM"), 0.0)
        second_factors.begin(connection, vault, alice)
        endpoints.create(connection, vault, WebhookSettings("tickets", "https://hooks.example/"), "root", 0.0)
        endpoints.rotate(connection, vault, "tickets", time.time())
    return path


def opened(engine: Engine, alice: int, vault: Vault) -> dict[str, str]:
    with read(engine) as connection:
        entry = next(each for each in send_as_addresses.addresses(connection, alice) if each.address == EXTERNAL)
        relay = organisation.domain_gateway(connection)
        (key,) = domain_keys.signing_keys(connection, vault)["example.com"]
        enrolment = second_factors.enrolment(connection, vault, alice, "alice@example.com")
        secrets = endpoints.secrets_of(connection, vault, "tickets", time.time())
    assert entry.gateway
    assert relay
    return {
        "gateway": open_password(vault, entry.gateway),
        "domain": open_password(vault, relay),
        "dkim": key.pem.decode(),
        "factor": "enrolled" if enrolment.secret else "",
        "webhook": f"{len(secrets)} secrets",
    }


def test_a_former_webhook_secret_whose_day_is_over_is_not_kept(example: Engine, key_path: Path) -> None:
    values = {"sealed_former_secret": b"changed outside", "former_until": time.time() - 1}
    with write(example) as connection:
        connection.execute(tables.webhook.update().values(values))
    assert rotate(example, key_path, {}).resealed == 7
    with read(example) as connection:
        assert connection.scalars(select(tables.webhook.c.sealed_former_secret)).all() == [None]


def test_everything_is_sealed_anew_and_the_old_key_is_gone(example: Engine, alice: int, key_path: Path) -> None:
    before = Vault.load(key_path, {})
    done = rotate(example, key_path, {})
    assert done.resealed == 8  # with the trail's key and head
    assert list(keyfile.read(key_path)) == [done.key_id]
    assert opened(example, alice, Vault.load(key_path, {})) == PASSWORDS
    assert opened(example, alice, before) == PASSWORDS  # a program that was running all the while
    with pytest.raises(SealBroken):
        opened(example, alice, Vault({"k1": b"1" * 32}, "k1"))


@pytest.mark.parametrize("step", ["write", "_reseal", "_reseal_column"])
@pytest.mark.parametrize("nth", [1, 2])
@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_at_any_step_nothing_is_lost(
    example: Engine, alice: int, key_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, nth: int, when: str
) -> None:
    where = keyfile if step == "write" else rotation
    real: Callable[..., object] = getattr(where, step)
    calls = 0

    def killed(*arguments: object) -> object:
        nonlocal calls
        calls += 1
        if calls == nth and when == "before":
            raise Killed
        result = real(*arguments)
        if calls == nth:
            raise Killed
        return result

    with monkeypatch.context() as patched:
        patched.setattr(where, step, killed)
        if step == "_reseal" and nth == 2:
            rotate(example, key_path, {})  # it has one such step only
        else:
            with pytest.raises(Killed):
                rotate(example, key_path, {})
    assert opened(example, alice, Vault.load(key_path, {})) == PASSWORDS
    done = rotate(example, key_path, {})
    assert list(keyfile.read(key_path)) == [done.key_id]
    assert opened(example, alice, Vault.load(key_path, {})) == PASSWORDS


def test_what_is_sealed_during_a_rotation_opens_after_it(example: Engine, alice: int, key_path: Path) -> None:
    running = Vault.load(key_path, {})
    together = Barrier(2)

    def change_password() -> None:
        together.wait()
        for number in range(5):
            relay = GatewaySettings("relay.example", 465, Security.SSL, "example", f"secret-{number}")
            with write(example) as connection:
                organisation.set_domain_gateway(connection, running, relay)

    thread = Thread(target=change_password)
    thread.start()
    together.wait()
    rotate(example, key_path, {})
    thread.join()
    assert opened(example, alice, Vault.load(key_path, {}))["domain"] == "secret-4"


def test_a_rotation_waits_for_whoever_is_sealing(
    example: Engine, alice: int, key_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would not see what is sealed with the old key, and remove that."""
    resealing = Event()
    real = rotation._reseal_column

    def noted(*arguments: Any) -> int:
        resealing.set()
        return real(*arguments)

    monkeypatch.setattr(rotation, "_reseal_column", noted)
    rotating = Thread(target=rotate, args=(example, key_path, {}))
    with write(example) as connection:
        relay = GatewaySettings("relay.example", 465, Security.SSL, "example", "sealed-with-the-old-key")
        organisation.set_domain_gateway(connection, Vault.load(key_path, {}), relay)
        rotating.start()
        assert not resealing.wait(0.3)
    rotating.join()
    assert opened(example, alice, Vault.load(key_path, {}))["domain"] == "sealed-with-the-old-key"


def test_the_head_of_the_audit_trail_is_sealed_anew(example: Engine, key_path: Path) -> None:
    with write(example) as connection:
        audit_trail.append(
            connection, Vault.load(key_path, {}), [audit_trail.AuditEntry(0.0, "alice@example.com", "", "test")]
        )
    assert rotate(example, key_path, {}).resealed == 8
    with read(example) as connection:
        assert audit_trail.verify(connection, Vault.load(key_path, {})) == []
        assert set(sealed.count_by_key(connection)) == set(keyfile.read(key_path))


def test_codes_that_wait_for_confirmation_lapse(example: Engine, alice: int, key_path: Path) -> None:
    with write(example) as connection:
        verification.start(connection, Vault.load(key_path, {}), alice, EXTERNAL, 0.0)
    rotate(example, key_path, {})
    with read(example) as connection:
        assert connection.scalar(select(func.count()).select_from(tables.verification)) == 0


def test_a_row_that_does_not_open_stops_it_and_no_key_is_removed(example: Engine, alice: int, key_path: Path) -> None:
    old = next(iter(keyfile.read(key_path)))
    with write(example) as connection:
        connection.execute(tables.gateway.update().values(host="evil.example"))
    with pytest.raises(SealBroken):
        rotate(example, key_path, {})
    assert old in keyfile.read(key_path)


def test_with_one_key_in_the_environment_it_says_what_to_do(example: Engine, key_path: Path) -> None:
    line = _lines(keyfile.read(key_path))
    with pytest.raises(KeyFileError, match="Append a second line"):
        rotate(example, key_path, {keyfile.VARIABLE: line})


def test_with_two_keys_in_the_environment_the_last_one_seals(example: Engine, alice: int, key_path: Path) -> None:
    both = _lines(keyfile.read(key_path) | {"new": b"2" * 32})
    assert rotate(example, key_path, {keyfile.VARIABLE: both}).resealed == 8
    assert opened(example, alice, Vault({"new": b"2" * 32}, "new")) == PASSWORDS


def _lines(keys: keyfile.Keys) -> str:
    return "\n".join(f"{key_id} {base64.b64encode(key).decode()}" for key_id, key in keys.items())
