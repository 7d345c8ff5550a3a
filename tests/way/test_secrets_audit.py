"""`outgate secrets audit` on a server that has worked: what it finds, and that it finds."""

import asyncio
import json
import sys
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import text

from corpus.peer import RawPeer
from outgate.store.engine import write
from way.conftest import PARTNER
from way.place import GATEWAY_PASSWORD, LOCALHOST, PASSWORD, Site, eventually, install, listens, serve
from way.submit import client, message

DELIVERIES = 500


@asynccontextmanager
async def served(site: Site) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await serve(site)
    try:
        await eventually(lambda: listens(site), "the server listens")
        yield process
    finally:
        process.terminate()
        await process.wait()


async def audited(site: Site, *arguments: str) -> tuple[int, dict[str, Any]]:
    """Exit status and report."""
    command = [sys.executable, "-m", "outgate", "--data", str(site.data), "--json", "secrets", "audit", *arguments]
    done = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await done.communicate()
    for secret in (GATEWAY_PASSWORD, PASSWORD):
        assert secret.encode() not in out + err
    assert done.returncode is not None
    assert done.returncode in {0, 8}, err.decode()
    return done.returncode, json.loads(out)


def found(report: dict[str, Any]) -> dict[str, dict[str, int]]:
    """Findings by place: how often which secret in which form."""
    return {
        place["place"]: {f"{one['secret']}: {one['form']}": one["count"] for one in place["findings"]}
        for place in report["places"]
        if place["findings"]
    }


async def test_after_500_deliveries_and_a_pause_no_gateway_password_is_anywhere(tmp_path: Path) -> None:
    site = install(tmp_path / "outgate", delivery={"idle_timeout": 1})
    users = tmp_path / "users"
    users.write_text(PASSWORD + "\n")
    async with RawPeer(
        tls=site.authority.server_context(LOCALHOST), credentials={PARTNER: GATEWAY_PASSWORD}
    ) as gateway:
        await site.switch(on=True)
        await site.add_external("alice@example.com", PARTNER, gateway.port)
        async with served(site) as process:
            await asyncio.to_thread(_submit, site)
            await gateway.wait_for(DELIVERIES, timeout=60)
            await eventually(lambda: not gateway.connected, "the connections are closed")
            log = site.data.with_suffix(".log")
            status, report = await audited(site, "--log", str(log), "--secret-file", str(users))
    places = {place["place"]: place["bytes"] for place in report["places"]}
    assert places[f"memory of process {process.pid}"] > 10_000_000
    assert places["file outgate.db"] > 0
    assert places["table fact"] > 0
    assert places[f"file {log.name}"] > 0
    # What a user sent in AUTH PLAIN may stay in freed memory, as it came (docs/secrets.md); nothing else stays.
    left = found(report)
    assert left.pop(f"memory of process {process.pid}", {}).keys() <= {"users, line 1: base64"}
    assert left == {}
    assert status in {0, 8}


async def test_a_password_in_database_log_and_memory_is_found_and_not_shown(tmp_path: Path) -> None:
    """The other way round: what the audit says is worth something."""
    site = install(tmp_path / "outgate")
    more = tmp_path / "more"
    more.write_text("mail.example.com\n")  # the server's name is surely in its memory
    log = tmp_path / "old.log"
    log.write_text("...")
    await site.switch(on=True)
    await site.add_external("alice@example.com", PARTNER, 587)
    place = site.place()
    with write(place.engine) as connection:
        connection.execute(text("UPDATE send_as SET signature = :it WHERE id = 1"), {"it": f"-- {GATEWAY_PASSWORD}"})
    place.engine.dispose()
    log.write_bytes(b"AUTH PLAIN " + b64encode(f"\0{PARTNER}\0{GATEWAY_PASSWORD}".encode()) + b"\n")
    async with served(site) as process:
        status, report = await audited(site, "--log", str(log), "--secret-file", str(more))
    assert status == 8
    places = found(report)
    assert [name.startswith("password of gateway 1 at ") for name in places["table send_as"]] == [True]
    assert any("raw" in name for path in ("file outgate.db", "file outgate.db-wal") for name in places.get(path, {}))
    assert any("SASL PLAIN" in name for name in places["file old.log"])
    assert any(name.startswith("more, line 1") for name in places[f"memory of process {process.pid}"])


def _submit(site: Site) -> None:
    for part in range(50):
        with client(site) as session:
            for number in range(DELIVERIES // 50):
                session.sendmail(PARTNER, ["carol@recipient.example"], message(PARTNER, f"Number {part}-{number}"))
