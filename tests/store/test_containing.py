"""Searches for a part of a text take it as it is, whatever somebody typed, on both databases."""

from sqlalchemy import Engine, func, insert, literal, select

from outgate.directory import users
from outgate.directory.users import UserFilter
from outgate.queue import admin
from outgate.queue.admin import Selection
from outgate.record import audit_trail
from outgate.record.audit_trail import AuditEntry, AuditFilter
from outgate.sendas import address_search, send_as_addresses
from outgate.sendas.address_search import AddressFilter
from outgate.store.containing import LONGEST, Containing
from outgate.store.engine import read, write
from outgate.store.tables import message, recipient
from outgate.store.vault import Vault
from outgate.web.form import Form

PARTNER = "alice10@dominiopartner.example"
FOUND = {"ALI": True, "a_ice": False, "%": False, "Alice": True, "/": False, "*": False, "[a]": False, "\\": False}


def test_letters_are_taken_as_they_are_whatever_their_case(example: Engine, alice: int, vault: Vault) -> None:
    """By all that search: users, addresses, the queue and the audit trail."""
    with write(example) as connection:
        send_as_addresses.add(connection, alice, PARTNER, 5.0)
        connection.execute(insert(message).values(_message("alice@example.com")))
        waits = {"message_id": 1, "number": 0, "queue": "mx:x.example", "due_at": 9.0, "address": "b@x.example"}
        connection.execute(insert(recipient).values(waits | {"last_reply": "450 Alice is full"}))
        audit_trail.append(connection, vault, [AuditEntry(1.0, "alice@example.com", "", "user.edit")])
    for text, is_found in FOUND.items():
        with read(example) as connection:
            assert [one.id for one in users.search(connection, UserFilter(text))] == [alice] * is_found, text
            addresses = address_search.search(connection, AddressFilter(text=text))[1]
            assert [one.entry.address for one in addresses] == [PARTNER] * is_found, text
            assert admin.matching(connection, Selection(address=text)) == is_found, text
            assert admin.matching(connection, Selection(reply=text)) == is_found, text
            assert len(list(audit_trail.search(connection, AuditFilter(text=text)))) == is_found, text


def _message(sender: str) -> dict[str, object]:
    sizes = {"size": 1, "header_size": 1, "chunks": 1, "body_digest": b"", "eight_bit": False, "smtputf8": False}
    return {"id": 1, "chosen_from": sender, "reverse_path": sender, "protocol": "", "received_at": 1.0, **sizes}


def test_capitals_beyond_ascii_are_others_on_sqlite(engine: Engine) -> None:
    """On PostgreSQL it depends on the database's locale."""
    with read(engine) as connection:
        for text in ("\u00c9lo", "\u00c9LODIE", "die R"):
            assert connection.scalar(select(Containing(literal("\u00c9lodie Rossi"), text)))
        same = engine.dialect.name == "postgresql" and bool(
            connection.scalar(select(literal("\u00c9").ilike("\u00e9")))
        )
        assert bool(connection.scalar(select(Containing(literal("\u00c9lodie Rossi"), "\u00e9lo")))) is same


def test_what_no_base_takes_is_searched_for_without_a_fault(example: Engine) -> None:
    """NUL, and patterns that are too long."""
    with read(example) as connection:
        for text in ("\0", "zoe\0", "z" * 60_000, "%" * LONGEST, "\u20ac" * 60_000):
            assert users.search(connection, UserFilter(text)) == ()
            assert address_search.search(connection, AddressFilter(text=text))[1] == []
            assert admin.matching(connection, Selection(address=text, reply=text)) == 0
            assert list(audit_trail.search(connection, AuditFilter(text=text))) == []


def test_a_forms_texts_have_no_nul(example: Engine) -> None:
    form = Form([("name", " a\0b "), ("text", "one\r\ntw\0o"), ("password", "\0")])
    assert (form.text("name"), form.long_text("text")) == ("a\ufffdb", "one\ntw\ufffdo")
    assert form.secret("password") == "\0"
    with read(example) as connection:
        asked = select(func.count()).where(message.c.chosen_from == form.text("name"))
        assert connection.scalar(asked) == 0
