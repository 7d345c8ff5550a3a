"""Whoever makes users come under a grant acts on whose address it is, as whoever makes the grant: by every way."""

import re
from collections.abc import Callable, Iterator
from typing import Final

import pytest
from sqlalchemy import Connection, Engine, event, insert

from outgate.directory import organisation, roles, scim_tokens, units, user_groups, users
from outgate.operations import bulk_operations, group_operations, unit_operations, user_operations
from outgate.operations.actor import Actor
from outgate.operations.context import Denied, OperationContext
from outgate.sendas import proven_domains, send_as_addresses
from outgate.sendas.proven_domains import AddressGrant
from outgate.store import tables
from outgate.store.engine import write
from outgate.store.vault import Vault

ALICE, BOB, CAROL, CHIEF = "alice@example.com", "bob@example.com", "carol@example.com", "chief@example.com"

Call = Callable[[OperationContext], object]


def _into(*addresses: str, group: str = "Board") -> Call:
    """Have these in a group besides those who are there."""

    def call(op: OperationContext) -> object:
        had = {one.account_id for one in group_operations.show(op, group).members}
        came = {users.find(op.connection, one).id for one in addresses}
        return group_operations.set_members(op, group, had | came)

    return call


# What gives users an address of the chief, who may do more than the administrator.
REFUSED: Final[dict[str, Call]] = {
    "a user into a group": _into(ALICE),
    "oneself into a group": _into("admin@example.com"),
    "into a group with a +tag of the address": _into(ALICE, group="Tagged"),
    "into a group with an address that was given to the chief": _into(ALICE, group="Office"),
    "into a group with an address that was granted to the chief alone": _into(ALICE, group="Desk"),
    "into a group with a whole domain that became an own one": _into(ALICE, group="Partner"),
    "one of whom has it and one has not": _into(CAROL, ALICE),
    "a new user in a unit": lambda op: user_operations.create(op, "new@example.com", None, unit="/Board"),
    "a new user below a unit": lambda op: user_operations.create(op, "new@example.com", None, unit="/Board/Legal"),
    "a new user by a list": lambda op: bulk_operations.import_user(
        op, {"address": "new@example.com", "unit": "/Board"}, None
    ),
    "a user into a unit": lambda op: user_operations.move(op, ALICE, "/Board/Legal"),
    "a unit below one": lambda op: unit_operations.move(op, "/Sales", "/Board/Sales"),
}

# What gives nobody such an address.
ALLOWED: Final[dict[str, Call]] = {
    "into a group with an address of an equal": _into(ALICE, group="Sales"),
    "into a group with an address that its chief has with the others": _into(ALICE, group="Press"),
    "into a group with an address outside": _into(ALICE, group="Abroad"),
    "into a group who has the address already": _into(CAROL),
    "out of a group": lambda op: group_operations.set_members(op, "Board", []),
    "a group that is called otherwise": lambda op: group_operations.edit(op, "Board", to="Directors"),
    "a user who is called otherwise": lambda op: user_operations.edit(op, CAROL, name="Carol"),
    "within one grant": lambda op: user_operations.move(op, CAROL, "/Board/Legal"),
    "within one grant by a list": lambda op: bulk_operations.import_user(
        op, {"address": CAROL, "unit": "/Board/Legal"}, None
    ),
    "a unit within one grant": lambda op: unit_operations.move(op, "/Board/Legal", "/Board/Law"),
    "a unit that is called otherwise": lambda op: unit_operations.move(op, "/Board", "/Directors"),
    "a unit without users": lambda op: unit_operations.move(op, "/Empty", "/Board/Empty"),
    "a user out of a unit": lambda op: user_operations.move(op, CAROL, "/Sales"),
    "a new user elsewhere": lambda op: user_operations.create(op, "new@example.com", None, unit="/Sales"),
}


@pytest.fixture
def granted(example: Engine) -> Iterator[Connection]:
    """A transaction on what is granted, which is never committed. Alice is in /Sales, Carol in /Board, Bob above."""
    with write(example) as connection:
        for unit in ("/Board", "/Board/Legal", "/Empty"):
            units.create(connection, unit)
        users.create(connection, CAROL, None, 0.0, unit_path="/Board")
        chief = users.create(connection, CHIEF, None, 0.0)
        roles.assign(connection, CHIEF, "super-admin", "/", 0.0)
        roles.create(connection, "keeper", ["users-manage", "units-manage", "send-as-manage", "users-read"])
        users.create(connection, "admin@example.com", None, 0.0)
        roles.assign(connection, "admin@example.com", "keeper", "/", 0.0)
        send_as_addresses.add(connection, chief.id, "office@example.com", 0.0, granted_by_administrator=True)
        for domain in ("partner.example", "abroad.example"):
            proven_domains.begin(connection, domain, 0.0)
            proven_domains.settle_check(connection, domain, True, 0.0)
        _grant(connection, "desk@example.com", user=CHIEF)
        _grant(connection, CHIEF, unit="/Board")
        for group, address in (
            ("Board", CHIEF),
            ("Tagged", "chief+board@example.com"),
            ("Office", "office@example.com"),
            ("Desk", "desk@example.com"),
            ("Partner", "*@partner.example"),
            ("Sales", BOB),
            ("Press", "press@example.com"),
            ("Abroad", "chief@abroad.example"),
        ):
            made = user_groups.create(connection, group, None, 0.0)
            members = [chief.id] if group in ("Press", "Abroad") else []
            user_groups.set_members(connection, made, members)
            _grant(connection, address, group=group)
        organisation.add_domain(connection, "partner.example", 0.0)
        send_as_addresses.add(connection, chief.id, "c@partner.example", 0.0, granted_by_administrator=True)
        yield connection
        connection.rollback()


def _grant(
    connection: Connection, address: str, *, user: str | None = None, unit: str | None = None, group: str | None = None
) -> None:
    proven_domains.grant(connection, AddressGrant(address, user, unit, group), 0.0)


def _by(connection: Connection, vault: Vault, address: str) -> OperationContext:
    return OperationContext(connection, vault, Actor.user(connection, address, "192.0.2.1"), 10.0)


def _refusal(connection: Connection, vault: Vault, address: str, call: Call) -> str:
    """Why a user may not make the call; empty if they may. Undone in any case."""
    with connection.begin_nested() as undo:
        try:
            call(_by(connection, vault, address))
        except Denied as denied:
            return str(denied)
        finally:
            undo.rollback()
    return ""


def test_nobody_makes_users_come_under_a_grant_of_an_address_of_who_may_do_more(
    granted: Connection, vault: Vault
) -> None:
    told = re.compile(r"lets users send as .*, which chief@.* has: .*; ask a super administrator")
    for what, call in REFUSED.items():
        assert told.search(_refusal(granted, vault, "admin@example.com", call)), what
        assert _refusal(granted, vault, CHIEF, call) == "", what


def test_what_gives_nobody_such_an_address_asks_nothing(granted: Connection, vault: Vault) -> None:
    for what, call in ALLOWED.items():
        assert _refusal(granted, vault, "admin@example.com", call) == "", what


def test_the_server_and_the_console_put_users_where_they_belong(granted: Connection, vault: Vault) -> None:
    for actor in (Actor.server(), Actor.console("root")):
        user_operations.create(OperationContext(granted, vault, actor, 10.0), f"{actor.peer}@example.com", None)
        user_operations.move(OperationContext(granted, vault, actor, 10.0), f"{actor.peer}@example.com", "/Board")


def test_an_administrator_of_a_unit_gives_no_address_of_a_user_elsewhere(granted: Connection, vault: Vault) -> None:
    _grant(granted, BOB, unit="/Sales")
    users.create(granted, "seller@example.com", None, 0.0, unit_path="/Sales")
    roles.assign(granted, "seller@example.com", "keeper", "/Sales", 0.0)
    with pytest.raises(Denied, match=r"send as bob@example\.com, .* needs the privilege users-manage in unit /;"):
        user_operations.create(_by(granted, vault, "seller@example.com"), "new@example.com", None, unit="/Sales")


def test_many_members_cost_as_many_statements_more_for_a_grant_as_few(granted: Connection, vault: Vault) -> None:
    """By the token of an identity provider; a group without a grant, against one with some."""
    token = scim_tokens.ScimToken("entra", "keeper", "/", 0.0)
    actor = Actor("SCIM token entra", "192.0.2.1", granted=scim_tokens.grants(granted, token))
    place = units.find(granted, "/").id
    people = [{"primary_address": f"u{n}@example.com", "unit_id": place, "created_at": 0.0} for n in range(240)]
    ids = granted.scalars(insert(tables.account).values(name="").returning(tables.account.c.id), people).all()
    for number in range(5):
        _grant(granted, f"board{number}@example.com", group="Sales")
    user_groups.create(granted, "Plain", None, 0.0)
    statements: list[str] = []
    event.listen(granted, "before_cursor_execute", lambda *seen: statements.append(seen[2]))

    def check(group: str, size: int) -> int:
        statements.clear()
        op = OperationContext(granted, vault, actor, 10.0)
        group_operations.set_members.require(op, group, ids[:size])
        return len(statements)

    assert check("Sales", 240) - check("Plain", 240) == check("Sales", 30) - check("Plain", 30) > 0
    with pytest.raises(Denied, match="ask a super administrator"):
        check("Board", 240)
