"""Log-in at the submission listener with passwords that a real LDAP directory keeps."""

import asyncio
import smtplib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cli.program import Program
from ldap.slapd import Slapd, password_of
from way.place import Site, install, running


@pytest.fixture
async def site(tmp_path: Path, slapd: Slapd, settings: dict[str, object]) -> AsyncIterator[Site]:
    """A server whose users come from the directory, beside alice and bob who are kept here."""
    made = await asyncio.to_thread(install, tmp_path / "data", ldap=settings, dkim_key=False)
    await asyncio.to_thread(Program(made.data).run, "ldap", "sync")
    server = await running(made)
    try:
        yield made
    finally:
        await server.stop()


async def log_in(site: Site, name: str, password: str | None = None, *, mechanism: str = "PLAIN") -> int:
    """The reply's code."""
    return await asyncio.to_thread(_log_in, site, name, password_of(name) if password is None else password, mechanism)


def _log_in(site: Site, name: str, password: str, mechanism: str) -> int:
    with smtplib.SMTP_SSL("localhost", site.tls, context=site.client_context(), timeout=30) as session:
        session.ehlo()
        session.user, session.password = f"{name}@example.com", password
        try:
            code, _ = session.auth(mechanism, getattr(session, f"auth_{mechanism.lower()}"))
        except smtplib.SMTPAuthenticationError as refused:
            return refused.smtp_code
        return code


async def test_the_password_of_the_directory_logs_in(site: Site) -> None:
    assert await log_in(site, "user1") == 235
    assert await log_in(site, "user2", mechanism="LOGIN") == 235
    assert await log_in(site, "user3", password_of("user4")) == 535
    assert await log_in(site, "alice", "correct horse battery") == 235
