"""JMAP's EmailSubmission: a message is uploaded, imported, submitted, and leaves as all mail does."""

from typing import Any

import pytest

from api.api_site import ALICE, PARTNER, ApiSite
from api.jmap_site import CAROL, JmapClient, message
from way.place import running

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(autouse=True)
def _no_messages(shared: ApiSite) -> None:
    shared.partner.messages.clear()


async def test_an_uploaded_message_leaves_by_the_gateway_of_its_identity(shared: ApiSite) -> None:
    client = await JmapClient.of(shared)
    identity = (await client.identities())[PARTNER]["id"]
    blob = await client.upload(message(PARTNER, Bcc="dave@recipient.example"))
    email = {"blobId": blob["blobId"], "mailboxIds": {"drafts": True}, "keywords": {"$draft": True}}
    sending = {
        "create": {"s": {"identityId": identity, "emailId": "#e"}},
        "onSuccessUpdateEmail": {
            "#s": {"mailboxIds/drafts": None, "mailboxIds/sent": True, "keywords/$draft": None, "keywords/$seen": True}
        },
    }
    told = await client.calls(("Email/import", {"emails": {"e": email}}), ("EmailSubmission/set", sending))
    assert [name for name, *_ in told] == ["Email/import", "EmailSubmission/set", "Email/set"], told
    made = told[1][1]["created"]["s"]
    assert made["undoStatus"] == "final"
    [received] = await shared.partner.wait_for(1)
    assert (received.reverse_path, set(received.recipients)) == (PARTNER, {CAROL, "dave@recipient.example"})
    assert b"dave" not in received.content
    assert b"alice@example.com" not in received.content
    [kept] = (await client.call("Email/get", ids=[told[0][1]["created"]["e"]["id"]]))["list"]
    assert (kept["mailboxIds"], kept["keywords"]) == ({"sent": True}, {"$seen": True})


async def test_what_may_not_be_sent_is_told_in_the_words_of_the_rfc(shared: ApiSite) -> None:
    client = await JmapClient.of(shared)
    before = (await client.call("EmailSubmission/get", ids=None))["list"]
    mine = {address: one["id"] for address, one in (await client.identities()).items()}
    envelope = {"mailFrom": {"email": PARTNER}, "rcptTo": [{"email": CAROL}]}
    held = {"email": PARTNER, "parameters": {"HOLDFOR": "99999999"}}

    async def refused(content: bytes, identity: str = mine[PARTNER], **more: object) -> tuple[str, object]:
        told = await client.submit(content, identity, **more)
        return told["type"], told.get("properties", told.get("invalidRecipients", told.get("maxRecipients")))

    assert await refused(message("bob@example.com")) == ("forbiddenFrom", None)
    assert await refused(message(ALICE)) == ("forbiddenFrom", None)  # another identity's
    assert await refused(message(PARTNER, to="")) == ("noRecipients", None)
    assert await refused(message(PARTNER, to="no address")) == ("invalidEmail", ["to", "cc", "bcc"])
    nobody = "nobody@example.com"
    assert await refused(message(PARTNER), "I123") == ("invalidProperties", ["identityId"])
    assert await refused(message(PARTNER), emailId="M99") == ("invalidProperties", ["emailId"])
    for part, expected in (
        ({"mailFrom": {"email": "bob@example.com"}}, ("forbiddenMailFrom", None)),
        ({"mailFrom": {"email": "x"}}, ("forbiddenMailFrom", None)),
        ({"mailFrom": held}, ("invalidProperties", ["envelope"])),
        ({"rcptTo": []}, ("noRecipients", None)),
        ({"rcptTo": [{"email": "x"}, {"email": CAROL}]}, ("invalidRecipients", ["x"])),
        ({"rcptTo": [{"email": nobody}]}, ("invalidRecipients", [nobody])),
        ({"rcptTo": [{"email": f"{n}@a.example"} for n in range(1001)]}, ("tooManyRecipients", 1000)),
        ({"rcptTo": [{"email": CAROL, "parameters": {"NOTIFY": "NEVER"}}]}, ("invalidProperties", ["envelope"])),
        ({"rcptTo": CAROL}, ("invalidProperties", ["envelope"])),
    ):
        assert await refused(message(PARTNER), envelope=envelope | part) == expected, part
    assert (await client.call("EmailSubmission/get", ids=None))["list"] == before


async def test_a_submission_is_held_taken_back_and_told_of(shared: ApiSite) -> None:
    client = await JmapClient.of(shared)
    identity = (await client.identities())[PARTNER]["id"]
    nothing = (await client.call("EmailSubmission/get", ids=[]))["state"]
    held = {"mailFrom": {"email": PARTNER, "parameters": {"HOLDFOR": "3600"}}, "rcptTo": [{"email": CAROL}]}
    early = await client.submit(message(PARTNER, subject="Held"), identity, envelope=held)
    assert early["undoStatus"] == "pending"
    assert early["deliveryStatus"][CAROL]["delivered"] == "queued"
    sent = await client.submit(message(PARTNER, to=f"{CAROL}, gone@recipient.example"), identity)
    await shared.partner.wait_for(1)

    told = await client.call("EmailSubmission/changes", sinceState=nothing)
    assert (told["created"], told["updated"], told["destroyed"]) == ([early["id"], sent["id"]], [], [])
    one = await client.call("EmailSubmission/changes", sinceState=nothing, maxChanges=1)
    assert (one["created"], one["hasMoreChanges"]) == ([early["id"]], True)
    assert (await client.call("EmailSubmission/query", filter={"undoStatus": "pending"}))["ids"] == [early["id"]]
    before = (await client.call("EmailSubmission/get", ids=[]))["state"]

    cancel = {one["id"]: {"undoStatus": "canceled"} for one in (early, sent)}
    done = await client.call("EmailSubmission/set", update=cancel)
    assert done["updated"].keys() == {early["id"]}
    assert done["notUpdated"][sent["id"]]["type"] == "cannotUnsend"
    assert early["id"] in (await client.call("EmailSubmission/changes", sinceState=before))["updated"]
    found = {one["id"]: one for one in (await client.call("EmailSubmission/get", ids=None))["list"]}
    assert (found[early["id"]]["undoStatus"], found[sent["id"]]["undoStatus"]) == ("canceled", "final")
    status = found[sent["id"]]["deliveryStatus"][CAROL]
    assert status["delivered"] == "unknown"  # it was handed over; what its server does with it nobody says
    assert status["smtpReply"].startswith("250 2.")

    gone = {"destroy": [early["id"]], "onSuccessDestroyEmail": [early["id"]]}
    [[_, told, _], [name, implied, _]] = await client.calls(("EmailSubmission/set", gone))
    assert told["destroyed"] == [early["id"]]
    assert (name, implied["destroyed"]) == ("Email/set", [found[early["id"]]["emailId"]])
    assert await client.error("EmailSubmission/changes", sinceState=before) == "cannotCalculateChanges"
    assert len(shared.partner.messages) == 1


async def test_a_submission_is_repeated_and_sends_once_even_after_a_restart(shared: ApiSite) -> None:
    client = await JmapClient.of(shared)
    identity = (await client.identities())[PARTNER]["id"]
    email = await client.imported(message(PARTNER))
    state = (await client.call("EmailSubmission/get", ids=[]))["state"]
    asked = {"create": {"s": {"identityId": identity, "emailId": email}}}
    key = {"Idempotency-Key": "one of mine"}
    [[_, first, _]] = await client.calls(("EmailSubmission/set", asked), **key)
    await shared.partner.wait_for(1)
    await shared.server.stop()
    shared.server = await running(shared.site)
    [[_, again, _]] = await client.calls(("EmailSubmission/set", asked), **key)
    assert again["created"]["s"]["id"] == first["created"]["s"]["id"]
    assert await client.error("EmailSubmission/set", ifInState=state, **asked) == "stateMismatch"
    other = {
        "create": {"s": {"identityId": identity, "emailId": await client.imported(message(PARTNER, to="x@y.example"))}}
    }
    [[_, refused, _]] = await client.calls(("EmailSubmission/set", other), **key)
    assert refused["notCreated"]["s"]["type"] == "invalidProperties"
    assert len(shared.partner.messages) == 1


async def test_a_message_is_put_together_of_properties(shared: ApiSite) -> None:
    client = await JmapClient.of(shared)
    identity = (await client.identities())[PARTNER]["id"]
    picture = await client.upload(b"not really", "image/png")
    draft = {
        "mailboxIds": {"drafts": True},
        "from": [{"name": "Alice", "email": PARTNER}],
        "to": [{"name": "Carol", "email": CAROL}],
        "bcc": [{"email": "dave@recipient.example"}],
        "subject": "Grüße",
        "htmlBody": [{"partId": "h", "type": "text/html"}],
        "bodyValues": {"h": {"value": "<p>Hello</p>"}},
        "attachments": [{"blobId": picture["blobId"], "type": "image/png", "name": "a.png"}],
    }
    submission = {"create": {"s": {"identityId": identity, "emailId": "#d"}}}
    told = await client.calls(("Email/set", {"create": {"d": draft}}), ("EmailSubmission/set", submission))
    assert told[1][1]["created"], told
    [received] = await shared.partner.wait_for(1)
    assert set(received.recipients) == {CAROL, "dave@recipient.example"}
    for part in (b"multipart/mixed", b"text/plain", b"text/html", b"image/png", b"=?utf-8?"):
        assert part in received.content
    refused: list[dict[str, Any]] = [
        *({"from": []}, {"attachments": [{"blobId": "B99"}]}, {"headers": []}, {"bodyValues": {}}),
    ]
    for wrong in refused:
        told = await client.calls(("Email/set", {"create": {"d": draft | wrong}}))
        assert told[0][1]["notCreated"]["d"]["type"] == "invalidProperties", wrong
