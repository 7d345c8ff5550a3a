"""JMAP's EmailSubmission: a message is uploaded, imported, submitted, and leaves as all mail does."""

from api.api_site import ALICE, PARTNER, ApiSite
from api.jmap_site import CAROL, JmapClient, message


async def test_an_uploaded_message_leaves_by_the_gateway_of_its_identity(api: ApiSite) -> None:
    await api.site.add_external(ALICE, PARTNER, api.partner.port)
    client = await JmapClient.of(api)
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
    [received] = await api.partner.wait_for(1)
    assert (received.reverse_path, set(received.recipients)) == (PARTNER, {CAROL, "dave@recipient.example"})
    assert b"dave" not in received.content
    assert b"alice@example.com" not in received.content
    [kept] = (await client.call("Email/get", ids=None))["list"]
    assert (kept["mailboxIds"], kept["keywords"]) == ({"sent": True}, {"$seen": True})
