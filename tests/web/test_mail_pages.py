"""Writing, reading and what was sent, on the pages, with the real server: as a browser without scripts asks."""

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from email import message_from_bytes
from html import unescape
from pathlib import Path

import httpx2
import pytest
import pytest_asyncio
from bench.scratch import free_port
from sqlalchemy import Select, select, update

from corpus.inbox import Answer
from corpus.peer import RawPeer
from inbox import letters
from outgate import clock
from outgate.directory import policies
from outgate.directory.settings import setting
from outgate.mailbox.maildir_mailbox import folder_of
from outgate.model import Security
from outgate.operations import draft_operations, propagation, send_as_operations
from outgate.queue.queue_id import from_text
from outgate.record.events import EventKind
from outgate.store.engine import read, write
from outgate.store.tables import fact, message, recipient, sent_message
from outgate.writing import drafts
from way.place import GATEWAY_PASSWORD, LOCALHOST, Site, eventually, install, running
from web.links import opened
from web.people import ALICE, BOB, logged_in

PARTNER = "alice@dominiopartner.example"
HOSTILE = '<script>alert("x")</script>&{{ 7*7 }}'


@pytest.fixture
def undo() -> float:
    """Seconds that a message can be taken back."""
    return 0.0


@pytest.fixture
def site(tmp_path: Path, port: int, undo: float) -> Site:
    """A message can be taken back for as long as `undo` says."""
    web = {"public_url": f"http://127.0.0.1:{port}", "port": port, "undo_send": undo}
    return install(tmp_path / "outgate", web=web)


@pytest_asyncio.fixture
async def exchanger(site: Site) -> AsyncIterator[RawPeer]:
    """Who gets all that leaves the organisation."""
    async with RawPeer() as peer:
        await site.set_domain_gateway(peer.port, security=Security.NONE)
        yield peer


@pytest_asyncio.fixture
async def alice(site: Site, port: int, exchanger: RawPeer) -> AsyncIterator[httpx2.AsyncClient]:
    """Logged in."""
    server = await running(site)
    async with logged_in(port) as browser:
        yield browser
    await server.stop()


def form(do: str = "send", **fields: str) -> dict[str, str]:
    """What the writer sends."""
    return {"from": ALICE, "to": "carol@recipient.example", "subject": "Prices", "text": "Hi", "do": do} | fields


async def saved(alice: httpx2.AsyncClient) -> str:
    """The number of a draft."""
    answer = await alice.post("/", data=form("save"))
    draft = re.search(r"draft=(\d+)", answer.headers["location"])
    assert draft
    return draft[1]


def queue_id(answer: httpx2.Response) -> int:
    """Of the message to whose page this leads."""
    return from_text(answer.headers["location"].partition("?")[0].rpartition("/")[2])


def _set_policy(site: Site, name: str, value: object) -> None:
    with opened(site) as place, write(place.engine) as connection:
        policies.set_value(connection, "/", setting(name), value, clock.now())
    with opened(site) as place:
        propagation.wait(place.engine)


def _set_sender(site: Site, sender: str) -> None:
    """As if all that was sent had been sent as this address."""
    with opened(site) as place, write(place.engine) as connection:
        connection.execute(update(sent_message).values(sender=sender))


def numbers(site: Site, found: Select[int]) -> Sequence[int]:
    """Of messages, that the database has."""
    with opened(site) as place, read(place.engine) as connection:
        return connection.scalars(found).all()


def copies(site: Site, user: str = ALICE) -> list[Path]:
    return list((folder_of(site.data / "mail", user) / ".Sent" / "cur").glob("*"))


def refusing(reply: str) -> Answer:
    """Of a peer that says this to every recipient."""
    return lambda line: reply if line.upper().startswith("RCPT") else None


async def test_a_message_leaves_and_one_copy_is_filed(
    alice: httpx2.AsyncClient, site: Site, exchanger: RawPeer
) -> None:
    answer = await alice.post("/", data=form(cc=f"Bob <{BOB}>", bcc="dan@recipient.example"))
    assert answer.status_code == 303
    [received] = await exchanger.wait_for(1)
    assert b"Subject: Prices" in received.content
    assert b"dan@recipient.example" not in received.content
    assert received.recipients == ["carol@recipient.example", "dan@recipient.example"]
    path = answer.headers["location"].partition("?")[0]
    await eventually(lambda: len(copies(site)) == 1, "the copy is filed")
    assert b"Bcc: dan@recipient.example" in copies(site)[0].read_bytes()
    page = (await alice.get(path)).text
    assert "carol@recipient.example" in page
    assert (await alice.get("/drafts")).text.count("/delete") == 0


@pytest.mark.parametrize(
    ("fields", "status", "said"),
    [
        ({"to": ""}, 400, "Add a recipient first"),
        ({"to": "no address"}, 400, "no address"),
        ({"to": "nobody@example.com"}, 404, "no such mailbox here"),
        ({"from": "bob@example.com"}, 404, "is not an address of"),
        ({"subject": "a\x07b"}, 400, "control character"),
        ({"do": "later", "at": "2001-01-01T10:00"}, 400, "still to come"),
        ({"do": "later", "at": "never"}, 400, "is not a time"),
        ({"do": "later", "at": ""}, 400, "Choose the day"),
        ({"do": "detach-x"}, 404, "not with the draft"),
        ({"do": f"detach-{10**30}"}, 404, "not with the draft"),
        ({"draft": "99"}, 404, "not there any more"),
        ({"draft": "99", "do": "save"}, 404, "not there any more"),
        ({"html": "<b>" * 20_000}, 400, "The text is too long"),
    ],
)
async def test_what_can_not_be_sent_says_why_and_loses_nothing(
    alice: httpx2.AsyncClient, exchanger: RawPeer, fields: dict[str, str], status: int, said: str
) -> None:
    answer = await alice.post("/", data=form(text="A long story") | fields)
    assert answer.status_code == status
    assert said in answer.text
    assert "A long story" in answer.text or "html" in fields
    assert re.search(r'name="draft" value="(1|)"', answer.text)
    assert exchanger.messages == []


async def test_files_are_kept_with_the_draft_and_leave_with_the_message(
    alice: httpx2.AsyncClient, exchanger: RawPeer
) -> None:
    content = bytes(range(256)) * 10
    saved = await alice.post("/", data=form("attach"), files={"file": ("../figures.bin", content, "application/x-a")})
    draft = saved.headers["location"].rpartition("=")[2]
    assert "figures.bin" in (await alice.get(f"/?draft={draft}")).text
    await alice.post("/", data=form(draft=draft))
    [received] = await exchanger.wait_for(1)
    assert b'filename="figures.bin"' in received.content
    assert b"Content-Type: application/x-a" in received.content


async def test_html_goes_out_cleaned_beside_its_plain_text(alice: httpx2.AsyncClient, exchanger: RawPeer) -> None:
    await alice.post("/", data=form(html="<div><b onclick='x()'>Hi</b><script>x()</script></div>"))
    [received] = await exchanger.wait_for(1)
    assert b"multipart/alternative" in received.content
    assert b"<b>Hi</b>" in received.content
    assert b"x()" not in received.content


async def test_no_message_waits_while_html_is_cleaned(
    alice: httpx2.AsyncClient, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    cleaned = list[str]()

    def written(html: str) -> str:
        with opened(site) as place, write(place.engine):
            cleaned.append(html)
            return html

    monkeypatch.setattr(draft_operations, "written", written)
    monkeypatch.setattr(send_as_operations, "written", written)
    sent = [
        await alice.post("/", data=form("save", html="<b>Hi</b>")),
        await alice.post(f"/settings/accounts/{ALICE}/signature", data={"html": "<b>Alice</b>"}),
    ]
    assert [one.status_code for one in sent] == [303, 303]
    assert cleaned == ["<b>Hi</b>", "<b>Alice</b>"]


async def test_what_a_script_is_told_is_text_whatever_was_typed(alice: httpx2.AsyncClient) -> None:
    answer = await alice.post("/", data=form("save", quiet="on", **{"from": "<img src=x>@example.com"}))
    assert answer.status_code == 400
    assert "<img" not in answer.text
    assert "&lt;img" in answer.text


async def test_a_draft_of_no_possible_number_is_not_there(alice: httpx2.AsyncClient) -> None:
    assert (await alice.post(f"/drafts/{'9' * 30}/delete")).status_code == 404
    assert (await alice.post("/drafts/x/delete")).status_code == 404


async def test_all_files_of_somebodys_drafts_together_have_their_limit(
    alice: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drafts, "MAX_BYTES", 25)
    file = {"file": ("a.txt", b"x" * 10, "text/plain")}
    later = f"{datetime.fromtimestamp(clock.now() + 86400, UTC):%Y-%m-%dT%H:%M}"
    for do, expected in (("later", 303), ("attach", 303), ("attach", 400)):
        answer = await alice.post("/", data=form(do, at=later), files=file)
        assert answer.status_code == expected
    assert "all your drafts and of what waits for its time together" in answer.text
    assert (await alice.get("/drafts")).text.count("/delete") == 1


async def test_a_draft_sent_again_when_it_may_leave_at_once_is_one_message(
    alice: httpx2.AsyncClient, site: Site, exchanger: RawPeer
) -> None:
    """It is the same one, or not there any more: that depends on whether its copy was filed meanwhile."""
    draft = await saved(alice)
    first, *again = [await alice.post("/", data=form(draft=draft)) for _ in range(3)]
    for one in again:
        assert one.headers.get("location") == first.headers["location"] or "not there any more" in one.text
    await exchanger.wait_for(1)
    accepted = select(fact.c.message_id).where(fact.c.kind == EventKind.ACCEPTED.value)
    assert await asyncio.to_thread(numbers, site, accepted) == [queue_id(first)]


async def test_nobody_sees_or_sends_anothers_draft(alice: httpx2.AsyncClient, port: int) -> None:
    saved = await alice.post("/", data=form("save", subject="Secret"))
    draft = re.search(r"draft=(\d+)", saved.headers["location"])
    assert draft
    sent = (await alice.post("/", data=form())).headers["location"].partition("?")[0]
    async with logged_in(port, BOB) as bob:
        assert (await bob.get(f"/?draft={draft[1]}")).status_code == 404
        assert (await bob.post("/", data=form(draft=draft[1], **{"from": BOB}))).status_code == 404
        assert (await bob.get(sent)).status_code == 404
        assert (await bob.post(f"{sent}/undo")).status_code == 404


async def test_text_that_others_wrote_stays_text_on_every_page(alice: httpx2.AsyncClient, site: Site) -> None:
    raw = letters.text(HOSTILE, subject=HOSTILE, reply_to=f'"{HOSTILE[:20]}" <x@y.example>')
    await asyncio.to_thread(letters.put, site, ALICE, "1.a", raw)
    await alice.post("/", data=form("save", subject=HOSTILE, text=HOSTILE))
    sent = (await alice.post("/", data=form(subject=HOSTILE, text=HOSTILE))).headers["location"]
    for path in ("/inbox", "/inbox/1.a", "/?letter=1.a&as=all", "/drafts", "/?draft=1", "/sent", sent):
        page = (await alice.get(path)).text
        assert "<script>alert" not in page, path
        assert "7*7" in page, path


async def test_a_reply_keeps_the_thread_and_a_forwarded_letter_its_files(
    alice: httpx2.AsyncClient, site: Site, exchanger: RawPeer
) -> None:
    sent = {"a.pdf": b"%PDF", "b.bin": bytes(range(256))}
    raw = letters.with_files("See you", sent, message_id="<1@recipient.example>")
    await asyncio.to_thread(letters.put, site, ALICE, "1.a", raw)
    page = (await alice.get("/?letter=1.a")).text
    assert "&gt; See you" in page
    await alice.post("/", data=form(**hidden(page)))
    [received] = await exchanger.wait_for(1)
    assert b"In-Reply-To: <1@recipient.example>" in received.content
    assert b"References: <1@recipient.example>" in received.content
    forwarded = (await alice.post("/inbox/1.a/forward")).headers["location"]
    page = (await alice.get(forwarded)).text
    assert "See you" in page
    assert "a.pdf" in page
    await alice.post("/", data=form(**hidden(page)))
    message = message_from_bytes((await exchanger.wait_for(2))[1].content)
    files = {one.get_filename(): one.get_payload(decode=True) for one in message.walk() if one.get_filename()}
    assert files == sent
    assert message["In-Reply-To"] is None


def hidden(page: str) -> dict[str, str]:
    """What the form has besides its fields."""
    found = re.findall(r'<input type="hidden" name="(draft|in_reply_to|references)" value="([^"]*)"', page)
    assert len(found) == 3
    return {name: unescape(value) for name, value in found}


class TestUndo:
    """A message that may not leave for two minutes."""

    @pytest.fixture
    def undo(self) -> float:
        """The longest there is."""
        return 120.0

    async def test_what_is_taken_back_is_a_draft_again_and_never_left(
        self, alice: httpx2.AsyncClient, site: Site, exchanger: RawPeer
    ) -> None:
        path = (await alice.post("/", data=form(text="Too early"))).headers["location"].partition("?")[0]
        assert "Undo" in (await alice.get(path)).text
        back = await alice.post(f"{path}/undo")
        assert "Too early" in (await alice.get(back.headers["location"])).text
        assert (await alice.post(f"{path}/undo")).status_code == 404
        assert exchanger.messages == []
        assert copies(site) == []

    async def test_a_draft_sent_twice_is_one_message(self, alice: httpx2.AsyncClient, site: Site) -> None:
        draft = await saved(alice)
        first, second = [await alice.post("/", data=form(draft=draft)) for _ in range(2)]
        assert first.headers["location"] == second.headers["location"]
        assert (await alice.get("/sent")).text.count("Prices") == 1
        for found in (select(message.c.id), select(recipient.c.message_id)):
            assert await asyncio.to_thread(numbers, site, found) == [queue_id(first)]

    async def test_what_was_sent_is_neither_changed_nor_deleted_until_it_is_taken_back(
        self, alice: httpx2.AsyncClient
    ) -> None:
        file = {"file": ("a.txt", b"x", "text/plain")}
        draft = (await alice.post("/", data=form("attach"), files=file)).headers["location"].rpartition("=")[2]
        sent = (await alice.post("/", data=form(draft=draft))).headers["location"].partition("?")[0]
        tried = [
            await alice.post("/", data=form("save", draft=draft, text="Something else")),
            await alice.post("/", data=form("attach", draft=draft), files=file),
            await alice.post("/", data=form("detach-1", draft=draft)),
            await alice.post("/", data=form("discard", draft=draft)),
            await alice.post(f"/drafts/{draft}/delete"),
        ]
        assert [one.status_code for one in tried] == [400] * 5
        assert all("was sent already; take it back first" in one.text for one in tried)
        assert "Something else" in tried[0].text
        back = await alice.post(f"{sent}/undo")
        page = (await alice.get(back.headers["location"])).text
        assert "a.txt" in page
        assert "Something else" not in page
        assert (await alice.post(f"/drafts/{draft}/delete")).status_code == 303

    async def test_what_waits_for_its_time_says_when(self, alice: httpx2.AsyncClient) -> None:
        tomorrow = datetime.fromtimestamp(clock.now() + 86400, UTC)
        answer = await alice.post("/", data=form("later", at=f"{tomorrow:%Y-%m-%dT%H:%M}"))
        page = (await alice.get(answer.headers["location"])).text
        assert "waits for its time" in page
        assert "leaves at its time" in page


class TestNoMailbox:
    """Mailboxes are on a server that is not read here."""

    @pytest.fixture
    def site(self, tmp_path: Path, port: int, undo: float) -> Site:
        """Nobody writes to the mailbox server."""
        web = {"public_url": f"http://127.0.0.1:{port}", "port": port, "undo_send": undo}
        return install(tmp_path / "outgate", web=web, local={"mailbox": f"lmtp://127.0.0.1:{free_port()}"})

    async def test_a_message_is_sent_again_and_again_from_the_copy_that_is_kept_here(
        self, alice: httpx2.AsyncClient, exchanger: RawPeer
    ) -> None:
        exchanger.answer = refusing("550 5.1.1 no such user here")
        path = (await alice.post("/", data=form())).headers["location"].partition("?")[0]
        for _ in range(2):
            async with asyncio.timeout(20):
                while "Send it to them again" not in (page := (await alice.get(path)).text) or "30 days" not in page:
                    await asyncio.sleep(0.05)
            assert "it is tried again" not in (await alice.get("/sent")).text
            again = await alice.post(f"{path}/retry")
            assert again.status_code == 303, "its copy is there"
            path = again.headers["location"].partition("?")[0]
        exchanger.answer = None
        assert "Prices" in (await alice.get(path)).text


class TestFailure:
    """Somebody has not got it."""

    async def test_it_stays_in_sight_until_it_is_sent_again_or_given_up(
        self, alice: httpx2.AsyncClient, site: Site, exchanger: RawPeer
    ) -> None:
        exchanger.answer = refusing("550 5.1.1 no such user here")
        path = (await alice.post("/", data=form())).headers["location"].partition("?")[0]
        await eventually(lambda: len(copies(site)) == 1, "the copy is filed")
        async with asyncio.timeout(20):
            while "was not delivered to" not in (page := (await alice.get("/drafts")).text):
                await asyncio.sleep(0.05)
        assert path in page
        assert "no such user here" in (await alice.get(path)).text
        exchanger.answer = None
        again = await alice.post(f"{path}/retry")
        assert again.status_code == 303
        [received] = await exchanger.wait_for(1)
        assert received.recipients == ["carol@recipient.example"]
        assert len(copies(site)) == 1
        assert "was not delivered to" not in (await alice.get("/drafts")).text

    async def test_it_is_not_sent_again_while_somebody_is_still_to_get_it(
        self, alice: httpx2.AsyncClient, exchanger: RawPeer
    ) -> None:
        exchanger.answer = lambda line: (
            None
            if not line.upper().startswith("RCPT")
            else "550 5.1.1 no such user here" if "carol" in line else "450 4.2.1 try later"
        )  # fmt: skip
        data = form(to="carol@recipient.example, dan@recipient.example")
        path = (await alice.post("/", data=data)).headers["location"].partition("?")[0]
        async with asyncio.timeout(20):
            while "Next try" not in (page := (await alice.get(path)).text) or "no such user" not in page:
                await asyncio.sleep(0.05)
        assert "Try again now" in page
        exchanger.answer = None
        assert (await alice.post(f"{path}/retry")).status_code == 303
        [received] = await exchanger.wait_for(1)
        assert received.recipients == ["dan@recipient.example"]
        async with asyncio.timeout(20):
            while "Send it to them again" not in (page := (await alice.get(path)).text):
                await asyncio.sleep(0.05)
        await alice.post(f"{path}/retry")
        assert (await exchanger.wait_for(2))[1].recipients == ["carol@recipient.example"]

    async def test_the_organisations_servers_deliver_what_its_own_server_does_not_if_policy_lets_them(
        self, alice: httpx2.AsyncClient, site: Site, exchanger: RawPeer
    ) -> None:
        tls = site.authority.server_context(LOCALHOST)
        refused = refusing("550 5.7.1 not today")
        async with RawPeer(tls=tls, credentials={PARTNER: GATEWAY_PASSWORD}, answer=refused) as gateway:
            await site.switch(True)
            await site.add_external(ALICE, PARTNER, gateway.port)
            failed = (await alice.post("/", data=form(**{"from": PARTNER}))).headers["location"].partition("?")[0]
            async with asyncio.timeout(20):
                while "Send it to them again" not in (page := (await alice.get(failed)).text):
                    await asyncio.sleep(0.05)
            gateway.answer = refusing("450 4.7.1 later")
            late = (await alice.post("/", data=form(**{"from": PARTNER}))).headers["location"].partition("?")[0]
            async with asyncio.timeout(20):
                while "Try again now" not in (waits := (await alice.get(late)).text):
                    await asyncio.sleep(0.05)
            assert [f"{path}/past-gateway" in shown for path, shown in ((failed, page), (late, waits))] == [True, True]
            await asyncio.to_thread(_set_policy, site, "gatewayNotAllowed", "refuse")
            assert "past-gateway" not in (await alice.get(late)).text
            told = await alice.post(f"{late}/past-gateway")
            assert (told.status_code, "can only be sent through its own server" in told.text) == (403, True)
            assert exchanger.messages == []
            await asyncio.to_thread(_set_policy, site, "gatewayNotAllowed", "organisation")
            for path in (failed, late):
                done = await alice.post(f"{path}/past-gateway")
                assert done.headers["location"].endswith("?done=past-gateway")
            received = await exchanger.wait_for(2)
            assert {one.reverse_path for one in received} == {ALICE}, "on behalf of the account"
            assert gateway.messages == []

    async def test_what_is_given_up_is_spoken_of_no_more(self, alice: httpx2.AsyncClient, exchanger: RawPeer) -> None:
        exchanger.answer = refusing("450 4.2.1 try later")
        path = (await alice.post("/", data=form())).headers["location"].partition("?")[0]
        async with asyncio.timeout(20):
            while "could not be delivered yet" not in (await alice.get("/drafts")).text:
                await asyncio.sleep(0.05)
        assert "try later" in (await alice.get("/sent")).text
        assert (await alice.post(f"{path}/give-up")).status_code == 303
        assert "could not be delivered yet" not in (await alice.get("/drafts")).text


async def test_what_left_with_a_tag_is_shown_as_of_the_address_that_covers_it(
    alice: httpx2.AsyncClient, site: Site
) -> None:
    path = (await alice.post("/", data=form())).headers["location"].partition("?")[0]
    tagged, foreign = "alice+shop@example.com", "gone@partner.example"
    for sender, is_shown in ((tagged, True), (foreign, False)):
        await asyncio.to_thread(_set_sender, site, sender)
        line = f'<bdi>{sender}</bdi></span><span class="leg">'
        for page, way in ((path, line), ("/sent", '<span class="way">')):
            assert (way in (await alice.get(page)).text) == is_shown, (sender, page)
