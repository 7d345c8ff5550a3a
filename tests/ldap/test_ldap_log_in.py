"""Log-in at the submission listener with passwords that a real LDAP directory keeps."""

import asyncio
import base64
import smtplib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from cli.program import PASSWORD, Program
from ldap.slapd import PEOPLE, Slapd, dn_of, password_of, person
from outgate.config import Config, LdapSettings
from outgate.directory.accounts import LogInEntry
from outgate.directory.users import External
from outgate.ldap.bind import REMEMBERED, Binder
from outgate.ldap.entries import LdapEntry, search
from outgate.ldap.ldap_client import LdapClient, LdapUnavailable
from way.place import Site, install, running

LIMIT = 3


@pytest.fixture
async def site(tmp_path: Path, slapd: Slapd, settings: dict[str, object]) -> AsyncIterator[Site]:
    """A server whose users come from the directory, beside alice and bob who are kept here."""
    limits = {"failures_per_account": f"{LIMIT}/10minutes"}
    made = await asyncio.to_thread(install, tmp_path / "data", ldap=settings, log_in=limits, dkim_key=False)
    await sync(made)
    server = await running(made)
    try:
        yield made
    finally:
        await server.stop()


async def sync(site: Site, *options: str) -> None:
    await asyncio.to_thread(Program(site.data).run, "ldap", "sync", *options)


async def log_in(site: Site, name: str, password: str | None = None) -> int:
    """The code of the reply to AUTH PLAIN."""
    return await asyncio.to_thread(_log_in, site, name, password_of(name) if password is None else password)


def _log_in(site: Site, name: str, password: str) -> int:
    with smtplib.SMTP_SSL("localhost", site.tls, context=site.client_context(), timeout=30) as session:
        return auth(session, name, password)


def auth(session: smtplib.SMTP, name: str, password: str) -> int:
    session.ehlo()
    response = base64.b64encode(f"\0{name}@example.com\0{password}".encode()).decode()
    return session.docmd("AUTH", f"PLAIN {response}")[0]


async def test_the_password_of_the_directory_logs_in(site: Site) -> None:
    assert await log_in(site, "user1") == 235
    assert await log_in(site, "user3", password_of("user4")) == 535
    assert await log_in(site, "alice", PASSWORD) == 235


@pytest.mark.parametrize("password", ["", "\u00ad", "\u200b\u200d"])
async def test_what_is_no_password_once_prepared_makes_no_unauthenticated_bind(
    site: Site, slapd: Slapd, password: str
) -> None:
    """RFC 4513 section 5.1.2; this directory answers such a bind with success."""
    assert slapd.who_am_i(dn_of("user1"), "") == "anonymous"
    assert await log_in(site, "user1", password) == 535


async def test_a_message_is_sent_after_such_a_log_in(site: Site) -> None:
    def work() -> None:
        with smtplib.SMTP_SSL("localhost", site.tls, context=site.client_context(), timeout=30) as session:
            assert auth(session, "user1", password_of("user1")) == 235
            session.sendmail("user1@example.com", ["bob@example.com"], b"From: user1@example.com\r\n\r\nHello\r\n")

    await asyncio.to_thread(work)


async def test_who_was_renamed_in_the_directory_logs_in_before_the_next_sync(site: Site, slapd: Slapd) -> None:
    await asyncio.to_thread(slapd.rename, dn_of("user1"), "uid=married")
    assert await log_in(site, "user1") == 235


async def test_the_next_owner_of_a_name_gets_nobodys_account(site: Site, slapd: Slapd) -> None:
    await asyncio.to_thread(slapd.rename, dn_of("user1"), "uid=married")
    await asyncio.to_thread(slapd.add, person("user1", mail="other@example.com", userPassword="the next owner's"))
    assert await log_in(site, "user1", "the next owner's") == 535
    assert await log_in(site, "user1") == 235


async def test_who_is_gone_is_out_at_once_and_suspended_by_the_next_sync(site: Site, slapd: Slapd) -> None:
    def work() -> tuple[int, int]:
        with smtplib.SMTP_SSL("localhost", site.tls, context=site.client_context(), timeout=30) as session:
            assert auth(session, "user1", password_of("user1")) == 235
            slapd.delete(dn_of("user1"), dn_of("user2"))
            before = _log_in(site, "user2", password_of("user2"))
            Program(site.data).run("ldap", "sync")
            refused, _ = session.mail("user1@example.com")
            return before, refused

    assert await asyncio.to_thread(work) == (535, 550)
    assert await log_in(site, "user1") == 535
    await asyncio.to_thread(slapd.add, person("user1"))
    await sync(site, "--adopt")
    assert await log_in(site, "user1") == 235


async def test_who_is_disabled_is_out_at_once(site: Site, slapd: Slapd) -> None:
    await asyncio.to_thread(slapd.modify, dn_of("user1"), "objectClass", ("inetOrgPerson", "adUser"))
    await asyncio.to_thread(slapd.modify, dn_of("user1"), "userAccountControl", "514")
    assert await log_in(site, "user1") == 535
    await asyncio.to_thread(slapd.modify, dn_of("user1"), "userAccountControl", "512")
    assert await log_in(site, "user1") == 235


async def test_while_the_directory_is_down_clients_are_to_come_again(site: Site, slapd: Slapd) -> None:
    await asyncio.to_thread(slapd.stop)
    with capture_logs() as lines:
        for _ in range(LIMIT + 1):  # it is no failure of the user's
            assert await log_in(site, "user1") == 454
    assert await log_in(site, "alice", PASSWORD) == 235
    assert password_of("user1") not in str(lines)
    await asyncio.to_thread(slapd.start)
    assert await log_in(site, "user1") == 235


async def test_wrong_passwords_are_counted(site: Site) -> None:
    for _ in range(LIMIT):
        assert await log_in(site, "user1", "wrong") == 535
    assert await log_in(site, "user1") == 454


async def test_scram_does_not_tell_users_of_the_directory_from_nobody(site: Site) -> None:
    def first(name: str) -> dict[str, str]:
        with smtplib.SMTP_SSL("localhost", site.tls, context=site.client_context(), timeout=30) as session:
            session.ehlo()
            begun = base64.b64encode(f"n,,n={name}@example.com,r=nonce".encode()).decode()
            code, text = session.docmd("AUTH", f"SCRAM-SHA-256 {begun}")
            assert code == 334
            session.close()
            return dict(part.split("=", 1) for part in base64.b64decode(text).decode().split(","))

    one, again, nobody = [await asyncio.to_thread(first, name) for name in ("user1", "user1", "nobody")]
    assert one["s"] == again["s"]
    assert (len(one["s"]), one["i"]) == (len(nobody["s"]), nobody["i"])


async def test_without_the_directory_in_the_settings_its_users_do_not_log_in(
    tmp_path: Path, settings: dict[str, object]
) -> None:
    made = await asyncio.to_thread(install, tmp_path / "data", ldap=settings, dkim_key=False)
    await sync(made)
    configuration = made.data / "outgate.toml"
    configuration.write_text(configuration.read_text().replace(f'url = "{settings["url"]}"', 'url = ""'))
    server = await running(made)
    try:
        assert await log_in(made, "user1") == 535
        assert await log_in(made, "alice", PASSWORD) == 235
    finally:
        await server.stop()


# --- the checker by itself -------------------------------------------------------------------------------------------


@pytest.fixture
def client(tmp_path: Path, settings: dict[str, object]) -> LdapClient:
    return LdapClient(Config(data=tmp_path, ldap=LdapSettings.model_validate(settings)))


def an_entry(client: LdapClient, name: str) -> LogInEntry:
    """What the directory of accounts says of a user."""
    with client.connected() as connection:
        found = [one for one in search(connection, client.settings) if isinstance(one, LdapEntry)]
    entry = next(one for one in found if one.address == f"{name}@example.com")
    return LogInEntry(7, None, None, False, (), External(entry.id, entry.dn))


async def test_a_password_is_remembered_for_a_minute_and_no_longer(
    client: LdapClient, slapd: Slapd, monkeypatch: pytest.MonkeyPatch
) -> None:
    binder = Binder(client)
    loop = asyncio.get_running_loop()
    user, right, began = an_entry(client, "user1"), password_of("user1"), loop.time()
    assert not binder.remembers(user, right)
    monkeypatch.setattr(loop, "time", lambda: began)
    assert await binder.check(user, right)
    slapd.stop()
    for after, remembered in ((0.0, True), (REMEMBERED - 0.1, True), (REMEMBERED, False)):
        monkeypatch.setattr(loop, "time", lambda after=after: began + after)
        assert binder.remembers(user, right) is remembered
        assert not binder.remembers(user, "wrong")
    monkeypatch.undo()
    with pytest.raises(LdapUnavailable):
        await binder.check(user, right)
    binder.close()


async def test_what_is_remembered_goes_with_the_entry(client: LdapClient) -> None:
    binder = Binder(client)
    user, right = an_entry(client, "user1"), password_of("user1")
    assert await binder.check(user, right)
    for external in (External("another", dn_of("user1")), External("another", None), None):
        assert not binder.remembers(LogInEntry(7, None, None, False, (), external), right)
    binder.close()


@pytest.mark.parametrize("stranger", ["*", "*)(uid=*", "\\2a", "\0", "(", "user1"])
async def test_an_id_is_compared_and_nothing_else(client: LdapClient, stranger: str) -> None:
    """Ids are ours, but whoever writes the directory writes them."""
    binder = Binder(client)
    for dn in (dn_of("user1"), dn_of("*"), "no DN at all", f"uid=user1)(,{PEOPLE}"):
        user = LogInEntry(7, None, None, False, (), External(stranger, dn))
        assert not await binder.check(user, password_of("user1"))
    binder.close()


async def test_a_directory_that_hangs_is_given_up_in_time(tmp_path: Path, settings: dict[str, object]) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    hanging = settings | {"url": f"ldaps://127.0.0.1:{port}", "timeout": 1}
    binder = Binder(LdapClient(Config(data=tmp_path, ldap=LdapSettings.model_validate(hanging))))
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(LdapUnavailable):
        await binder.check(LogInEntry(7, None, None, False, (), External("1", dn_of("user1"))), "secret")
    assert loop.time() - began < 4
    binder.close()
    server.close()
