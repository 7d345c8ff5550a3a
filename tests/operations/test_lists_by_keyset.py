"""These lists go on behind what was shown last: whatever comes and goes meanwhile, nothing is shown twice or left out.

The inbox is none of them: it goes by page number.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, delete, insert

from outgate.directory import users
from outgate.directory.users import UserFilter
from outgate.queue import admin
from outgate.record import message_log
from outgate.record.message_log import MessageFilter
from outgate.sendas import address_search, send_as_addresses
from outgate.sendas.address_search import AddressFilter
from outgate.store.engine import read, write
from outgate.store.tables import fact, message, recipient
from outgate.writing import sent_messages
from outgate.writing.sent_messages import SentMessage
from record.recorded import accepted

PAGE = 3
NUMBERS = range(10, 19)  # of what is there at first, in the order of the list


@dataclass
class Listed:
    """A list: how its entries are made and taken away by number, and how a page behind the one of a number is read."""

    add: Callable[[Connection, int], object]
    take: Callable[[Connection, int], object]
    page: Callable[[Connection, int | None], Sequence[Hashable]]  # the numbers of its entries


def _user(number: int) -> str:
    return f"user{number}@example.com"


def _outside(number: int) -> str:
    return f"alice{number}@dominiopartner.example"


def _number(text: str) -> int:
    return int("".join(letter for letter in text.partition("@")[0] if letter.isdigit()))


def _users_behind(connection: Connection, number: int | None) -> list[int]:
    after = _user(number) if number else ""
    return [_number(one.address) for one in users.search(connection, UserFilter("user", after=after, limit=PAGE))]


def _add_outside(connection: Connection, number: int) -> None:
    account = users.find(connection, "alice@example.com").id
    send_as_addresses.add(connection, account, _outside(number), 5.0)


def _take_outside(connection: Connection, number: int) -> None:
    account = users.find(connection, "alice@example.com").id
    send_as_addresses.remove(connection, account, _outside(number))


def _addresses_behind(connection: Connection, number: int | None) -> list[int]:
    account = users.find(connection, "alice@example.com").id
    after = (_outside(number), account) if number else None
    found = address_search.search(connection, AddressFilter(after=after, limit=PAGE))[1]
    return [_number(one.entry.address) for one in found]


def _add_queue(connection: Connection, number: int) -> None:
    """Two of a queue are as full as each other."""
    one = {"message_id": number, "address": "b@x.example", "due_at": 9.0, "queue": f"mx:{number}.example"}
    rows = [one | {"number": n} for n in range(20 - number // 2)]
    connection.execute(insert(message).values(_message(number)))
    connection.execute(insert(recipient), rows)


def _message(number: int) -> dict[str, Any]:
    sizes = {"size": 1, "header_size": 1, "chunks": 1, "body_digest": b"", "eight_bit": False, "smtputf8": False}
    return {"id": number, "chosen_from": "", "reverse_path": "", "protocol": "", "received_at": 1.0, **sizes}


def _take_queue(connection: Connection, number: int) -> None:
    connection.execute(delete(recipient).where(recipient.c.message_id == number))


def _queues_behind(connection: Connection, number: int | None) -> list[int]:
    behind = (20 - number // 2, f"mx:{number}.example") if number else None
    return [int(one.queue[3:5]) for one in admin.count(connection, PAGE, behind)]


def _logged_behind(connection: Connection, number: int | None) -> list[int]:
    """The newest come first, so a number is how long ago it came."""
    wanted = MessageFilter(limit=PAGE, older_than=100 - number if number else None)
    return [100 - one.event.message_id for one in message_log.search(connection, wanted)]


def _sent(number: int) -> SentMessage:
    """By account 1; the newest come first, as in the log."""
    return SentMessage(100 - number, "", "", "", "", 1.0, "", is_filed=True, not_filed="", is_open=True)


def _sent_behind(connection: Connection, number: int | None) -> list[int]:
    before = 100 - number if number else None
    return [100 - one.id for one in sent_messages.listed(connection, 1, 2.0, PAGE, before)]


LISTS = {
    "users": Listed(
        lambda connection, number: users.create(connection, _user(number), None, 0.0),
        lambda connection, number: users.remove(connection, _user(number)),
        _users_behind,
    ),
    "addresses": Listed(_add_outside, _take_outside, _addresses_behind),
    "queues": Listed(_add_queue, _take_queue, _queues_behind),
    "email log": Listed(
        lambda connection, number: message_log.add(connection, [accepted(100 - number)]),
        lambda connection, number: connection.execute(delete(fact).where(fact.c.message_id == 100 - number)),
        _logged_behind,
    ),
    "sent": Listed(
        lambda connection, number: sent_messages.add(connection, 1, _sent(number), None, 0.0),
        lambda connection, number: sent_messages.remove(connection, 100 - number),
        _sent_behind,
    ),
}


@pytest.mark.parametrize("name", LISTS)
def test_a_list_goes_on_behind_what_was_shown_last(example: Engine, alice: int, name: str) -> None:
    listed = LISTS[name]
    with write(example) as connection:
        for number in NUMBERS:
            if number != 13:
                listed.add(connection, number)
    with read(example) as connection:
        assert listed.page(connection, None) == [10, 11, 12]
    with write(example) as connection:
        listed.take(connection, 10)  # where offsets would now skip 14
        listed.add(connection, 13)  # ... and show nothing of this
    with read(example) as connection:
        assert listed.page(connection, 12) == [13, 14, 15]
        assert listed.page(connection, 15) == [16, 17, 18]
        assert listed.page(connection, 18) == []


@pytest.mark.parametrize("name", ["users", "addresses", "queues", "sent"])
def test_a_list_goes_on_where_its_last_entry_is_gone(example: Engine, alice: int, name: str) -> None:
    listed = LISTS[name]
    with write(example) as connection:
        for number in NUMBERS:
            listed.add(connection, number)
        listed.take(connection, 12)
    with read(example) as connection:
        assert listed.page(connection, 12) == [13, 14, 15]
