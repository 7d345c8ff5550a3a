"""Application passwords: what is kept of them, and what they open at the real listener, and for how long."""

import asyncio
import base64
import re
import smtplib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from outgate import clock
from outgate.directory import application_passwords, users
from outgate.directory.application_passwords import AT_MOST, Scope, create, listed, match, note_use, revoke
from outgate.directory.errors import AlreadyExists, Invalid, NotAllowed, NotFound
from outgate.record import audit_trail
from outgate.store import tables
from outgate.store.engine import read, write
from way.place import PASSWORD, Site, install, running
from way.submit import client, message

ALICE = "alice@example.com"
OK, WRONG, CLOSING = 235, 535, 421


# --- what is kept ----------------------------------------------------------------------------------------------------


def test_a_secret_has_120_random_bits_and_only_its_digest_is_kept(example: Engine, alice: int) -> None:
    with write(example) as connection:
        secrets = {create(connection, alice, f"Program {n}", Scope.SMTP, 0.0) for n in range(5)}
        rows = connection.execute(select(tables.application_password)).all()
    assert len(secrets) == 5
    for secret in secrets:
        assert re.fullmatch("([A-Z2-7]{4} ){5}[A-Z2-7]{4}", secret)
        assert len(base64.b32decode(secret.replace(" ", ""))) * 8 == 120
        assert secret.replace(" ", "") not in repr(rows)


def test_spaces_and_case_do_not_matter_but_the_scope_does(example: Engine, alice: int) -> None:
    with write(example) as connection:
        secret = create(connection, alice, "Printer", Scope.SMTP, 0.0)
        held = listed(connection, alice)
    for written in (secret, secret.lower(), secret.replace(" ", ""), f" {secret[:7]}  {secret[7:].lower()}\t"):
        assert match(held, written, Scope.SMTP) == held[0]
    assert match(held, secret, Scope.API) is None
    for wrong in ("", secret[:-1], f"{secret}A", secret[::-1], "A" * 24, "é" * 24):
        assert match(held, wrong, Scope.SMTP) is None


def test_an_account_has_at_most_twenty_each_with_a_name_of_its_own(example: Engine, alice: int, bob: int) -> None:
    with write(example) as connection:
        for number in range(AT_MOST):
            create(connection, alice, f"Program {number}", Scope.SMTP, 0.0)
        with pytest.raises(NotAllowed, match="revoke one"):
            create(connection, alice, "One more", Scope.API, 0.0)
        create(connection, bob, "Program 1", Scope.SMTP, 0.0)
        with pytest.raises(AlreadyExists, match="Program 1"):
            create(connection, bob, " Program  1 ", Scope.API, 0.0)
        for name in ("", "  ", "x" * 101, "a\0b"):
            with pytest.raises(Invalid):
                create(connection, bob, name, Scope.SMTP, 0.0)


def test_a_revoked_one_is_gone_and_the_others_stay(example: Engine, alice: int, bob: int) -> None:
    with write(example) as connection:
        for name in ("Car", "Phone"):
            create(connection, alice, name, Scope.SMTP, 0.0)
        assert revoke(connection, alice, "Car").name == "Car"
        assert [one.name for one in listed(connection, alice)] == ["Phone"]
        for account in (alice, bob):
            with pytest.raises(NotFound, match="'Car'"):
                revoke(connection, account, "Car")
        users.remove(connection, ALICE)
        assert listed(connection, alice) == ()


def test_the_last_use_is_kept_to_within_five_minutes(example: Engine, alice: int) -> None:
    with write(example) as connection:
        create(connection, alice, "Car", Scope.SMTP, 0.0)
        (one,) = listed(connection, alice)
        kept = []
        for now in (1000.0, 1200.0, 1299.0, 1300.0, 1301.0):
            note_use(connection, one.id, now)
            kept.append(listed(connection, alice)[0].last_used_at)
    assert kept == [1000.0, 1000.0, 1000.0, 1300.0, 1300.0]


# --- at the listener -------------------------------------------------------------------------------------------------


@asynccontextmanager
async def served(tmp_path: Path, url: str) -> AsyncIterator[Site]:
    site = install(tmp_path / "outgate", database_url=url, top={"database_url": url})
    server = await running(site)
    try:
        yield site
    finally:
        await server.stop()


async def made(site: Site, name: str = "Printer", scope: Scope = Scope.SMTP) -> str:
    return await asyncio.to_thread(_made, site, name, scope)


def _made(site: Site, name: str, scope: Scope) -> str:
    place = site.place()
    with write(place.engine) as connection:
        secret = create(connection, users.find(connection, ALICE).id, name, scope, clock.now())
    place.engine.dispose()
    return secret


async def revoked(site: Site, name: str = "Printer") -> None:
    await asyncio.to_thread(_revoked, site, name)


def _revoked(site: Site, name: str) -> None:
    place = site.place()
    with write(place.engine) as connection:
        revoke(connection, users.find(connection, ALICE).id, name)
    place.engine.dispose()


async def suspended(site: Site) -> None:
    await asyncio.to_thread(_suspended, site)


def _suspended(site: Site) -> None:
    place = site.place()
    with write(place.engine) as connection:
        users.suspend(connection, ALICE)
    place.engine.dispose()


async def code(site: Site, password: str, username: str = ALICE) -> int:
    try:
        session = await asyncio.to_thread(client, site, username, password)
    except smtplib.SMTPAuthenticationError as error:
        return error.smtp_code
    session.close()
    return OK


async def test_an_application_password_opens_a_session_of_its_owner_alone(tmp_path: Path, database_url: str) -> None:
    async with served(tmp_path, database_url) as site:
        secret = await made(site)
        assert await code(site, secret) == OK
        assert await code(site, secret.lower().replace(" ", "")) == OK
        assert await code(site, secret, "bob@example.com") == WRONG
        assert await code(site, await made(site, "Import", Scope.API)) == WRONG
        assert await code(site, PASSWORD) == OK
        await revoked(site)
        assert await code(site, secret) == WRONG


async def test_a_session_whose_application_password_is_revoked_is_closed_at_its_next_mail(
    tmp_path: Path, database_url: str
) -> None:
    async with served(tmp_path, database_url) as site:
        session = await asyncio.to_thread(client, site, ALICE, await made(site))
        other = await asyncio.to_thread(client, site, ALICE, await made(site, "Phone"))
        for one in (session, other):
            await asyncio.to_thread(one.sendmail, ALICE, ["bob@example.com"], message(ALICE))
        await revoked(site)
        reply, text = await asyncio.to_thread(session.docmd, "MAIL", f"FROM:<{ALICE}>")
        assert (reply, b"revoked" in text) == (CLOSING, True)
        await asyncio.to_thread(other.sendmail, ALICE, ["bob@example.com"], message(ALICE, "More"))
        session.close()
        other.close()


async def test_a_message_under_way_is_refused_when_its_application_password_is_revoked(
    tmp_path: Path, database_url: str
) -> None:
    async with served(tmp_path, database_url) as site:
        session = await asyncio.to_thread(client, site, ALICE, await made(site))
        for line in (f"MAIL FROM:<{ALICE}>", "RCPT TO:<bob@example.com>", "DATA"):
            assert (await asyncio.to_thread(session.docmd, line))[0] in (250, 354)
        await revoked(site)
        session.send(message(ALICE) + b".\r\n")
        reply, _ = await asyncio.to_thread(session.getreply)
        assert reply == CLOSING
        session.close()


async def test_the_one_of_a_suspended_user_is_refused_and_that_is_recorded(tmp_path: Path, database_url: str) -> None:
    async with served(tmp_path, database_url) as site:
        secret = await made(site)
        assert await code(site, secret) == OK
        await suspended(site)
        assert await code(site, secret) == WRONG
    place = site.place()
    with read(place.engine) as connection:
        found = [
            *audit_trail.search(
                connection, audit_trail.AuditFilter(operation="security.suspended-application-password")
            )
        ]
    place.engine.dispose()
    # smtplib tries once by PLAIN and once by LOGIN.
    assert [(one.entry.target, one.entry.peer, one.entry.outcome) for one in found] == [
        (ALICE, "127.0.0.1", "refused")
    ] * 2
    assert secret not in repr(found)


async def test_the_last_use_shows_in_the_list(tmp_path: Path, database_url: str) -> None:
    before = clock.now()
    async with served(tmp_path, database_url) as site:
        assert await code(site, await made(site)) == OK
    place = site.place()
    with read(place.engine) as connection:
        (one,) = application_passwords.listed(connection, users.find(connection, ALICE).id)
    place.engine.dispose()
    assert one.last_used_at is not None
    assert before <= one.last_used_at <= clock.now()
