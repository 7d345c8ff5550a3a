"""`users.drafts` as Google's own Python client asks for them."""

import base64
from email import message_from_bytes
from email.message import EmailMessage, Message
from email.policy import SMTP
from typing import Any

import pytest

from api.api_site import ALICE, BOB, COMPOSE, PARTNER, READONLY, SEND, ApiSite, ask, refused
from api.test_gmail_messages import CAROL, media, message, raw
from outgate.api import draft_content
from outgate.api.google_error import ApiError
from outgate.model import Account, Policy, SendAs
from outgate.operations import audit_operations, draft_operations, queue_operations
from outgate.operations.context import OperationContext
from outgate.operations.draft_operations import WrittenDraft
from outgate.queue.admin import Selection
from outgate.queue.queue_id import to_text
from outgate.record.audit_trail import AuditFilter
from outgate.writing.drafts import DraftContent

_FIELDS = ("From", "Reply-To", "To", "Cc", "Bcc", "Subject", "In-Reply-To", "References")


def drafts_of(api: ApiSite, *scopes: str, user: str = ALICE) -> Any:
    return api.gmail(user, scopes or [COMPOSE]).users().drafts()


def rich(sender: str | None = PARTNER) -> bytes:
    """Text, HTML, a file, and people with names that need care."""
    made = EmailMessage()
    made["From"] = sender
    made["To"] = f'"Rossi, Carol" <{CAROL}>'
    made["Bcc"] = "dave@recipient.example"
    made["Subject"] = "Perché no?"
    made["In-Reply-To"] = made["References"] = "<one@recipient.example>"
    made.set_content("Ciao.\n")
    made.add_alternative("<b>Ciao.</b><script>x</script>", subtype="html")
    made.add_attachment(b"%PDF", maintype="application", subtype="pdf", filename="a.pdf")
    return bytes(made)


def written(told: dict[str, Any]) -> list[Any]:
    """What a draft's message has: header fields that its writer gave, then type, name and content of each part."""
    message = message_from_bytes(base64.urlsafe_b64decode(told["message"]["raw"]), policy=SMTP)
    fields = [(name, str(message[name])) for name in _FIELDS if message[name]]
    parts = [one for one in message.walk() if not one.is_multipart()]
    return [fields, *((one.get_content_type(), one.get_filename(), _content(one)) for one in parts)]


def _content(part: "Message[Any, Any]") -> bytes:
    content = part.get_payload(decode=True)
    assert isinstance(content, bytes)
    return content.replace(b"\r\n", b"\n")


async def test_a_draft_is_made_read_changed_and_sent_by_its_own_gateway(api: ApiSite) -> None:
    await api.site.add_external(ALICE, PARTNER, api.partner.port)
    drafts = drafts_of(api)
    made = await ask(drafts.create(userId="me", body={"message": raw(rich())}))
    identity = made["id"]
    assert made == {"id": identity, "message": {"id": identity, "threadId": identity, "labelIds": ["DRAFT"]}}
    [kept] = await api.look(lambda op: draft_operations.list_drafts(op, ALICE))
    assert (str(kept.id), kept.subject, kept.to) == (identity, "Perché no?", f'"Rossi, Carol" <{CAROL}>')

    whole = await ask(drafts.get(userId="me", id=identity))
    payload = whole["message"]["payload"]
    fields = {one["name"]: one["value"] for one in payload["headers"]}
    assert fields["Subject"] == "Perché no?"
    assert fields["Bcc"] == "dave@recipient.example"
    assert fields["References"] == "<one@recipient.example>"
    assert "Message-ID" not in fields
    text, html = payload["parts"][0]["parts"]
    assert (text["partId"], text["mimeType"]) == ("0.0", "text/plain")
    assert base64.urlsafe_b64decode(text["body"]["data"]) == b"Ciao.\r\n"
    assert base64.urlsafe_b64decode(html["body"]["data"]) == b"<b>Ciao.</b>\r\n"
    assert (payload["parts"][1]["filename"], payload["parts"][1]["body"]["size"]) == ("a.pdf", 4)
    assert whole["message"]["snippet"] == "Ciao."
    assert await ask(drafts.get(userId="me", id=identity, format="minimal")) == made
    told = await ask(drafts.get(userId="me", id=identity, format="metadata"))
    assert "parts" not in told["message"]["payload"]

    shown = await ask(drafts.get(userId="me", id=identity, format="raw"))
    again = {"message": {"raw": shown["message"]["raw"]}}
    assert (await ask(drafts.update(userId="me", id=identity, body=again)))["id"] == identity
    same = await ask(drafts.get(userId="me", id=identity, format="raw"))
    assert written(same) == written(shown)
    header, *parts = written(shown)
    assert header == [
        ("From", f"Alice <{PARTNER}>"),
        ("To", f'"Rossi, Carol" <{CAROL}>'),
        ("Bcc", "dave@recipient.example"),
        ("Subject", "Perché no?"),
        ("In-Reply-To", "<one@recipient.example>"),
        ("References", "<one@recipient.example>"),
    ]
    assert parts == [
        ("text/plain", None, b"Ciao.\n"),
        ("text/html", None, b"<b>Ciao.</b>\n"),
        ("application/pdf", "a.pdf", b"%PDF"),
    ]

    await ask(drafts.update(userId="me", id=identity, media_body=media(message(Bcc="dave@recipient.example"))))
    sent = await ask(drafts.send(userId="me", body={"id": identity}))
    assert sent["labelIds"] == ["SENT"]
    [received] = await api.partner.wait_for(1)
    assert received.reverse_path == PARTNER
    assert set(received.recipients) == {CAROL, "dave@recipient.example"}
    assert b"Hello, Carol." in received.content
    assert b"dave" not in received.content
    assert b"a.pdf" not in received.content
    assert (await ask(drafts.list(userId="me")))["resultSizeEstimate"] == 0
    trail = await api.look(lambda op: audit_operations.search(op, AuditFilter(actor=ALICE, limit=50)))
    recorded = [one.entry for one in trail.entries]
    assert [one.operation for one in recorded].count("mail.write") == 1
    assert {one.detail["client"] for one in recorded} == {api.keys["tool"]["client_email"]}

    def half_typed(op: OperationContext) -> int:
        content = DraftContent(ALICE, to="carol@recipient.example, al", subject="Hm", text="So")
        return draft_operations.save_draft(op, ALICE, None, WrittenDraft.of(content))

    identity = str(await api.operate(half_typed))
    told = await ask(drafts.get(userId="me", id=identity, format="metadata"))
    fields = {one["name"]: one["value"] for one in told["message"]["payload"]["headers"]}
    assert (fields["To"], fields["Subject"]) == ("carol@recipient.example, al", "Hm")


async def test_a_draft_sent_again_while_its_message_waits_is_one_message(api: ApiSite) -> None:
    await api.site.add_external(ALICE, PARTNER, api.partner.port)
    api.partner.answer = lambda line: "451 4.3.0 Try again later" if line.startswith("MAIL") else None
    drafts = drafts_of(api)
    made = await ask(drafts.create(userId="me", body={"message": raw(rich())}))
    sent = await ask(drafts.send(userId="me", body={"id": made["id"]}))
    assert await ask(drafts.send(userId="me", body={"id": made["id"]})) == sent
    waiting = await api.look(lambda op: queue_operations.waiting(op, Selection(), 10))
    assert {to_text(one.message_id) for one in waiting} == {sent["id"]}


async def test_its_ids_alone_are_told_without_making_the_message(api: ApiSite, monkeypatch: pytest.MonkeyPatch) -> None:
    drafts, composed = drafts_of(api), list[int]()
    identity = (await ask(drafts.create(userId="me", body={"message": raw(rich(ALICE))})))["id"]
    compose = draft_operations.draft_as_message

    def counted(op: OperationContext, user: str, draft: int) -> bytes:
        composed.append(draft)
        return compose(op, user, draft)

    monkeypatch.setattr(draft_operations, "draft_as_message", counted)
    told = await ask(drafts.get(userId="me", id=identity, format="minimal"))
    assert told == {"id": identity, "message": {"id": identity, "threadId": identity, "labelIds": ["DRAFT"]}}
    assert composed == []
    for wanted in ("metadata", "full", "raw"):
        told = await ask(drafts.get(userId="me", id=identity, format=wanted))
        assert told["message"]["snippet"] == "Ciao."
    assert composed == [int(identity)] * 3


async def test_addresses_that_are_not_us_ascii_are_told_as_they_are(api: ApiSite) -> None:
    """A program that reads a draft's parts and writes them again changes nobody's address."""
    drafts = drafts_of(api)
    made = EmailMessage(policy=SMTP.clone(utf8=True))
    made["From"] = ALICE
    made["To"] = "Jörg <jörg@recipient.example>, 用户@recipient.example"
    made["Cc"] = "Zoë <zoe@recipient.example>"
    made["Bcc"] = "josé@recipient.example"
    made["Subject"] = "subject"
    made.set_content("Hm")
    content = bytes(made).replace(b"subject", b"=?utf-8?q?Perch=C3=A9_=E7=94=A8=E6=88=B7=3F?=")
    identity = (await ask(drafts.create(userId="me", body={"message": raw(content)})))["id"]
    for wanted in ("full", "metadata"):
        told = await ask(drafts.get(userId="me", id=identity, format=wanted))
        fields = {one["name"]: one["value"] for one in told["message"]["payload"]["headers"]}
        assert fields["To"] == "Jörg <jörg@recipient.example>, 用户@recipient.example"
        assert fields["Cc"] == "Zoë <zoe@recipient.example>"
        assert fields["Bcc"] == "josé@recipient.example"
        assert fields["Subject"] == "Perché 用户?"


async def test_drafts_are_listed_page_by_page_and_are_nobody_else_s(api: ApiSite) -> None:
    drafts = drafts_of(api)
    made = [(await ask(drafts.create(userId="me", body={"message": raw(message(None))})))["id"] for _ in range(3)]
    first = await ask(drafts.list(userId="me", maxResults=2))
    assert [one["id"] for one in first["drafts"]] == [made[2], made[1]]
    rest = await ask(drafts.list_next(drafts.list(userId="me", maxResults=2), first))
    assert [one["id"] for one in rest["drafts"]] == [made[0]]
    assert "nextPageToken" not in rest
    assert not await ask(drafts.delete(userId="me", id=made[0]))
    assert (await refused(drafts.get(userId="me", id=made[0])))[:2] == (404, "NOT_FOUND")
    assert (await refused(drafts.delete(userId="me", id=made[0])))[:2] == (404, "NOT_FOUND")
    # What goes out with the request is what is kept, and what leaves.
    body = {"id": made[1], "message": raw(message(ALICE, text="Changed."))}
    await ask(drafts.send(userId="me", body=body))
    listed = await ask(drafts_of(api, READONLY).list(userId="me"))
    assert [one["id"] for one in listed["drafts"]] == [made[2]]

    identity = (await ask(drafts.create(userId="me", body={"message": raw(message(ALICE, To=""))})))["id"]
    others, told = drafts_of(api, user=BOB), (404, "NOT_FOUND", "Requested entity was not found.")
    assert await refused(others.get(userId="me", id=identity)) == told
    assert await refused(others.delete(userId="me", id=identity)) == told
    assert await refused(others.send(userId="me", body={"id": identity})) == told
    assert await refused(drafts.get(userId="me", id="x")) == told
    assert (await refused(drafts_of(api, READONLY).delete(userId="me", id=identity)))[0] == 403
    assert (await refused(drafts_of(api, SEND).send(userId="me", body={"id": identity})))[0] == 403
    for request, part in (
        (drafts.send(userId="me", body={"id": identity}), "Add a recipient first"),
        (drafts.send(userId="me", body={}), "id is missing"),
        (drafts.create(userId="me", body={}), "message.raw is missing"),
        (
            drafts.create(userId="me", body={"message": raw(message(BOB))}),
            f"of {ALICE} is from one of its sendAs entries, as <{BOB}> is",
        ),
        (drafts.list(userId="me", q="hello"), "can't be searched"),
    ):
        code, status, text = await refused(request)
        assert (code, status) == (400, "INVALID_ARGUMENT")
        assert part in text


OWN = SendAs(ALICE, is_primary=True, is_default=True)
ACCOUNT = Account(1, ALICE, "Alice", "/", suspended=False, policy=Policy(), send_as={ALICE: OWN})


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (b"no header at all", "Invalid message"),
        (b"To: no address\r\n\r\n", "is not one address"),
        (b"From: a@b.example, alice@example.com\r\n\r\n", "Invalid From"),
        (b"From: alice+shop@example.com\r\n\r\n", r"one of its sendAs entries, as <alice\+shop@example.com> is not"),
        (b"Subject: " + b"x" * 901 + b"\r\n\r\n", "the subject has more than 900"),
        (b"\r\n" + b"x" * 600_000, "the text is too long"),
        (b"Content-Type: text/html\r\n\r\n" + b"<b>" * 10_001, "too many tags"),
    ],
)
def test_what_a_draft_can_not_keep_is_refused_and_not_cut_off(content: bytes, part: str) -> None:
    with pytest.raises(ApiError, match=part):
        draft_content.read(content, ACCOUNT)
