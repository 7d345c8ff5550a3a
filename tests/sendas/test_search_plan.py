"""Searches of users and addresses look at indexes alone: rows are read of those that are shown."""

import re
from itertools import product

import pytest
from sqlalchemy import Engine, insert, select

from outgate.directory import units, users
from outgate.directory.users import UserFilter
from outgate.sendas import address_search
from outgate.sendas.address_search import AddressFilter, AddressKind
from outgate.store.engine import read, write
from outgate.store.tables import account, gateway, send_as
from store.plans import noted, plans, settle

USERS = 600


@pytest.fixture
def crowded(example: Engine) -> Engine:
    """Many users, each with an address outside that has a gateway."""
    with write(example) as connection:
        unit = units.find(connection, "/Sales").id
        people = [{"primary_address": f"user{n}@example.com", "name": f"Somebody {n}"} for n in range(USERS)]
        common = {"unit_id": unit, "created_at": 0.0}
        connection.execute(insert(account), [one | common | {"suspended": n % 50 == 0} for n, one in enumerate(people)])
        ids = connection.scalars(select(account.c.id).where(account.c.name.startswith("Somebody"))).all()
        flags = {"display_name": "", "is_primary": False, "is_default": False, "treat_as_alias": True}
        outside = [
            {"account_id": one, "address": f"a{one}@partner.example", "verified_at": 0.0, "created_at": 0.0} | flags
            for one in ids
        ]
        connection.execute(insert(send_as), outside)
        added = connection.scalars(select(send_as.c.id).where(send_as.c.account_id.in_(ids))).all()
        server = {"host": "smtp.partner.example", "port": 587, "security": "starttls", "username": "a"}
        sealed = {"sealed_password": b"x", "changed_at": 0.0}
        connection.execute(insert(gateway), [server | sealed | {"send_as_id": one} for one in added])
    settle(example, "account", "send_as", "gateway")
    return example


def test_users_are_found_by_an_index_alone(crowded: Engine) -> None:
    for suspended, unit, after in product((None, True, False), (None, "/Sales"), ("", "user5")):
        wanted = UserFilter("zoe", unit, suspended, after)
        with noted(crowded) as asked, read(crowded) as connection:
            users.search(connection, wanted)
        [plan] = plans(crowded, asked, "LIMIT")
        alone = "COVERING INDEX" if crowded.dialect.name == "sqlite" else "Index Only Scan using"
        assert re.search(f"{alone} ix_account_search", plan), f"{wanted}: {plan}"
        assert "SCAN account" not in plan, plan


def test_addresses_are_found_by_indexes_alone(crowded: Engine) -> None:
    after_one = ("a5@partner.example", 1)
    for kind, words, unit, after in product(AddressKind, ("", "zoe"), ("/", "/Sales"), (None, after_one)):
        wanted = AddressFilter(kind, words, unit, after)
        with noted(crowded) as asked, read(crowded) as connection:
            address_search.search(connection, wanted)
        [plan] = plans(crowded, asked, "LIMIT")
        if crowded.dialect.name == "postgresql":
            alone = re.search(r"Index Only Scan using \w+ on send_as", plan)
            assert alone or kind in _OF_GATEWAYS, f"{wanted}: {plan}"
            assert "Seq Scan on send_as" not in plan, f"{wanted}: {plan}"
            continue
        [line] = [one for one in plan.splitlines() if re.match("(SCAN|SEARCH) send_as ", one)]
        assert "COVERING INDEX ix_send_as_search" in line, f"{wanted}: {plan}"
        of_users = [one for one in plan.splitlines() if re.match("(SCAN|SEARCH) account ", one)]
        assert all("COVERING INDEX" in one for one in of_users), f"{wanted}: {plan}"
        assert "TEMP B-TREE" not in plan, f"{wanted}: {plan}"


@pytest.mark.parametrize("typed", ["User7@example.com", "a7@partner.example"])
def test_who_types_an_address_whole_gets_it_without_a_walk_through_all(crowded: Engine, typed: str) -> None:
    with write(crowded) as connection:
        [seventh] = connection.scalars(select(account.c.id).where(account.c.primary_address == "user7@example.com"))
    typed = typed.replace("a7", f"a{seventh}")
    with noted(crowded) as asked, read(crowded) as connection:
        _, found = address_search.search(connection, AddressFilter(text=typed))
    assert [one.entry.address for one in found] == [f"a{seventh}@partner.example"]
    for plan in plans(crowded, asked, "LIMIT"):
        assert not re.search("SCAN (send_as|account)|Seq Scan on (send_as|account)", plan), plan


def test_a_part_of_an_address_finds_all_that_have_it(crowded: Engine) -> None:
    with read(crowded) as connection:
        _, found = address_search.search(connection, AddressFilter(text="ser7@example.com"))
        assert {one.account.primary for one in found} == {"user7@example.com"}
        _, found = address_search.search(connection, AddressFilter(text="user59"))
    assert {one.account.primary for one in found} == {f"user{n}@example.com" for n in (59, *range(590, 600))}


_OF_GATEWAYS = (AddressKind.GATEWAY, AddressKind.WITHOUT)  # PostgreSQL joins these by their ids


def test_gateways_without_a_password_are_found_by_their_index(crowded: Engine) -> None:
    with noted(crowded) as asked, read(crowded) as connection:
        assert address_search.without_password(connection, 20) == []
    [plan] = plans(crowded, asked, "LIMIT")
    assert "ix_gateway_without_password" in plan, plan
