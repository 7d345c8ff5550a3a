"""A gateway is tried after all that could refuse it was asked, and saved after it was tried."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from sqlalchemy import Engine

from outgate.directory import policies, restrictions, roles
from outgate.directory.errors import AlreadyExists, NotAllowed, NotFound
from outgate.directory.gateway_settings import GatewaySettings
from outgate.directory.settings import ALLOW_EXTERNAL_SMTP, setting
from outgate.model import Cause, Gateway, Restriction, Security, SendAs
from outgate.operations import (
    common_gateway_operations,
    context,
    domain_gateway_operations,
    gateway_operations,
    send_as_operations,
)
from outgate.operations.actor import Actor
from outgate.operations.bulk_operations import KINDS, Import, ImportLine
from outgate.operations.confirmation import Confirmation
from outgate.operations.context import Denied, OperationContext
from outgate.operations.gateway_trial import GatewayUnusable
from outgate.operations.send_as_operations import NewAddress
from outgate.record import audit_trail
from outgate.record.audit_trail import AuditEntry, AuditFilter
from outgate.route import gateway_queue
from outgate.sendas import common_gateways, gateways, proven_domains
from outgate.sendas.proven_domains import AddressGrant
from outgate.store.engine import read, write
from outgate.store.vault import Vault

ALICE, PARTNER = "alice@example.com", "alice@dominiopartner.example"
TO_ALL = AddressGrant("sales@dominiopartner.example", None, "/")
CONFIRMATION = Confirmation("mail.example.com")
WANTED = GatewaySettings("smtp.dominiopartner.example", 587, Security.STARTTLS, "alice", "marked secret")
FORBIDDEN = GatewaySettings("smtp.elsewhere.example", 587, Security.STARTTLS, "alice", "marked secret")


@dataclass
class Caller:
    """Transactions of one actor."""

    engine: Engine
    vault: Vault
    actor: Actor = field(default_factory=lambda: Actor.console("root"))

    @contextmanager
    def reading(self) -> Iterator[OperationContext]:
        with context.reading(self.engine, self.vault, self.actor, 5.0) as op:
            yield op

    @contextmanager
    def writing(self) -> Iterator[OperationContext]:
        with context.writing(self.engine, self.vault, self.actor, 5.0) as op:
            yield op

    writing_one_of_many = writing


@dataclass
class Probe:
    """Remembers what it was asked to connect to, and finds the database free for others meanwhile."""

    engine: Engine
    reason: str = ""
    tried: list[str] = field(default_factory=list)

    def user_gateway(self, gateway: Gateway, password: str, sender: str) -> str:
        with write(self.engine):
            self.tried.append(f"{gateway.host} {password} {sender}")
        return self.reason

    def domain_gateway(self, gateway: Gateway, password: str) -> str:
        return self.user_gateway(gateway, password, "")


@pytest.fixture
def caller(example: Engine, vault: Vault) -> Caller:
    """The console, where users may have gateways at the partner, and Alice has asked for her address there."""
    with write(example) as connection:
        policies.set_value(connection, "/", ALLOW_EXTERNAL_SMTP, True, 0.0)
        policies.set_value(connection, "/", setting("allowedGatewayHosts"), "*.dominiopartner.example", 0.0)
    made = Caller(example, vault)
    with made.writing() as op:
        send_as_operations.add(op, ALICE, PARTNER, CONFIRMATION)
    return made


@pytest.fixture
def probe(example: Engine) -> Probe:
    """A gateway that works."""
    return Probe(example)


def entry(caller: Caller, address: str = PARTNER) -> SendAs | None:
    with caller.reading() as op:
        return send_as_operations.account(op, ALICE).send_as.get(address)


def entries(caller: Caller) -> list[AuditEntry]:
    with read(caller.engine) as connection:
        return [one.entry for one in audit_trail.search(connection, AuditFilter())]


def no_token(_gateway: object) -> str:
    """Gateways with a password ask for none."""
    raise AssertionError


def test_what_works_is_tried_once_and_saved(caller: Caller, probe: Probe) -> None:
    saved = gateway_operations.save(caller, ALICE, PARTNER, WANTED, probe)
    assert probe.tried == [f"smtp.dominiopartner.example marked secret {PARTNER}"]
    assert entry(caller) == saved
    assert saved.gateway
    assert gateways.open_password(caller.vault, saved.gateway) == "marked secret"
    assert [one.operation for one in entries(caller)].count("gateway.set") == 1, "the rehearsal leaves nothing"


def test_what_does_not_work_is_not_saved(caller: Caller, probe: Probe) -> None:
    probe.reason = "log-in refused: 535"
    with pytest.raises(GatewayUnusable, match=r"smtp\.dominiopartner\.example:587 .* 535"):
        gateway_operations.save(caller, ALICE, PARTNER, WANTED, probe)
    with pytest.raises(GatewayUnusable):
        domain_gateway_operations.save(caller, WANTED, probe)
    new = NewAddress("new@dominiopartner.example", gateway=WANTED)
    with pytest.raises(GatewayUnusable):
        send_as_operations.save(caller, ALICE, new, CONFIRMATION, probe)
    found = entry(caller)
    assert found
    assert found.gateway is None
    assert entry(caller, new.address) is None
    with caller.reading() as op:
        assert domain_gateway_operations.show(op) is None


def test_without_a_probe_it_is_saved_at_once(caller: Caller) -> None:
    assert gateway_operations.save(caller, ALICE, PARTNER, WANTED, None).gateway
    assert domain_gateway_operations.save(caller, WANTED, None).host == WANTED.host


def test_what_policy_forbids_is_not_tried(caller: Caller, probe: Probe) -> None:
    with pytest.raises(NotAllowed, match="allowedGatewayHosts"):
        gateway_operations.save(caller, ALICE, PARTNER, FORBIDDEN, probe)
    with pytest.raises(NotAllowed, match="allowedGatewayHosts"):
        send_as_operations.save(caller, ALICE, NewAddress("n@p.example", gateway=FORBIDDEN), CONFIRMATION, probe)
    assert probe.tried == []


def test_what_can_not_be_saved_for_another_reason_is_not_tried(caller: Caller, probe: Probe) -> None:
    with pytest.raises(AlreadyExists):
        send_as_operations.save(caller, ALICE, NewAddress(PARTNER, gateway=WANTED), CONFIRMATION, probe)
    with pytest.raises(NotAllowed, match="own domains"):
        send_as_operations.save(
            caller, ALICE, NewAddress("s@example.com", granted=True, gateway=WANTED), CONFIRMATION, probe
        )
    with pytest.raises(NotFound):
        gateway_operations.save(caller, ALICE, "nobody@dominiopartner.example", WANTED, probe)
    assert probe.tried == []


def test_who_may_not_save_it_has_nothing_tried(caller: Caller, probe: Probe, bob: int) -> None:
    other = Caller(caller.engine, caller.vault, Actor("bob@example.com", "192.0.2.7", bob))
    for refused in (
        lambda: gateway_operations.save(other, ALICE, PARTNER, WANTED, probe),
        lambda: gateway_operations.try_out(other, ALICE, PARTNER, probe, no_token),
        lambda: domain_gateway_operations.save(other, WANTED, probe),
    ):
        gateway_operations.save(caller, ALICE, PARTNER, WANTED, None)
        with pytest.raises(Denied):
            refused()
        assert entries(caller)[0].outcome == "denied"
    assert probe.tried == []


def test_what_came_of_a_test_is_on_record(caller: Caller, probe: Probe) -> None:
    gateway_operations.save(caller, ALICE, PARTNER, WANTED, None)
    gateway_operations.try_out(caller, ALICE, PARTNER, probe, no_token)
    probe.reason = "log-in refused: 535"
    with pytest.raises(GatewayUnusable):
        gateway_operations.try_out(caller, ALICE, PARTNER, probe, no_token)
    failed, done = entries(caller)[:2]
    assert (done.operation, done.outcome) == ("gateway.test", "done")
    assert (failed.operation, failed.outcome, failed.detail["reason"]) == ("gateway.test", "failed", probe.reason)
    assert "marked" not in repr(entries(caller))


def test_a_trial_ends_the_suspension_of_the_credential_that_was_tried_and_not_of_one_set_meanwhile(
    caller: Caller,
) -> None:
    hers = gateway_operations.save(caller, ALICE, PARTNER, WANTED, None).gateway
    assert hers
    with write(caller.engine) as connection:
        proven_domains.begin(connection, "dominiopartner.example", 0.0)
        proven_domains.settle_check(connection, "dominiopartner.example", True, 0.0)
        proven_domains.grant(connection, TO_ALL, 0.0)
    common = common_gateways.gateway_of(common_gateway_operations.save(caller, TO_ALL, WANTED, None))

    def is_suspended_still(gateway: Gateway, refused: int) -> bool:
        held = Restriction(Cause.LOG_IN, "535", "outgate", 5.0, credential_version=refused)
        with caller.writing() as op:
            restrictions.put(op.connection, gateway_queue(gateway), held)
            if gateway.is_common:
                common_gateway_operations.tested(op, TO_ALL, gateway, "")
            else:
                gateway_operations.tested(op, ALICE, PARTNER, gateway, "")
            return restrictions.of(op.connection, gateway_queue(gateway)) == (held,)

    for tried in (hers, common):
        assert is_suspended_still(tried, tried.credential_version + 1)
        assert entries(caller)[0].detail.get("resumed") is None
        assert not is_suspended_still(tried, tried.credential_version)
        assert entries(caller)[0].detail["resumed"] is True


def test_a_gateway_that_policy_no_longer_allows_is_not_tested(caller: Caller, probe: Probe) -> None:
    gateway_operations.save(caller, ALICE, PARTNER, WANTED, None)
    with write(caller.engine) as connection:
        policies.set_value(connection, "/", setting("allowedGatewayHosts"), "*.elsewhere.example", 0.0)
    with pytest.raises(NotAllowed, match="allowedGatewayHosts"):
        gateway_operations.try_out(caller, ALICE, PARTNER, probe, no_token)
    assert probe.tried == []


def test_an_import_tries_only_rows_that_could_be_saved(caller: Caller, probe: Probe) -> None:
    rows = [
        ImportLine(2, {"user": ALICE, "address": PARTNER, "host": FORBIDDEN.host}),
        ImportLine(3, {"user": ALICE, "address": PARTNER, "host": WANTED.host}),
        ImportLine(4, {"user": "bob@example.com", "address": PARTNER, "host": WANTED.host}),
    ]
    task = Import(caller, KINDS["gateways"], CONFIRMATION, lambda _: pytest.fail("no password is hashed"))
    result = task.check(rows, probe)
    assert [number for number, _ in result.faults] == [2, 4]
    assert probe.tried == [f"{WANTED.host}  {PARTNER}"]
    assert task.save(rows[1:2]).done == ["created"]


def test_each_row_of_an_import_needs_the_privilege_over_all_that_it_is_about(caller: Caller, bob: int) -> None:
    with write(caller.engine) as connection:
        roles.assign(connection, "bob@example.com", "user-admin", "/Sales", 0.0)  # and is in the root
    admin = Caller(caller.engine, caller.vault, Actor("bob@example.com", "192.0.2.7", bob))
    rows = [
        ImportLine(2, {"user": ALICE, "address": "bob@example.com"}),
        ImportLine(3, {"user": ALICE, "address": "sales@example.com"}),
    ]
    task = Import(admin, KINDS["addresses"], CONFIRMATION, lambda _: pytest.fail("no password is hashed"))
    result = task.save(rows)
    assert (result.done, [number for number, _ in result.faults]) == (["created"], [2])
    assert entries(caller)[0].outcome == "denied"
