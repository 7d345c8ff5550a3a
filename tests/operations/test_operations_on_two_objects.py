"""An operation on two objects needs the privilege over both, whichever its actor has it for: the table is by hand.

Alice is in /Sales, the chief in /Board; the administrator has a role for one of the units, or for both.
"""

from collections.abc import Callable, Iterator
from typing import Final

import pytest
from sqlalchemy import Connection, Engine, event

from outgate.cli.roles_reference import all_operations
from outgate.directory import organisation, roles, units, users
from outgate.operations import (
    bulk_operations,
    role_operations,
    send_as_operations,
    unit_operations,
    user_operations,
)
from outgate.operations.actor import Actor
from outgate.operations.confirmation import Confirmation
from outgate.operations.context import Denied, OperationContext
from outgate.operations.operation_table import Target
from outgate.sendas import send_as_addresses, verification
from outgate.store.engine import write
from outgate.store.vault import Vault

SELLER, COLLEAGUE, CHIEF = "seller@example.com", "colleague@example.com", "chief@example.com"
PRESS, NEWS, PARTNER = "press@example.com", "news@example.com", "info@partner.example"
CONFIRMATION: Final = Confirmation("mail.example.com")

Call = Callable[[OperationContext], object]

# What each needs in both units. Of two that are named, the first is in /Sales, the second in /Board.
TWO_OBJECTS: Final[dict[str, Call]] = {
    "grant the primary address of another account": lambda op: send_as_operations.grant(op, SELLER, CHIEF),
    "grant an address that another account was granted": lambda op: send_as_operations.grant(op, SELLER, PRESS),
    "transfer to a user elsewhere": lambda op: send_as_operations.transfer(
        op, SELLER, "shop@example.com", CHIEF, CONFIRMATION
    ),
    "transfer from a user elsewhere": lambda op: send_as_operations.transfer(op, CHIEF, PRESS, SELLER, CONFIRMATION),
    "transfer what was only asked for, of another's": lambda op: send_as_operations.transfer(
        op, SELLER, NEWS, COLLEAGUE, CONFIRMATION
    ),
    "create a user with another's address": lambda op: user_operations.create(op, PRESS, None, unit="/Sales"),
    "move a user out": lambda op: user_operations.move(op, SELLER, "/Board"),
    "move a user in": lambda op: user_operations.move(op, CHIEF, "/Sales"),
    "move a unit out": lambda op: unit_operations.move(op, "/Sales/Italy", "/Board/Italy"),
    "move a unit in": lambda op: unit_operations.move(op, "/Board/Legal", "/Sales/Legal"),
    "assign a role for a unit to a user elsewhere": lambda op: role_operations.assign(op, CHIEF, "reader", "/Sales"),
    "assign a role elsewhere to a user": lambda op: role_operations.assign(op, SELLER, "reader", "/Board"),
    "unassign a role of a user elsewhere": lambda op: role_operations.unassign(op, CHIEF, "given", "/Sales"),
    "import a user with another's address": lambda op: bulk_operations.import_user(
        op, {"address": PRESS, "unit": "/Sales"}, None
    ),
    "import a user into another unit": lambda op: bulk_operations.import_user(
        op, {"address": SELLER, "unit": "/Board"}, None
    ),
    "import another's address": lambda op: bulk_operations.import_address(
        op, {"user": SELLER, "address": CHIEF}, CONFIRMATION
    ),
}

# What is about one object alone, although another has to do with it.
ONE_OBJECT: Final[dict[str, Call]] = {
    "grant an address of nobody": lambda op: send_as_operations.grant(op, SELLER, "free@example.com"),
    "grant an address that another only asked for": lambda op: send_as_operations.grant(op, SELLER, "wish@example.com"),
    "grant an address of a colleague": lambda op: send_as_operations.grant(op, SELLER, COLLEAGUE),
    "transfer an address outside that others have proven": lambda op: send_as_operations.transfer(
        op, SELLER, PARTNER, COLLEAGUE, CONFIRMATION
    ),
    "ask for another's address": lambda op: send_as_operations.add(op, SELLER, CHIEF, CONFIRMATION),
}

# Parameters that name objects of which another operation gives or takes something, or that name nothing yet.
PLAIN: Final = {
    "program.register": {"name", "redirect_uris"},
    "program.remove": {"name"},
    "service-account.create": {"name"},
    "service-account.rotate": {"name"},
    "service-account.revoke-key": {"name", "key"},
    "service-account.remove": {"name"},
    "service-account.grant": {"name", "scopes"},
    "webhook.show": {"name"},
    "webhook.tries": {"name"},
    "webhook.rotate": {"name"},
    "webhook.enable": {"name"},
    "webhook.disable": {"name"},
    "webhook.remove": {"name"},
    "webhook.test": {"name"},
    "second-factor.confirm": {"code"},
    "passkey.add": {"name"},
    "domain.show": {"name"},
    "domain.add": {"name"},
    "domain.remove": {"name"},
    "domain.key": {"name"},
    "domain.rotate": {"name"},
    "domain.check-keys": {"name"},
    "domain.cancel-rotation": {"name"},
    "domain-gateway.show": {"domain"},  # organisation-wide
    "domain-gateway.set": {"domain"},
    "domain-gateway.clear": {"domain"},
    "domain-proof.show": {"name"},
    "tls-report.show": {"domain"},  # a recipients' domain
    "domain-proof.begin": {"name"},
    "domain-proof.check": {"name"},
    "domain-proof.remove": {"name"},
    "address-grant.show": {"address", "user", "unit", "group"},
    "common-gateway.set": {"address", "user", "unit", "group"},
    "common-gateway.clear": {"address", "user", "unit", "group"},
    "address-grant.add": {"user", "unit", "group"},  # organisation-wide
    "address-grant.remove": {"user", "unit", "group"},
    "group.show": {"name"},  # organisation-wide, as in the following
    "group.create": {"name", "external_id"},
    "group.edit": {"name", "to", "external_id"},
    "scim-token.create": {"name", "role", "unit"},
    "scim-token.revoke": {"name"},
    "gateway.list": {"name"},  # organisation-wide
    "queue.suspend": {"reason"},
    "node.drain": {"node"},  # organisation-wide
    "node.resume": {"node"},
    "queue.move": {"way"},  # one of the organisation's own
    "queue.limit": {"ceiling", "reason"},
    "rule.test": {"reply", "host"},
    "rule.remove": {"name"},
    "schedule.set": {"destination", "reason"},
    "schedule.list": {"destination"},
    "schedule.remove": {"destination"},
    "queue.count": {"behind"},  # organisation-wide
    "role.create": {"name", "privileges", "summary"},
    "role.remove": {"name"},
    "role.assign": {"role"},  # its privileges are compared with the actor's own
    "role.unassign": {"role"},
    "user.create": {"name"},
    "user.edit": {"name", "language"},
    "user.prefer": {"language"},
    "app-password.create": {"name"},
    "app-password.revoke": {"name"},
    "send-as.add": {"address", "display_name", "reply_to"},  # proven by its owner
    "send-as.grant": {"display_name", "reply_to"},
    "send-as.edit": {"address", "display_name", "reply_to"},  # of the user's own, as in the following
    "send-as.delete": {"address"},
    "send-as.resend": {"address"},
    "send-as.verify": {"address", "code"},
    "gateway.set": {"address"},
    "gateway.clear": {"address"},
    "gateway.test": {"address"},
    "mail.explain": {"sender", "recipient"},
    "mail.send": {"recipients", "raw"},
    "mail.check": {"sender", "text"},
    "send-as.sign": {"address"},
    "sent.again": {"raw"},
    "upload.add": {"content", "content_type"},
    "upload.note": {"folders", "keywords"},
    "submission.before": {"key", "request"},
    "upload.take": {"folders", "keywords"},
}


@pytest.fixture
def both(example: Engine, vault: Vault) -> Iterator[Connection]:
    """A transaction on the units and users, which is never committed."""
    with write(example) as connection:
        for unit in ("/Board", "/Sales/Italy", "/Board/Legal"):
            units.create(connection, unit)
        organisation.add_domain(connection, "unused.example", 0.0)
        roles.create(connection, "reader", ["log-read"])
        roles.create(connection, "given", ["log-read"])
        roles.create(
            connection,
            "keeper",
            ["users-manage", "send-as-manage", "units-manage", "roles-manage", "log-read", "send-as-read"],
        )
        for address, unit in ((SELLER, "/Sales"), (COLLEAGUE, "/Sales"), (CHIEF, "/Board")):
            users.create(connection, address, None, 0.0, unit_path=unit)
        _prove(connection, vault, SELLER)
        _prove(connection, vault, CHIEF)
        _add(connection, SELLER, "shop@example.com", granted=True)
        _add(connection, SELLER, NEWS)
        _add(connection, CHIEF, NEWS, granted=True)
        _add(connection, CHIEF, PRESS, granted=True)
        _add(connection, CHIEF, "wish@example.com")
        roles.assign(connection, CHIEF, "given", "/Sales", 0.0)
        yield connection
        connection.rollback()


def _prove(connection: Connection, vault: Vault, user: str) -> None:
    """The user reads the address outside, too."""
    _add(connection, user, PARTNER)
    account_id = users.find(connection, user).id
    code = verification.start(connection, vault, account_id, PARTNER, 0.0).code
    assert verification.enter(connection, vault, account_id, PARTNER, code, 0.0) is None


def _add(connection: Connection, user: str, address: str, *, granted: bool = False) -> None:
    account_id = users.find(connection, user).id
    send_as_addresses.add(connection, account_id, address, 0.0, granted_by_administrator=granted)


def _allows(connection: Connection, vault: Vault, call: Call, *places: str) -> bool:
    """Whether an administrator who is keeper of these units may make the call."""
    with connection.begin_nested() as undo:
        admin = users.create(connection, "admin@example.com", None, 0.0, unit_path="/")
        for place in places:
            roles.assign(connection, admin.address, "keeper", place, 0.0)
        try:
            call(OperationContext(connection, vault, Actor(admin.address, "192.0.2.1", admin.id), 10.0))
        except Denied:
            return False
        else:
            return True
        finally:
            undo.rollback()


@pytest.mark.parametrize("what", TWO_OBJECTS)
def test_the_privilege_over_one_of_two_objects_is_not_enough(both: Connection, vault: Vault, what: str) -> None:
    call = TWO_OBJECTS[what]
    assert not _allows(both, vault, call, "/Sales")
    assert not _allows(both, vault, call, "/Board")
    assert _allows(both, vault, call, "/Sales", "/Board")


@pytest.mark.parametrize("what", ONE_OBJECT)
def test_what_is_about_one_object_needs_no_privilege_elsewhere(both: Connection, vault: Vault, what: str) -> None:
    assert _allows(both, vault, ONE_OBJECT[what], "/Sales")
    assert not _allows(both, vault, ONE_OBJECT[what], "/Board")


def test_an_address_of_who_may_do_more_is_not_granted(both: Connection, vault: Vault) -> None:
    roles.assign(both, COLLEAGUE, "super-admin", "/", 0.0)
    assert not _allows(both, vault, lambda op: send_as_operations.grant(op, SELLER, COLLEAGUE), "/Sales")


def test_who_is_denied_the_second_object_is_recorded_with_it(both: Connection, vault: Vault) -> None:
    admin = users.create(both, "admin@example.com", None, 0.0, unit_path="/")
    roles.assign(both, admin.address, "keeper", "/Sales", 0.0)
    op = OperationContext(both, vault, Actor(admin.address, "192.0.2.1", admin.id), 10.0)
    with pytest.raises(Denied, match="send-as-manage in unit /Board") as denied:
        send_as_operations.grant(op, SELLER, CHIEF)
    assert (denied.value.entry.target, denied.value.entry.unit) == (CHIEF, "/Board")


def test_every_text_that_an_operation_takes_is_one_of_its_targets_or_known_to_be_none() -> None:
    plain = {
        name: {
            parameter.name
            for parameter in operation.parameters
            if _may_name_something(parameter.type)
            and not any(parameter.name in finder.parameters for finder in operation.targets)
        }
        for name, operation in all_operations().items()
    }
    assert {name: texts for name, texts in plain.items() if texts} == PLAIN


def _may_name_something(annotation: object) -> bool:
    """A text, or what may hold texts: not numbers, choices, or records of which the operation says what they are."""
    return "str" in str(annotation) or annotation is bytes


def test_a_look_at_many_targets_costs_as_many_statements_as_at_few(both: Connection, vault: Vault) -> None:
    statements: list[str] = []
    roles.assign(both, SELLER, "keeper", "/Sales", 0.0)
    op = OperationContext(both, vault, Actor.user(both, SELLER, "127.0.0.1"), 1.0)
    event.listen(both, "before_cursor_execute", lambda *seen: statements.append(seen[2]))

    def cost(*holders: Target) -> int:
        statements.clear()
        op.require(user_operations.edit.operation, holders)
        return len(statements)

    plain = Target("/Sales", COLLEAGUE, users.find(both, COLLEAGUE).id)
    assert cost(*[plain] * 200) == cost(plain)
    roles.assign(both, COLLEAGUE, "given", "/Board", 0.0)
    with pytest.raises(Denied, match="privileges that you don't have"):
        cost(*[Target("/Sales", "nobody@example.com", 0)] * 200, plain)
