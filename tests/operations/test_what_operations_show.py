"""What operations that only look show, and to whom."""

from dataclasses import replace

import pytest
from sqlalchemy import Connection, Engine

from outgate.directory import organisation, policies, roles, users
from outgate.directory.errors import NotFound
from outgate.directory.gateway_settings import GatewaySettings
from outgate.directory.roles import Assignment
from outgate.directory.settings import ALLOW_EXTERNAL_SMTP
from outgate.directory.users import Credentials
from outgate.model import Refused, Security
from outgate.operations import (
    audit_operations,
    explanation_operations,
    message_log_operations,
    queue_operations,
    role_operations,
    send_as_operations,
    user_operations,
)
from outgate.operations.actor import Actor
from outgate.operations.context import OperationContext
from outgate.queue import census
from outgate.queue.admin import Selection
from outgate.queue.census import Trouble
from outgate.record import events, message_log
from outgate.record.audit_trail import AuditFilter
from outgate.route import Route, RouteKind
from outgate.sendas import gateways, send_as_addresses, verification
from outgate.store.engine import read, write
from outgate.store.vault import Vault

ALICE, CAROL = "alice@example.com", "carol@recipient.example"
RELAY = GatewaySettings("relay.example.net", 587, Security.STARTTLS, "example", "marked secret")


def console(connection: Connection, vault: Vault) -> OperationContext:
    return OperationContext(connection, vault, Actor.console("root"), 5.0)


def bounce(connection: Connection, recipient: str) -> None:
    passage = events.Passage(7, ALICE, "local", "local")
    message_log.add(connection, [events.bounced(passage, 1.0, recipient=recipient, reason="no such user", report=None)])


def test_an_assignment_is_shown_with_its_own_unit_not_its_users(example: Engine, vault: Vault) -> None:
    with write(example) as connection:
        roles.assign(connection, "bob@example.com", "help-desk", "/Sales", 0.0)
        roles.assign(connection, ALICE, "auditor", "/", 0.0)
        assert role_operations.assignments(console(connection, vault)) == (
            Assignment(ALICE, "auditor", "/"),
            Assignment("bob@example.com", "help-desk", "/Sales"),
        )


def test_a_role_in_two_units_can_be_held_and_no_pair_twice(example: Engine, vault: Vault) -> None:
    with write(example) as connection:
        op = console(connection, vault)
        for unit in ("/", "/Sales"):
            role_operations.assign(op, ALICE, "auditor", unit)
        assert {one.unit for one in role_operations.assignments(op)} == {"/", "/Sales"}


def test_following_begins_with_what_comes_next(example: Engine, vault: Vault) -> None:
    with write(example) as connection:
        op = console(connection, vault)
        bounce(connection, "before@recipient.example")
        tail = message_log_operations.latest(op, message_log.newest(connection))
        assert tail.events == ()
        assert message_log_operations.latest(op, tail.after, tail.after) == tail
        for name in ("first", "second"):
            bounce(connection, f"{name}@recipient.example")
        complete = message_log.newest(connection)
        found = message_log_operations.latest(op, complete, tail.after, 1)
        assert [event.detail["recipient"] for event in found.events] == ["first@recipient.example"]
        rest = message_log_operations.latest(op, complete, found.after)
        assert [event.detail["recipient"] for event in rest.events] == ["second@recipient.example"]


def test_a_user_is_shown_with_the_policy_of_their_unit_alone(example: Engine, vault: Vault) -> None:
    with write(example) as connection:
        policies.set_value(connection, "/Sales", ALLOW_EXTERNAL_SMTP, True, 0.0)
        users.set_credentials(connection, ALICE, Credentials("hash", "SCRAM"))
    with read(example) as connection:
        op = console(connection, vault)
        alice, bob = (user_operations.show(op, address) for address in (ALICE, "bob@example.com"))
    assert (alice.has_password, bob.has_password) == (True, False)
    name = ALLOW_EXTERNAL_SMTP.name
    assert (alice.policy[name].value, alice.policy[name].source) == (True, "/Sales")
    assert (bob.policy[name].value, bob.policy[name].source) == (False, None)


def test_the_organisations_gateway_is_explained_to_those_who_may_see_it(
    example: Engine, vault: Vault, alice: int
) -> None:
    with write(example) as connection:
        organisation.set_domain_gateway(connection, vault, RELAY)
    with read(example) as connection:
        op = console(connection, vault)
        own = replace(op, actor=Actor(ALICE, "192.0.2.1", alice))
        seen, hidden = (explanation_operations.explain(each, ALICE, ALICE, CAROL).outcome for each in (op, own))
        refused = explanation_operations.explain(op, ALICE, "other@partner.example", CAROL).outcome
    assert isinstance(seen, Route)
    assert isinstance(hidden, Route)
    assert seen.kind is hidden.kind is RouteKind.DOMAIN_GATEWAY
    assert seen.gateway
    assert hidden.gateway is None
    assert any(RELAY.host in reason for reason in seen.reasons)
    assert not any(RELAY.host in reason for reason in hidden.reasons)
    assert isinstance(refused, Refused)


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        ("4.4.1 cannot connect to 10.0.0.7:587: Connection refused", "no answer from smtp.partner.example:587"),
        ("4.4.1 cannot connect to 10.0.0.7:587: no route to host", "no answer from smtp.partner.example:587"),
        ("4.4.4 smtp.partner.example: 10.0.0.7 is a private network", "no answer from smtp.partner.example:587"),
        ("535 5.7.8 authentication failed", "535 5.7.8 authentication failed"),
    ],
)
def test_how_a_host_could_not_be_reached_is_told_to_those_who_see_the_queue_alone(
    example: Engine, vault: Vault, alice: int, monkeypatch: pytest.MonkeyPatch, reply: str, told: str
) -> None:
    """A user who may name any host would learn which of the organisation's own answer, and how."""
    partner = "alice@partner.example"
    with write(example) as connection:
        policies.set_value(connection, "/", ALLOW_EXTERNAL_SMTP, True, 0.0)
        send_as_addresses.add(connection, alice, partner, 0.0)
        code = verification.start(connection, vault, alice, partner, 0.0).code
        assert verification.enter(connection, vault, alice, partner, code, 0.0) is None
        server = GatewaySettings("smtp.partner.example", 587, Security.STARTTLS, "u", "p")
        gateways.set_gateway(connection, vault, alice, partner, server, 0.0)
    monkeypatch.setattr(census, "trouble", lambda _connection, queue: Trouble(queue, 3, reply, 9.0))
    with read(example) as connection:
        op = console(connection, vault)
        own = replace(op, actor=Actor(ALICE, "192.0.2.1", alice))
        seen, hidden = (explanation_operations.explain(each, ALICE, partner, CAROL).cautions for each in (op, own))
    assert seen == (f"mail waits there after 3 attempts: {reply}",)
    assert hidden == (f"mail waits there after 3 attempts: {told}",)


def test_advice_is_based_on_the_account_and_the_keys_of_domains(example: Engine, vault: Vault) -> None:
    with write(example) as connection:
        users.edit(connection, ALICE, language="it")
    with read(example) as connection:
        basis = send_as_operations.advice_basis(console(connection, vault), ALICE)
    assert (basis.account.primary, basis.language, dict(basis.dkim)) == (ALICE, "it", {})


@pytest.mark.parametrize("change", ["retry", "hold", "release", "delete"])
def test_a_message_of_which_nothing_waits_is_told_apart(example: Engine, vault: Vault, change: str) -> None:
    with write(example) as connection:
        op = console(connection, vault)
        make = getattr(queue_operations, change)
        assert make(op, Selection(address="nobody@")).recipients == 0
        with pytest.raises(NotFound, match="outgate log"):
            make(op, Selection(message_id=7))
        with pytest.raises(NotFound):
            queue_operations.of_message(op, 7)


def test_the_audit_trail_names_whose_it_is(example: Engine, vault: Vault) -> None:
    with write(example) as connection:
        op = console(connection, vault)
        user_operations.edit(op, ALICE, name="Alice Rossi")
        page = audit_operations.search(op, AuditFilter())
    assert page.customer == "example.com"
    assert [one.entry.operation for one in page.entries] == ["user.edit"]
