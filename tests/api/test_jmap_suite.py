"""What jmap-test-suite asks of Identity and EmailSubmission, against the table of docs/jmap.md.

Each case asks what the suite's case of that id does. With a built checkout of the suite (JMAP_TEST_SUITE) its own cases
are run, too.
"""

import asyncio
import json
import os
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from api.api_site import ALICE, BASIC, BOB, READONLY, SEND, SHARING, ApiSite
from api.jmap_site import JmapClient, token_of

ROOT = Path(__file__).parents[2]
DRIVER = Path(__file__).parent / "node" / "jmap-suite.mjs"
SUITE = os.environ.get("JMAP_TEST_SUITE", "")

REPLY = "reply@example.com"
Case = Callable[[JmapClient], Awaitable[None]]


def table() -> dict[str, str]:
    """What the docs say of each case."""
    page = (ROOT / "docs" / "jmap.md").read_text()
    return dict(re.findall(r"^\| `([a-z]+/[a-z-]+)` \| (.*?) \|$", page, re.MULTILINE))


async def one(client: JmapClient) -> dict[str, Any]:
    return next(iter((await client.identities()).values()))


def has(told: dict[str, Any], **kinds: type) -> None:
    for name, kind in kinds.items():
        assert isinstance(told[name], kind), name


async def all_identities(client: JmapClient) -> None:
    has(told := await one(client), id=str, name=str, email=str, textSignature=str, htmlSignature=str, mayDelete=bool)
    assert "@" in told["email"]
    assert all(told[name] is None or isinstance(told[name], list) for name in ("replyTo", "bcc"))
    assert (await client.call("Identity/get", ids=[told["id"]]))["list"] == [told]


async def not_found(client: JmapClient) -> None:
    for kind in ("Identity", "EmailSubmission"):
        assert (await client.call(f"{kind}/get", ids=["nonexistent"]))["notFound"] == ["nonexistent"]
    assert (await client.call("Identity/set", update={"nonexistent": {"name": "x"}}))["notUpdated"]["nonexistent"]


async def no_changes(client: JmapClient) -> None:
    for kind in ("Identity", "EmailSubmission"):
        state = (await client.call(f"{kind}/get", ids=[]))["state"]
        told = await client.call(f"{kind}/changes", sinceState=state)
        has(told, accountId=str, oldState=str, newState=str, hasMoreChanges=bool)
        assert (told["oldState"], told["created"], told["updated"], told["destroyed"]) == (state, [], [], [])


async def changes_after_update(client: JmapClient) -> None:
    identity, state = (await one(client))["id"], (await client.call("Identity/get", ids=[]))["state"]
    await client.call("Identity/set", update={identity: {"name": "Updated"}})
    assert identity in (await client.call("Identity/changes", sinceState=state))["updated"]


def sets(name: str, value: Any, kept: Any = None) -> Case:
    async def case(client: JmapClient) -> None:
        identity = (await one(client))["id"]
        assert (await client.call("Identity/set", update={identity: {name: value}}))["updated"]
        assert (await one(client))[name] == (kept or value)

    return case


async def submissions_are_listed(client: JmapClient) -> None:
    every: list[list[str] | None] = [None, []]
    for ids in every:
        has(await client.call("EmailSubmission/get", ids=ids), accountId=str, state=str, list=list, notFound=list)


def queries(condition: Any) -> Case:
    async def case(client: JmapClient) -> None:
        told = await client.call("EmailSubmission/query", filter=condition)
        has(told, accountId=str, queryState=str, canCalculateChanges=bool, position=int, ids=list)

    return case


async def draft(client: JmapClient, **more: Any) -> str:
    made = {
        "mailboxIds": {"drafts": True},
        "from": [{"name": "Test", "email": ALICE}],
        "to": [{"name": "Secondary", "email": BOB}],
        "subject": "Submission test",
        "keywords": {"$seen": True, "$draft": True},
        "bodyStructure": {"type": "text/plain", "partId": "1"},
        "bodyValues": {"1": {"value": "Test"}},
    }
    told = await client.call("Email/set", create={"d": made | more})
    return str(told["created"]["d"]["id"])


async def submitted(client: JmapClient, **more: Any) -> dict[str, Any]:
    new = {"identityId": (await one(client))["id"], "emailId": await draft(client), **more}
    made: dict[str, Any] = (await client.call("EmailSubmission/set", create={"s": new}))["created"]["s"]
    return made


async def creates(client: JmapClient) -> None:
    made = await submitted(client)
    assert made["sendAt"]
    assert made["undoStatus"] in ("pending", "final")
    [told] = (await client.call("EmailSubmission/get", ids=[made["id"]]))["list"]
    assert all(told[name] for name in ("identityId", "emailId", "sendAt", "undoStatus"))


async def with_envelope(client: JmapClient) -> None:
    rcpt = [{"email": BOB, "parameters": None}]
    await submitted(client, envelope={"mailFrom": {"email": ALICE, "parameters": None}, "rcptTo": rcpt})


async def on_success(client: JmapClient) -> None:
    email = await draft(client)
    new = {"identityId": (await one(client))["id"], "emailId": email}
    patch = {"mailboxIds/sent": True, "mailboxIds/drafts": None, "keywords/$draft": None}
    asked = {"create": {"s": new}, "onSuccessUpdateEmail": {"#s": patch}}
    told = await client.calls(("EmailSubmission/set", asked))
    assert [name for name, *_ in told] == ["EmailSubmission/set", "Email/set"]
    [kept] = (await client.call("Email/get", ids=[email], properties=["mailboxIds", "keywords"]))["list"]
    assert (kept["mailboxIds"], kept["keywords"]) == ({"sent": True}, {"$seen": True})


async def no_recipients(client: JmapClient) -> None:
    email = await draft(client, to=None)
    new = {"identityId": (await one(client))["id"], "emailId": email}
    assert (await client.call("EmailSubmission/set", create={"s": new}))["notCreated"]["s"]["type"] == "noRecipients"


CASES: dict[str, Case] = {
    "identity/get-all-identities": all_identities,
    "identity/get-identity-properties": all_identities,
    "identity/get-identity-by-id": all_identities,
    "identity/get-identity-email-matches": all_identities,
    "identity/get-identity-not-found": not_found,
    "identity/changes-no-changes": no_changes,
    "identity/changes-response-structure": no_changes,
    "identity/changes-after-update": changes_after_update,
    "identity/set-update-name": sets("name", "Test Updated Name"),
    "identity/set-update-text-signature": sets("textSignature", "-- \nTest Signature", "--\nTest Signature"),
    "identity/set-update-html-signature": sets("htmlSignature", "<p><b>Test</b> HTML Signature</p>"),
    "identity/set-update-reply-to": sets(
        "replyTo", [{"name": "Reply Test", "email": REPLY}], [{"name": None, "email": REPLY}]
    ),
    "identity/set-not-found": not_found,
    "submission/get-empty": submissions_are_listed,
    "submission/get-response-structure": submissions_are_listed,
    "submission/get-not-found": not_found,
    "submission/changes-no-changes": no_changes,
    "submission/changes-response-structure": no_changes,
    "submission/query-all": queries({}),
    "submission/query-filter-undo-status": queries({"undoStatus": "final"}),
    "submission/query-response-structure": queries({}),
    "submission/query-filter-null-accepted": queries(None),
    "submission/set-create-submission": creates,
    "submission/set-submission-properties": creates,
    "submission/set-create-with-envelope": with_envelope,
    "submission/set-on-success-update-email": on_success,
    "submission/set-no-recipients-error": no_recipients,
}


async def test_every_case_of_identities_and_submissions_passes_as_the_docs_say(api: ApiSite) -> None:
    told = {name: said for name, said in table().items() if name.startswith(("identity/", "submission/"))}
    assert told == dict.fromkeys(CASES, "passes")
    client = await JmapClient.of(api)
    for case in dict.fromkeys(CASES.values()):
        await case(client)


@pytest.mark.skipif(not SUITE, reason="JMAP_TEST_SUITE names no checkout of jmap-test-suite")
async def test_the_suite_itself_says_what_the_docs_say(api: ApiSite) -> None:
    tokens = [await token_of(api, user, (SHARING, BASIC, SEND, READONLY)) for user in (ALICE, BOB)]
    users = [ALICE, tokens[0], BOB, tokens[1]]
    command = ["node", str(DRIVER), SUITE, f"{api.url}/.well-known/jmap", *users]
    running = await asyncio.create_subprocess_exec(
        *(*command, "core", "binary", "identity", "submission"),
        env=os.environ | {"NODE_EXTRA_CA_CERTS": str(api.site.authority.ca_file)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, error = await asyncio.wait_for(running.communicate(), 120)
    assert running.returncode == 0, error.decode()
    outcomes = dict(json.loads(line) for line in out.decode().splitlines())
    said = table()
    assert outcomes.keys() == said.keys()
    wrong = {name: outcome for name, outcome in outcomes.items() if (outcome == "passes") != (said[name] == "passes")}
    assert wrong == {}
