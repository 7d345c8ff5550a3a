"""The program in the docs, run as it is there; and the Reports API that it ends with."""

import asyncio
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from api.api_site import ALICE, BASIC, BOB, PARTNER, SEND, SHARING, ApiSite, ask, refused, write_key
from node_packages import installed
from outgate.operations import role_operations
from way.place import GATEWAY_PASSWORD

DOCS = Path(__file__).parents[2] / "docs"
PACKAGES = Path(__file__).parent / "node"  # Google's, by their lock
AUDIT = "https://www.googleapis.com/auth/admin.reports.audit.readonly"


@pytest.mark.slow
async def test_the_program_for_node_does_the_same(api: ApiSite, tmp_path: Path) -> None:
    packages = await asyncio.to_thread(installed, PACKAGES)
    (tmp_path / "node_modules").symlink_to(packages)
    shutil.copy(DOCS / "send-as-program.mjs", tmp_path)
    await does_what_it_says(api, tmp_path, "node", str(tmp_path / "send-as-program.mjs"))


async def test_the_program_for_python_does_what_it_says(api: ApiSite, tmp_path: Path) -> None:
    await does_what_it_says(api, tmp_path, sys.executable, str(DOCS / "send-as-program.py"))


async def does_what_it_says(api: ApiSite, tmp_path: Path, *program: str) -> None:
    await api.site.set_domain_gateway(api.partner.port)
    api.partner.credentials = {PARTNER: GATEWAY_PASSWORD, "relay": GATEWAY_PASSWORD}
    await api.service_account("program", [SHARING, BASIC, SEND, AUDIT])
    await api.operate(lambda op: role_operations.assign(op, BOB, "auditor", "/"))
    environment = os.environ | {
        "GATEWAY_HOST": "localhost",
        "GATEWAY_PORT": str(api.partner.port),
        "GATEWAY_PASSWORD": GATEWAY_PASSWORD,
        "RECIPIENT": "carol@recipient.example",
        "ADMINISTRATOR": BOB,
        "HTTPLIB2_CA_CERTS": str(api.site.authority.ca_file),
        "NODE_EXTRA_CA_CERTS": str(api.site.authority.ca_file),
    }
    key = write_key(api.keys["program"], tmp_path / "key.json")
    pipe = asyncio.subprocess.PIPE
    running = await asyncio.create_subprocess_exec(
        *(*program, str(key), api.url, ALICE, PARTNER),
        env=environment,
        stdin=pipe,
        stdout=pipe,
        stderr=pipe,
    )
    [confirmation] = await api.partner.wait_for(1)
    link = re.search(rb"https://\S+/confirm/[\w-]+", confirmation.content.replace(b"=\r\n", b""))
    assert link
    out, error = await asyncio.wait_for(running.communicate(link[0] + b"\n"), 60)
    assert running.returncode == 0, (out + error).decode()
    assert b"reported: GATEWAY_SET MAIL_SEND SEND_AS_ADD" in out
    sent = (await api.partner.wait_for(2))[-1]
    assert (sent.reverse_path, sent.recipients) == (PARTNER, ["carol@recipient.example"])


@pytest.mark.parametrize("ending", ["py", "mjs"])
def test_the_programs_have_no_more_than_sixty_lines(ending: str) -> None:
    assert len((DOCS / f"send-as-program.{ending}").read_text().splitlines()) <= 60


async def test_the_trail_is_read_page_by_page_by_who_may(api: ApiSite) -> None:
    await api.service_account("auditor", [AUDIT])
    await api.operate(lambda op: role_operations.assign(op, BOB, "auditor", "/"))

    def activities(user: str) -> Any:
        return api.service("admin", "reports_v1", api.credentials(user, [AUDIT], "auditor")).activities()

    mine, theirs = activities(BOB), activities(ALICE)
    whole = await ask(mine.list(userKey="all", applicationName="admin"))
    assert whole["kind"] == "admin#reports#activities"
    numbers = [one["id"]["uniqueQualifier"] for one in whole["items"]]
    request = mine.list(userKey="all", applicationName="admin", maxResults=2)
    seen: list[str] = []
    while request is not None:
        page = await ask(request)
        seen += [one["id"]["uniqueQualifier"] for one in page["items"]]
        request = mine.list_next(request, page)
    assert seen == numbers
    assert (await refused(theirs.list(userKey="all", applicationName="admin")))[:2] == (403, "PERMISSION_DENIED")
    for wrong in ({"startTime": "2026-13-31T10:00:00Z"}, {"pageToken": "x"}):
        told = await refused(mine.list(userKey="all", applicationName="admin", **wrong))
        assert told[:2] == (400, "INVALID_ARGUMENT")
