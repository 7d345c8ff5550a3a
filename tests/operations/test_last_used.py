"""When a user has last sent from an address: of their own messages alone, and of those that were accepted."""

import asyncio
from dataclasses import replace

import pytest
from sqlalchemy import Engine, event

from outgate.operations import send_as_operations
from outgate.operations.actor import Actor
from outgate.operations.context import OperationContext
from outgate.record import events, message_log
from outgate.record.events import MessageEvent
from outgate.sendas import send_as_addresses
from outgate.store.engine import read, write
from outgate.store.vault import Vault
from record.recorded import accepted, sort_in

ALICE, BOB, SHARED, OTHER = "alice@example.com", "bob@example.com", "sales@example.com", "office@example.com"


def _sent(number: int, account: str, *header_from: str) -> MessageEvent:
    told = accepted(number, header_from[0])
    return replace(told, detail={**told.detail, "account": account, "from": list(header_from)})


@pytest.mark.parametrize("steps", [0, 1, 2], ids=["fresh", "fresh and sorted in", "sorted in"])
def test_it_is_told_of_ones_own_accepted_messages(example: Engine, vault: Vault, alice: int, steps: int) -> None:
    with write(example) as connection:
        for address in (SHARED, OTHER):
            send_as_addresses.add(connection, alice, address, 0.0, granted_by_administrator=True)
        recorded = [
            _sent(1, ALICE, ALICE),
            _sent(2, ALICE, SHARED),
            _sent(3, ALICE, "Sales@EXAMPLE.com", ALICE),
            events.refused(_sent(4, ALICE, ALICE), "550 5.7.1 no"),
            _sent(5, BOB, SHARED),
            _sent(6, BOB, ALICE),
        ]
        message_log.add(connection, recorded)
    asyncio.run(sort_in(example, steps))
    with read(example) as connection:
        op = OperationContext(connection, vault, Actor.console("root"), 10.0)
        assert send_as_operations.last_used(op, ALICE) == {ALICE: 3.0, SHARED: 3.0}


def test_what_others_send_from_an_address_is_looked_at_to_a_bound(example: Engine, vault: Vault, alice: int) -> None:
    with write(example) as connection:
        send_as_addresses.add(connection, alice, SHARED, 0.0, granted_by_administrator=True)
        message_log.add(connection, [_sent(1, ALICE, SHARED), *(_sent(n, BOB, SHARED) for n in range(2, 21))])
    asyncio.run(sort_in(example))
    with write(example) as connection:
        op = OperationContext(connection, vault, Actor.console("root"), 100.0)
        assert send_as_operations.last_used(op, ALICE) == {SHARED: 1.0}
        message_log.add(connection, [_sent(21, BOB, SHARED)])
    asyncio.run(sort_in(example))
    with read(example) as connection:
        op = OperationContext(connection, vault, Actor.console("root"), 100.0)
        assert send_as_operations.last_used(op, ALICE) == {}


def test_of_all_addresses_it_is_asked_in_two_queries(example: Engine, vault: Vault, alice: int) -> None:
    with write(example) as connection:
        for number in range(send_as_addresses.MAX_ADDRESSES - 1):
            address = f"sales{number}@example.com"
            send_as_addresses.add(connection, alice, address, 0.0, granted_by_administrator=True)
        message_log.add(connection, [_sent(1, ALICE, "sales97@example.com")])
    asyncio.run(sort_in(example))
    with read(example) as connection:
        op = OperationContext(connection, vault, Actor.console("root"), 10.0)
        asked: list[str] = []
        event.listen(connection, "before_cursor_execute", lambda *told: asked.append(told[2]))
        assert send_as_operations.last_used(op, ALICE) == {"sales97@example.com": 1.0}
        assert len([one for one in asked if "search_key" in one]) == 2
