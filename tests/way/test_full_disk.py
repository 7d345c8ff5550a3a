"""A full disk: the client hears 451 and keeps its message; what was acknowledged arrives when there is room again."""

import asyncio
import os
import smtplib
from pathlib import Path

import pytest

from corpus.peer import RawPeer
from way.conftest import PARTNER
from way.place import GATEWAY_PASSWORD, LOCALHOST, Site, eventually, install, listens, serve
from way.submit import client, message

SIZE = 12 * 1024 * 1024
LARGE = "\r\n".join(["x" * 76] * 2600)  # 200 KB


@pytest.mark.timeout(180)
async def test_a_full_disk_loses_nothing_and_recovers(tmp_path: Path) -> None:
    closed = True

    def answer(line: str) -> str | None:
        return "451 4.3.0 Not yet" if closed and line.startswith("MAIL") else None

    site = install(tmp_path / "outgate", delivery={"retry_first": 1, "retry_factor": 1})
    context = site.authority.server_context(LOCALHOST)
    async with RawPeer(tls=context, credentials={PARTNER: GATEWAY_PASSWORD}, answer=answer) as gateway:
        await site.switch(on=True)
        await site.add_external("alice@example.com", PARTNER, gateway.port)
        process = await serve(site, before=_small_disk(site.data))
        inside = Path(f"/proc/{process.pid}/root{site.data}")
        try:
            await eventually(lambda: listens(site), "it serves", 60)
            acknowledged, refusal = await asyncio.to_thread(_fill, site)
            assert refusal == (451, b"4.3.1 Can't store the message now; try again later")
            assert acknowledged
            (inside / "ballast").unlink()
            closed = False
            await eventually(lambda: _accepted(site, "after"), "it takes mail again", 60)
            await eventually(lambda: acknowledged | {"after"} <= _subjects(gateway), "all arrived", 60)
        finally:
            process.terminate()
            await process.wait()


def _small_disk(data: Path) -> list[str]:
    """A file system of its own for this process alone, with the installation and 4 MiB of ballast on it."""
    namespace = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--mount"]
    script = (
        f'cp -a "$0" "$0.copy" && mount -t tmpfs -o size={SIZE} none "$0" && cp -a "$0.copy/." "$0" '
        '&& head -c 4194304 /dev/zero > "$0/ballast" && exec "$@"'
    )
    return [*namespace, "sh", "-c", script, str(data)]


def _fill(site: Site) -> tuple[set[str], tuple[int, bytes]]:
    acknowledged: set[str] = set()
    with client(site) as session:
        for number in range(200):
            subject = f"number-{number}"
            try:
                session.sendmail(PARTNER, ["carol@recipient.example"], message(PARTNER, subject, LARGE))
            except smtplib.SMTPDataError as error:
                return acknowledged, _reply(error)
            acknowledged.add(subject)
    raise AssertionError("the disk did not fill up")


def _reply(error: smtplib.SMTPDataError) -> tuple[int, bytes]:
    text = error.smtp_error
    return error.smtp_code, text if isinstance(text, bytes) else text.encode()


def _accepted(site: Site, subject: str) -> bool:
    try:
        with client(site) as session:
            session.sendmail(PARTNER, ["carol@recipient.example"], message(PARTNER, subject))
    except (OSError, smtplib.SMTPException):
        return False
    return True


def _subjects(gateway: RawPeer) -> set[str]:
    return {one.content.split(b"Subject: ")[1].split(b"\r\n")[0].decode() for one in gateway.messages}
