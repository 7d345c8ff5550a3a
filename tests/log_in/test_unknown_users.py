"""At the listener, nobody can tell a user who exists from one who does not."""

import asyncio
import base64
import smtplib
from pathlib import Path

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


def _challenge(site: Site, username: str) -> dict[str, str]:
    """The attributes of the server's first message (RFC 5802 section 5.1)."""
    first = base64.b64encode(f"n,,n={username},r=client-nonce".encode()).decode()
    with smtplib.SMTP_SSL("localhost", site.tls, context=site.client_context(), timeout=30) as session:
        session.ehlo()
        code, text = session.docmd("AUTH", f"SCRAM-SHA-256 {first}")
        session.docmd("*")
    assert code == 334
    return dict(part.partition("=")[::2] for part in base64.b64decode(text).decode().split(","))
