"""`users.messages.send` and `getProfile` as Google's own Python client asks for them."""

import asyncio
import base64
import io
import uuid
from email.message import EmailMessage

import pytest
from googleapiclient.http import MediaIoBaseUpload

from api.api_site import ALICE, BOB, PARTNER, READONLY, SEND, SHARING, ApiSite, ask, refused
from outgate.api.google_error import ApiError
from outgate.api.message_parts import divided
from outgate.operations import message_log_operations
from outgate.operations.context import OperationContext
from outgate.queue.queue_id import from_text
from outgate.record.events import EventKind
from way.place import running

CAROL = "carol@recipient.example"


def message(sender: str | None = PARTNER, text: str = "Hello, Carol.", **fields: str) -> bytes:
    made = EmailMessage()
    for name, value in {"From": sender, "To": CAROL, "Subject": "Hello", **fields}.items():
        if value:
            made[name] = value
    made.set_content(text)
    return bytes(made)


def raw(content: bytes) -> dict[str, str]:
    return {"raw": base64.urlsafe_b64encode(content).decode()}


def media(content: bytes, **options: object) -> MediaIoBaseUpload:
    return MediaIoBaseUpload(io.BytesIO(content), "message/rfc822", **options)


async def partner_of(api: ApiSite) -> None:
    await api.site.add_external(ALICE, PARTNER, api.partner.port)


async def test_a_message_leaves_by_the_gateway_of_its_from_address(api: ApiSite) -> None:
    await partner_of(api)
    messages = api.gmail(scopes=[SEND]).users().messages()
    sent = await ask(messages.send(userId="me", body=raw(message(Bcc="dave@recipient.example"))))
    assert sent.keys() == {"id", "threadId", "labelIds"}
    [received] = await api.partner.wait_for(1)
    assert received.reverse_path == PARTNER
    assert set(received.recipients) == {CAROL, "dave@recipient.example"}
    assert b"Hello, Carol." in received.content
    assert b"dave" not in received.content
    assert b"alice@example.com" not in received.content


async def test_every_kind_of_upload_brings_the_same_message(api: ApiSite) -> None:
    await partner_of(api)
    messages = api.gmail(scopes=[SEND]).users().messages()
    whole = message(text="".join(f"line {number} of a long message\n" for number in range(40_000)))
    await ask(messages.send(userId="me", media_body=media(whole)))
    await ask(messages.send(userId="me", body={"threadId": "x"}, media_body=media(whole)))
    request = messages.send(userId="me", body={}, media_body=media(whole, resumable=True, chunksize=256 * 1024))
    assert (await ask(request))["labelIds"] == ["SENT"]
    bodies = {one.content.partition(b"\r\n\r\n")[2] for one in await api.partner.wait_for(3)}
    assert bodies == {whole.partition(b"\n\n")[2].replace(b"\n", b"\r\n")}


async def test_a_from_that_is_not_the_account_s_is_an_error(api: ApiSite) -> None:
    messages = api.gmail(scopes=[SEND]).users().messages()
    code, status, text = await refused(messages.send(userId="me", body=raw(message("bob@example.com"))))
    assert (code, status) == (400, "INVALID_ARGUMENT")
    assert "From <bob@example.com> is not an address of alice@example.com" in text


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (message(ALICE, To=""), "Recipient address required"),
        (message(ALICE, To="no address"), "is not one address"),
        (b"no header at all", "Invalid message"),
        (b"", "Recipient address required"),
    ],
)
async def test_what_can_not_be_sent_is_told(api: ApiSite, content: bytes, part: str) -> None:
    messages = api.gmail(scopes=[SEND]).users().messages()
    code, status, text = await refused(messages.send(userId="me", body=raw(content)))
    assert (code, status) == (400, "INVALID_ARGUMENT")
    assert part in text


async def test_a_message_without_from_is_from_the_default_address(api: ApiSite) -> None:
    await partner_of(api)
    await ask(api.send_as(scopes=[SHARING]).patch(userId="me", sendAsEmail=PARTNER, body={"isDefault": True}))
    await ask(api.gmail(scopes=[SEND]).users().messages().send(userId="me", body=raw(message(None))))
    [received] = await api.partner.wait_for(1)
    assert b"From: Alice <alice@dominiopartner.example>" in received.content


async def test_a_request_is_repeated_and_sends_once_even_after_a_restart(api: ApiSite) -> None:
    await partner_of(api)
    key = str(uuid.uuid4())

    async def send(content: bytes) -> object:
        request = api.gmail(scopes=[SEND]).users().messages().send(userId="me", body=raw(content))
        request.headers["Idempotency-Key"] = key
        return await ask(request)

    first = await send(message())
    assert await send(message()) == first
    await api.server.stop()
    api.server = await running(api.site)
    assert await send(message()) == first
    with pytest.raises(Exception, match="used for another message"):
        await send(message(text="another"))
    await api.partner.wait_for(1)
    assert len(api.partner.messages) == 1


async def test_a_profile_says_whose_account_it_is(api: ApiSite) -> None:
    gmail = api.gmail(scopes=["https://www.googleapis.com/auth/gmail.readonly"])
    told = await ask(gmail.users().getProfile(userId="me"))
    assert told == {"emailAddress": ALICE, "messagesTotal": 0, "threadsTotal": 0, "historyId": "1"}


def test_an_upload_of_both_is_divided_at_its_boundary() -> None:
    json, mail = b'{"a": 1}', b"Subject: x\r\n\r\n-b"
    whole = b"--b\r\nA: b\r\n\r\n" + json + b"\r\n--b\r\nX: y\r\n\r\n" + mail + b"\r\n--b--\r\n"
    assert divided('multipart/related; boundary="b"', whole) == (json, mail)
    for content_type, body in (
        ("text/plain", whole),
        ("multipart/related", whole),
        ("multipart/related; boundary=b", b""),
        ("multipart/related; boundary=b", b"--b\r\n\r\nx\r\n--b--"),
        ("multipart/related; boundary=b", b"--b\r\nx\r\n--b\r\n\r\nx\r\n--b--"),
    ):
        with pytest.raises(ApiError):
            divided(content_type, body)


async def test_what_was_sent_is_told_of_by_its_id_without_what_was_in_it(api: ApiSite) -> None:
    await partner_of(api)
    messages = api.gmail(scopes=[SEND, READONLY]).users().messages()
    ids = [(await ask(messages.send(userId="me", body=raw(message()))))["id"] for _ in range(2)]
    await api.partner.wait_for(2)
    assert (await ask(messages.get(userId="me", id=ids[0], format="minimal"))).keys() == {
        *("id", "threadId", "labelIds", "internalDate", "sizeEstimate")
    }
    await until_delivered(api, ids[0])
    told = await ask(messages.get(userId="me", id=ids[0], format="metadata"))
    headers = {one["name"]: one["value"] for one in told["payload"]["headers"]}
    assert (headers["From"], headers["X-Outgate-Recipient"]) == (PARTNER, f"{CAROL}; delivered")
    named = await ask(messages.get(userId="me", id=ids[0], format="metadata", metadataHeaders=["from", "subject"]))
    assert [one["name"] for one in named["payload"]["headers"]] == ["From"]
    for wanted in ("full", "raw"):
        code, status, text = await refused(messages.get(userId="me", id=ids[0], format=wanted))
        assert (code, status) == (400, "FAILED_PRECONDITION")
        assert "is not kept" in text
    page = await ask(messages.list(userId="me", maxResults=1))
    assert [one["id"] for one in page["messages"]] == ids[1:]
    rest = await ask(messages.list_next(messages.list(userId="me", maxResults=1), page))
    assert [one["id"] for one in rest["messages"]] == ids[:1]
    assert (await ask(messages.list(userId="me", labelIds=["INBOX"]))).get("messages", []) == []
    theirs = api.gmail(BOB, [READONLY]).users().messages()
    for one in (theirs.get(userId="me", id=ids[0]), messages.get(userId="me", id="x")):
        assert (await refused(one))[:2] == (404, "NOT_FOUND")
    assert (await ask(theirs.list(userId="me"))).get("messages", []) == []
    assert (await refused(messages.list(userId="me", q="x")))[0] == 400


async def until_delivered(api: ApiSite, message_id: str) -> None:
    """The peer has it before the record says so."""
    while not await api.look(lambda op: _delivered(op, message_id)):
        await asyncio.sleep(0)


def _delivered(op: OperationContext, message_id: str) -> bool:
    events = message_log_operations.history(op, from_text(message_id))
    return any(event.kind is EventKind.DELIVERED for event in events)
