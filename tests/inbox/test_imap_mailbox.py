"""A user's mailbox on an IMAP server as the pages read it and file copies into it: what goes over the wire."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inbox import letters
from inbox.imap_peer import VALIDITY, ImapPeer
from outgate.config import LocalSettings
from outgate.mailbox.imap_mailbox import ImapMailboxes
from outgate.mailbox.user_mailbox import MailboxUnavailable

ALICE = "alice@example.com"


@pytest.fixture
def peer() -> Iterator[ImapPeer]:
    """With two letters."""
    with ImapPeer([letters.text("about the HARBOUR"), letters.text("x", subject="Prices (new)")]) as peer:
        yield peer


@pytest.fixture
def mailboxes(peer: ImapPeer, tmp_path: Path) -> ImapMailboxes:
    """There."""
    (tmp_path / "imap.password").write_text("secret\n")
    local = LocalSettings(
        mailbox="lmtp://127.0.0.1:24", mailbox_imap=f"imap://127.0.0.1:{peer.port}", imap_user="outgate"
    )
    return ImapMailboxes(local, tmp_path)


def test_a_mailbox_is_opened_as_its_user_by_the_account_that_may(peer: ImapPeer, mailboxes: ImapMailboxes) -> None:
    with mailboxes.open(ALICE):
        pass
    assert peer.logged_in == [f"{ALICE}\0outgate\0secret"]


def test_the_newest_letters_come_first_and_are_marked_when_read(peer: ImapPeer, mailboxes: ImapMailboxes) -> None:
    with mailboxes.open(ALICE) as mailbox:
        assert [(one.key, one.subject) for one in mailbox.heads()] == [
            (f"{VALIDITY}.2", "Prices (new)"),
            (f"{VALIDITY}.1", "Prices"),
        ]
        mailbox.mark_seen([f"{VALIDITY}.2", "8.1", "7.x", "7.99999999999"])
        assert peer.seen == {2}
        found = mailbox.raw(f"{VALIDITY}.1")
        assert found is not None
        assert found[0] == peer.letters[0]
        assert mailbox.raw("8.1") is None


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("harbour", ["7.1"]),
        ("(new)", ["7.2"]),
        ("prices", ["7.2", "7.1"]),
        ("è", []),
        ('"', ["7.2", "7.1"]),
        ("\r\n\0", []),
    ],
)
def test_a_search_is_the_servers(mailboxes: ImapMailboxes, text: str, keys: list[str]) -> None:
    with mailboxes.open(ALICE) as mailbox:
        assert [one.key for one in mailbox.search(text)] == keys


TEXTS = st.text(st.sampled_from('ab (){}"\\*%[]10\r\n\0\x7fè\u2028\ud800'), max_size=12) | st.text(max_size=30)


def test_no_text_that_is_searched_for_is_a_command(peer: ImapPeer, mailboxes: ImapMailboxes) -> None:
    with mailboxes.open(ALICE) as mailbox:

        @settings(deadline=None, max_examples=150)
        @given(text=TEXTS)
        def is_one_question(text: str) -> None:
            peer.commands.clear()
            peer.searched.clear()
            mailbox.search(text)
            words = "".join(char if char.isprintable() else " " for char in text).split()
            asked = [b"SEARCH"] if words else []
            names = [one.removeprefix(b"UID ").split(b" ")[0] for one in peer.commands]
            assert [one for one in names if one not in (b"CAPABILITY", b"FETCH")] == [b"SELECT", *asked]
            assert peer.searched == [" ".join(words)][: len(asked)]

        is_one_question()


@pytest.mark.parametrize(
    "text",
    ["x\r\nA1 DELETE INBOX", "x\nA1 LOGOUT", "(", ")", "{10}", "{10+}", '" DELETED "', "\\", 'a" "', "è\r\n(", "*"],
)
def test_what_looks_like_a_command_is_searched_for(peer: ImapPeer, mailboxes: ImapMailboxes, text: str) -> None:
    with mailboxes.open(ALICE) as mailbox:
        mailbox.search(text)
    assert peer.searched == [" ".join(text.split())]
    assert not any(b"DELETE INBOX" in one and not one.startswith(b"UID SEARCH") for one in peer.commands)


def test_a_copy_is_filed_once_and_found_by_its_message_id(peer: ImapPeer, mailboxes: ImapMailboxes) -> None:
    copy = letters.text("Hi", message_id="<a{3}@x.example>")
    with mailboxes.open(ALICE) as mailbox:
        for _ in range(2):
            mailbox.file_sent(copy, "1.q.host", "<a{3}@x.example>", 1_800_000_000.0)
        assert peer.letters[2:] == [copy]
        assert mailbox.sent_copy("1.q.host", "<a{3}@x.example>") == copy
        assert mailbox.sent_copy("1.q.host", "<b@x.example>") is None


def test_a_server_that_is_not_there_is_a_mailbox_that_is_not_there_now(tmp_path: Path) -> None:
    with ImapPeer() as gone:
        pass
    (tmp_path / "imap.password").write_text("secret")
    local = LocalSettings(
        mailbox="lmtp://127.0.0.1:24", mailbox_imap=f"imap://127.0.0.1:{gone.port}", imap_user="outgate"
    )
    with pytest.raises(MailboxUnavailable, match="can't be read just now"), ImapMailboxes(local, tmp_path).open(ALICE):
        pass
