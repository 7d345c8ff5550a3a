"""A user's Maildir as the pages read it and file copies into it."""

from pathlib import Path

import pytest

from inbox import letters
from outgate.mailbox import maildir_mailbox
from outgate.mailbox.maildir_mailbox import MaildirMailboxes, folder_of
from outgate.mailbox.user_mailbox import WINDOW, MailboxUnavailable

ALICE = "alice@example.com"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Alice's."""
    return folder_of(tmp_path, ALICE)


def test_the_newest_letters_come_first_and_are_marked_when_read(tmp_path: Path, folder: Path) -> None:
    for number in range(3):
        letters.put_into(folder, f"{1000 + number}.a", letters.text("Hi", subject=f"Letter {number}"))
    with MaildirMailboxes(tmp_path).open(ALICE) as mailbox:
        assert [one.subject for one in mailbox.heads()] == ["Letter 2", "Letter 1", "Letter 0"]
        mailbox.mark_seen(["1001.a"])
        assert [one.is_seen for one in mailbox.heads()] == [False, True, False]
        assert [one.name for one in (folder / "cur").iterdir()] == ["1001.a:2,S"]
        assert mailbox.raw("1001.a") is not None
        assert mailbox.raw("../../1001.a") is None


def test_a_search_looks_at_sender_subject_and_text(tmp_path: Path, folder: Path) -> None:
    letters.put_into(folder, "1.a", letters.text("about the HARBOUR"))
    letters.put_into(folder, "2.a", letters.text("x", subject="Harbour"))
    letters.put_into(folder, "3.a", letters.text("x", **{"from": "harbour@x.example"}))
    letters.put_into(folder, "4.a", letters.text("x"))
    with MaildirMailboxes(tmp_path).open(ALICE) as mailbox:
        assert [one.key for one in mailbox.search("harbour")] == ["3.a", "2.a", "1.a"]


def test_a_file_is_read_once_for_all_searches(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    letters.put_into(folder, "1.a", letters.text("about the HARBOUR"))
    with MaildirMailboxes(tmp_path).open(ALICE) as mailbox:
        assert [one.key for one in mailbox.search("harbour")] == ["1.a"]
        monkeypatch.setattr(Path, "open", pytest.fail)
        assert [one.key for one in mailbox.search("about")] == ["1.a"]
        assert mailbox.search("lighthouse") == []


def test_of_more_text_than_is_remembered_what_was_searched_last_stays(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maildir_mailbox, "_TEXTS", 1000)
    for number in range(3):
        letters.put_into(folder, f"{number}.a", letters.text("harbour " * 40))
    with MaildirMailboxes(tmp_path).open(ALICE) as mailbox:
        for _ in range(2):
            assert [one.key for one in mailbox.search("harbour")] == ["2.a", "1.a", "0.a"]
        letters.put_into(folder, "3.a", letters.text("harbour"))
        assert [one.key for one in mailbox.search("harbour")] == ["3.a", "2.a", "1.a", "0.a"]


def test_a_list_looks_at_so_many_letters_and_no_more(tmp_path: Path, folder: Path) -> None:
    for number in range(WINDOW + 5):
        letters.put_into(folder, f"{number}.a", b"Subject: x\r\n\r\n")
    with MaildirMailboxes(tmp_path).open(ALICE) as mailbox:
        assert len(mailbox.heads()) == WINDOW


def test_a_copy_is_filed_once_and_found_whatever_a_mail_program_marks_it_with(tmp_path: Path, folder: Path) -> None:
    with MaildirMailboxes(tmp_path).open(ALICE) as mailbox:
        for _ in range(2):
            mailbox.file_sent(b"Subject: x\r\n\r\n", "1.q.host", "<1@x>", 1.0)
        [file] = (folder / ".Sent" / "cur").iterdir()
        assert file.name == "1.q.host:2,S"
        file.rename(file.with_name("1.q.host:2,FS"))
        assert mailbox.sent_copy("1.q.host", "<1@x>") == b"Subject: x\r\n\r\n"
        assert mailbox.heads() == []


def test_a_folder_that_can_not_be_read_is_a_mailbox_that_is_not_there_now(tmp_path: Path, folder: Path) -> None:
    folder.parent.mkdir(exist_ok=True)
    folder.write_text("no folder")
    with pytest.raises(MailboxUnavailable), MaildirMailboxes(tmp_path).open(ALICE) as mailbox:
        mailbox.file_sent(b"x", "1.q.host", "<1@x>", 1.0)


@pytest.mark.parametrize("name", ["../x", ".x", "", "a/b"])
def test_no_name_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError), MaildirMailboxes(tmp_path).open(ALICE) as mailbox:
        mailbox.file_sent(b"x", name, "<1@x>", 1.0)


def test_a_search_passes_by_letters_that_are_nested_too_deep(tmp_path: Path, folder: Path) -> None:
    letters.put_into(folder, "1.a", letters.text("about the harbour"))
    nested = "".join(f'Content-Type: multipart/mixed; boundary="b{n}"\r\n\r\n--b{n}\r\n' for n in range(2000))
    letters.put_into(folder, "2.a", b"Subject: x\r\nTo: " + b"(" * 5000 + b"\r\n" + nested.encode())
    with MaildirMailboxes(tmp_path).open(ALICE) as mailbox:
        assert [one.key for one in mailbox.search("harbour")] == ["1.a"]
