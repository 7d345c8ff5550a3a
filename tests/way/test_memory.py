"""Memory does not grow with message size: twenty large messages at once, through to the gateway."""

import asyncio
import smtplib
from pathlib import Path

import pytest

from corpus.peer import RawPeer
from way.conftest import PARTNER
from way.place import GATEWAY_PASSWORD, LOCALHOST, Site, eventually, install, listens, serve
from way.submit import client, message

MIB = 1024 * 1024
SUBMISSIONS = 20


@pytest.mark.slow
@pytest.mark.measures
@pytest.mark.timeout(300)
async def test_twenty_submissions_of_25_mib_at_once_take_less_than_220_mib(tmp_path: Path) -> None:
    site = install(tmp_path / "outgate")
    context = site.authority.server_context(LOCALHOST)
    content = message(PARTNER) + b"0123456789abcdef" * 4 + b"\r\n" + (b"x" * 74 + b"\r\n") * (25 * MIB // 76)
    async with RawPeer(tls=context, credentials={PARTNER: GATEWAY_PASSWORD}) as gateway:
        await site.switch(on=True)
        await site.add_external("alice@example.com", PARTNER, gateway.port)
        process = await serve(site)
        try:
            await eventually(lambda: listens(site), "it serves", 60)
            await asyncio.gather(*(asyncio.to_thread(_submit, site, content) for _ in range(SUBMISSIONS)))
            received = await gateway.wait_for(SUBMISSIONS, timeout=200)
            peak = _peak(process.pid)
        finally:
            process.terminate()
            await process.wait()
        assert all(one.content.endswith(content[-25 * MIB :]) for one in received)
    print(f"peak resident memory {peak / MIB:.0f} MiB")
    assert peak < 220 * MIB


def _submit(site: Site, content: bytes) -> None:
    with client(site) as session:
        session.timeout = 200
        session.ehlo()
        session.mail(PARTNER)
        session.rcpt("carol@recipient.example")
        session.putcmd("data")
        assert session.getreply()[0] == 354
        session.send(content + b".\r\n")
        code, text = session.getreply()
        if code != 250:
            raise smtplib.SMTPDataError(code, text)


def _peak(pid: int) -> int:
    """The highest resident set so far, in bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024
