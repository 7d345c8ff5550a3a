"""JMAP's EmailSubmission: a message is uploaded, imported, submitted, and leaves as all mail does."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from api.api_site import ALICE, BOB, PARTNER, ApiSite
from api.jmap_site import CAROL, JmapClient, message
from outgate.jmap import email_submissions
from outgate.operations import submission_operations
from outgate.store.engine import StoreUnavailable
from outgate.writing.submissions import EventPosition
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
    await handed_over(client, made["id"])
    assert (received.reverse_path, set(received.recipients)) == (PARTNER, {CAROL, "dave@recipient.example"})
    assert b"dave" not in received.content
    assert b"alice@example.com" not in received.content
    email_id = told[0][1]["created"]["e"]["id"]
    wrong = await client.call("Email/set", update={email_id: {"keywords": "x"}})
    assert wrong["notUpdated"][email_id]["properties"] == ["keywords"]
    [kept] = (await client.call("Email/get", ids=[email_id]))["list"]
    assert (kept["mailboxIds"], kept["keywords"]) == ({"sent": True}, {"$seen": True})


async def handed_over(client: JmapClient, submission: str) -> dict[str, Any]:
    """As it is told of once nothing more becomes of it. The partner has the message before that is on record."""
    async with asyncio.timeout(30):
        while True:
            [told] = (await client.call("EmailSubmission/get", ids=[submission]))["list"]
            if all(one["delivered"] == "unknown" for one in told["deliveryStatus"].values()):
                return dict(told)
            await asyncio.sleep(0.02)


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
    await handed_over(client, sent["id"])

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


async def test_a_repeated_request_sends_once_though_what_it_names_is_gone_or_made_anew(shared: ApiSite) -> None:
    client = await JmapClient.of(shared)
    identity = (await client.identities())[PARTNER]["id"]
    draft = {
        "mailboxIds": {"drafts": True},
        "from": [{"email": PARTNER}],
        "to": [{"email": CAROL}],
        "subject": "Once",
        "textBody": [{"partId": "1", "type": "text/plain"}],
        "bodyValues": {"1": {"value": "Hello"}},
    }
    new = {"identityId": identity}
    imported = {
        "blobId": (await client.upload(message(PARTNER, subject="Once")))["blobId"],
        "mailboxIds": {"drafts": True},
    }
    for number, (name, asked) in enumerate(
        (("Email/set", {"create": {"e": draft}}), ("Email/import", {"emails": {"e": imported}}))
    ):
        sending = {"create": {"s": new | {"emailId": "#e"}}, "onSuccessDestroyEmail": ["#s"]}
        methods, key = [(name, asked), ("EmailSubmission/set", sending)], {"Idempotency-Key": f"once {number}"}
        first, again = [(await client.calls(*methods, **key))[1:] for _ in range(2)]
        assert first[0][1]["created"]["s"]["id"] == again[0][1]["created"]["s"]["id"]
        assert first[1][1]["destroyed"], name
        await shared.partner.wait_for(number + 1)
    twice = [("Email/set", {"create": {"e": draft, "f": draft}})]
    twice += [("EmailSubmission/set", {"create": {"s": new | {"emailId": one}}}) for one in ("#e", "#f")]
    told = await client.calls(*twice, **{"Idempotency-Key": "two of one name"})
    assert len({told[at][1]["created"]["s"]["id"] for at in (1, 2)}) == 2
    assert len(await shared.partner.wait_for(4)) == 4


async def test_what_was_submitted_is_told_whatever_fails_afterwards(
    shared: ApiSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await JmapClient.of(shared)
    identity, email = (await client.identities())[PARTNER]["id"], await client.imported(message(PARTNER))
    states = iter([EventPosition()])

    def unavailable(*_given: object) -> Any:
        raise StoreUnavailable("busy")

    def once(*_given: object) -> EventPosition:
        return next(states, None) or unavailable()

    for name, fault in (("submitted_messages", unavailable), ("position", once), ("delete_message", unavailable)):
        monkeypatch.setattr(submission_operations, name, fault)
    asked = {
        "create": {"s": {"identityId": identity, "emailId": email}, "t": {"identityId": "Ix", "emailId": email}},
        "onSuccessDestroyEmail": ["#s"],
    }
    [[name, told, _], [implied, fault, _]] = await client.calls(("EmailSubmission/set", asked))
    monkeypatch.undo()
    assert (name, told["created"].keys(), told["notCreated"].keys()) == ("EmailSubmission/set", {"s"}, {"t"})
    assert told["newState"] == told["oldState"]
    assert (implied, fault["type"]) == ("error", "serverUnavailable")
    await handed_over(client, told["created"]["s"]["id"])

    held = {"mailFrom": {"email": PARTNER, "parameters": {"HOLDFOR": "3600"}}, "rcptTo": [{"email": CAROL}]}
    early = (await client.submit(message(PARTNER), identity, envelope=held))["id"]
    monkeypatch.setattr(submission_operations, "submitted_messages", unavailable)
    told = await client.call("EmailSubmission/set", update={early: {"undoStatus": "canceled"}})
    assert told["updated"] == {early: None}


async def test_a_state_holds_until_the_submission_is_made(shared: ApiSite, monkeypatch: pytest.MonkeyPatch) -> None:
    client = await JmapClient.of(shared, BOB)
    state = (await client.call("EmailSubmission/get", ids=[]))["state"]
    held = {"mailFrom": {"email": BOB, "parameters": {"HOLDFOR": "3600"}}, "rcptTo": [{"email": CAROL}]}
    email, identity = await client.imported(message(BOB)), (await client.identities())[BOB]["id"]
    new = {"identityId": identity, "emailId": email, "envelope": held}
    await client.call("EmailSubmission/set", create={"s": new})
    monkeypatch.setattr(email_submissions, "_state", lambda _call: state)  # as it was before the other's was made
    assert await client.error("EmailSubmission/set", ifInState=state, create={"s": new}) == "stateMismatch"
    monkeypatch.undo()
    state = (await client.call("EmailSubmission/get", ids=[]))["state"]
    told = await client.call("EmailSubmission/set", ifInState=state, create={"s": new, "t": new})
    assert told["created"].keys() == {"s", "t"}
    made = (await client.call("EmailSubmission/query"))["ids"]
    assert len((await client.call("EmailSubmission/set", destroy=made))["destroyed"]) == 3


async def test_a_query_finds_what_is_held_until_a_time(shared: ApiSite) -> None:
    client, tomorrow = await JmapClient.of(shared, BOB), datetime.now(UTC) + timedelta(days=1)
    identity, made = (await client.identities())[BOB]["id"], list[str]()
    times = [(tomorrow + timedelta(hours=hour)).strftime("%Y-%m-%dT%H:%M:%SZ") for hour in (2, 0, 1)]
    for at in times:
        sender = {"email": BOB, "parameters": {"HOLDUNTIL": at}}
        envelope = {"mailFrom": sender, "rcptTo": [{"email": CAROL}]}
        submitted = await client.submit(message(BOB), identity, envelope=envelope)
        assert (submitted["sendAt"], submitted["undoStatus"]) == (at, "pending")
        made.append(submitted["id"])
    await client.call("EmailSubmission/set", update={made[2]: {"undoStatus": "canceled"}})
    late, early, middle = made
    pending, from_middle = {"undoStatus": "pending"}, {"after": times[2]}

    async def found(**asked: Any) -> dict[str, Any]:
        return await client.call("EmailSubmission/query", **asked)

    async def ids(operator: str, *conditions: Any) -> list[str]:
        return list((await found(filter={"operator": operator, "conditions": conditions}))["ids"])

    assert await ids("AND", pending, from_middle) == [late]
    assert await ids("OR", {"before": times[2]}, {"undoStatus": "canceled"}) == [early, middle]
    assert await ids("NOT", {"before": times[2]}, {"undoStatus": "canceled"}) == [late]
    assert await ids("AND", {"identityIds": [identity]}, {"operator": "NOT", "conditions": [pending]}) == [middle]
    by_time = [{"property": "sendAt", "isAscending": False}]
    assert (await found(sort=by_time, calculateTotal=True))["ids"] == [late, middle, early]
    assert (await found(sort=by_time, anchor=middle, anchorOffset=-1, limit=2))["ids"] == [late, middle]
    last = await found(sort=by_time, position=-1, calculateTotal=True)
    assert (last["ids"], last["position"], last["total"]) == ([early], 2, 3)


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
        {"htmlBody": [{"partId": "h", "type": "text/plain"}]},
        {"textBody": [{"partId": "h", "type": "text/html"}]},
    ]
    for wrong in refused:
        told = await client.calls(("Email/set", {"create": {"d": draft | wrong}}))
        assert told[0][1]["notCreated"]["d"]["type"] == "invalidProperties", wrong
