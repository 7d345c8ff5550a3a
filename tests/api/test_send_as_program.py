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
from outgate.operations import role_operations, send_as_operations
from outgate.operations.confirmation import Confirmation
from outgate.sendas import verification
from way.place import GATEWAY_PASSWORD

DOCS = Path(__file__).parents[2] / "docs"
PACKAGES = Path(__file__).parent / "node"  # Google's, by their lock
AUDIT = "https://www.googleapis.com/auth/admin.reports.audit.readonly"
CONFIRM = "outgate.send-as-manage"


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
    await api.service_account("program", [SHARING, BASIC, SEND, AUDIT, CONFIRM])
    await api.operate(lambda op: role_operations.assign(op, BOB, "auditor", "/"))
    environment = os.environ | {
        "GATEWAY_HOST": "localhost",
        "GATEWAY_PORT": str(api.partner.port),
        "GATEWAY_PASSWORD": GATEWAY_PASSWORD,
        "RECIPIENT": "carol@recipient.example",
        "ADMINISTRATOR": BOB,
        "HTTPLIB2_CA_CERTS": str(api.site.authority.ca_file),
        "REQUESTS_CA_BUNDLE": str(api.site.authority.ca_file),
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
    code = re.search(rb"\b\d{9}\b", confirmation.content.partition(b"\r\n\r\n")[2])
    assert code
    out, error = await asyncio.wait_for(running.communicate(code[0] + b"\n"), 60)
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


async def test_a_code_that_is_wrong_is_told_and_counts(api: ApiSite) -> None:
    await api.service_account("program", [CONFIRM])
    await api.operate(lambda op: send_as_operations.add(op, ALICE, PARTNER, Confirmation("mail.example.com", "")))
    credentials = api.credentials(ALICE, [CONFIRM], "program")
    await asyncio.to_thread(credentials.refresh, api.token_request())
    header = {"Authorization": f"Bearer {credentials.token}"}

    async def enter(code: str, address: str = PARTNER) -> tuple[int, str]:
        entered = {"address": address, "code": code}
        answer = await api.client.post("/api/v1/send-as/verify", json=entered, headers=header)
        return answer.status_code, answer.json()["detail"]

    said = [await enter("000000000") for _ in range(verification.TRIES + 1)]
    assert {status for status, _ in said} == {400}
    assert "you have 4 more tries" in said[0][1]
    assert "have a new code sent" in said[-1][1]
    assert (await enter("000000000", "nobody@dominiopartner.example"))[0] == 404
