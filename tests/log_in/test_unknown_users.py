"""At the listener, nobody can tell a user who exists from one who does not."""

import asyncio
import base64
import contextlib
import smtplib
from pathlib import Path

import pytest
import structlog

from way.place import Site, install, running


async def test_a_scram_challenge_for_nobody_asks_for_as_many_rounds_as_one_for_a_user(tmp_path: Path) -> None:
    site = install(tmp_path / "outgate")
    server = await running(site)
    try:
        real = await asyncio.to_thread(_challenge, site, "alice@example.com")
        fake = await asyncio.to_thread(_challenge, site, "nobody@example.com")
    finally:
        await server.stop()
    assert real["i"] == fake["i"] == "4096"
    assert len(real["s"]) == len(fake["s"])


async def test_all_spellings_of_a_name_show_one_salt_whether_the_user_exists_or_not(tmp_path: Path) -> None:
    site = install(tmp_path / "outgate")
    server = await running(site)
    try:
        for name in ("alice", "nobody"):
            spellings = (f"{name}@example.com", f"{name.upper()}@EXAMPLE.com", f'"{name}"@example.com')
            salts = {(await asyncio.to_thread(_challenge, site, spelling))["s"] for spelling in spellings}
            assert len(salts) == 1, name
    finally:
        await server.stop()


async def _scram_codes(site: Site, end: bytes) -> list[int]:
    return [await asyncio.to_thread(_abandoned, site, "alice@example.com", end) for _ in range(4)]


@pytest.mark.parametrize("end", [b"*\r\n", b"", b"bm9uc2Vuc2U=\r\n", b"!\r\n", b"QUIT\r\n"])
async def test_exchanges_that_are_not_ended_are_counted_and_logged(tmp_path: Path, end: bytes) -> None:
    site = install(tmp_path / "outgate", log_in={"failures_per_account": "3/10minutes"})
    with structlog.testing.capture_logs() as log:
        server = await running(site)
        try:
            assert await _scram_codes(site, end) == [334, 334, 334, 454]
        finally:
            await server.stop()
    failed = [one for one in log if one["event"] == "log-in failed"]
    assert [(one["username"], one["peer"]) for one in failed] == [("alice@example.com", "127.0.0.1")] * 3


def _abandoned(site: Site, username: str, end: bytes) -> int:
    """The reply to the begin of an exchange that is ended so; the connection is closed right behind it."""
    first = base64.b64encode(f"n,,n={username},r=client-nonce".encode()).decode()
    with smtplib.SMTP_SSL("localhost", site.tls, context=site.client_context(), timeout=30) as session:
        session.ehlo()
        code, _ = session.docmd("AUTH", f"SCRAM-SHA-256 {first}")
        if end and code == 334:
            session.send(end)
            session.getreply()
        session.close()
    return code


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "SCRAM-SHA-256"])
async def test_a_user_name_that_is_no_address_is_never_in_the_log(tmp_path: Path, mechanism: str) -> None:
    """People type their password there."""
    site = install(tmp_path / "outgate", log_in={"failures_per_account": "3/10minutes"})
    with structlog.testing.capture_logs() as log:
        server = await running(site)
        try:
            for name in ("hunter2", "hun ter2@", "\x1b[31mhunter2"):
                await asyncio.to_thread(_fail, site, name, mechanism)
                await asyncio.to_thread(_fail, site, name, mechanism)
        finally:
            await server.stop()
    assert any(one["event"] == "log-in failed" for one in log)
    assert any(one["event"] == "log-in locked" for one in log)
    assert "hunter2" not in repr(log)
    assert "hun ter2" not in repr(log)


def _fail(site: Site, username: str, mechanism: str) -> None:
    with smtplib.SMTP_SSL("localhost", site.tls, context=site.client_context(), timeout=30) as session:
        session.ehlo()
        if mechanism == "SCRAM-SHA-256":
            first = base64.b64encode(f"n,,n={username},r=client-nonce".encode()).decode()
            session.docmd("AUTH", f"SCRAM-SHA-256 {first}")
            session.docmd("*")
            return
        session.user, session.password = username, "wrong"
        with contextlib.suppress(smtplib.SMTPAuthenticationError):
            session.auth(mechanism, session.auth_plain if mechanism == "PLAIN" else session.auth_login)


def _challenge(site: Site, username: str) -> dict[str, str]:
    """The attributes of the server's first message (RFC 5802 section 5.1)."""
    first = base64.b64encode(f"n,,n={username},r=client-nonce".encode()).decode()
    with smtplib.SMTP_SSL("localhost", site.tls, context=site.client_context(), timeout=30) as session:
        session.ehlo()
        code, text = session.docmd("AUTH", f"SCRAM-SHA-256 {first}")
        session.docmd("*")
    assert code == 334
    return dict(part.partition("=")[::2] for part in base64.b64decode(text).decode().split(","))
