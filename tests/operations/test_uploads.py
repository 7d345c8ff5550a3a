"""What programs upload and submit is bounded, and has an end."""

import pytest
from sqlalchemy import Connection, Engine, func, select

from outgate.directory.errors import NotFound
from outgate.record import message_log
from outgate.store.engine import write
from outgate.store.tables import upload_content
from outgate.writing import submissions, uploads
from outgate.writing.submissions import EventPosition, NewSubmission
from record.recorded import accepted

DAY = 86400.0


def _contents(connection: Connection) -> int:
    return connection.scalar(select(func.count()).select_from(upload_content)) or 0


def test_an_upload_ends_after_a_day_and_a_message_thirty_days_after_its_last_change(
    example: Engine, alice: int
) -> None:
    with write(example) as connection:
        uploads.add(connection, alice, "text/plain", b"alone", 0.0)
        kept = uploads.add(connection, alice, "message/rfc822", b"message", 0.0)
        message = uploads.add_message(connection, alice, kept, ["drafts"], [], 0.0, now=10.0)
        assert uploads.remove_old(connection, DAY, 100) == 1
        uploads.edit_message(connection, alice, message.id, ["sent"], ["$seen"], now=5 * DAY)
        assert uploads.remove_old(connection, 34 * DAY, 100) == 0
        assert uploads.messages(connection, alice)[0].folders == {"sent"}
        assert uploads.remove_old(connection, 35 * DAY, 100) == 1
        assert uploads.messages(connection, alice) == []
        assert _contents(connection) == 0


def test_an_upload_goes_with_the_last_message_that_is_of_it(example: Engine, alice: int) -> None:
    with write(example) as connection:
        upload = uploads.add(connection, alice, "message/rfc822", b"message", 0.0)
        first, second = (uploads.add_message(connection, alice, upload, ["sent"], [], 0.0, 0.0) for _ in range(2))
        uploads.remove_message(connection, alice, first.id)
        assert uploads.find(connection, alice, upload).content == b"message"
        uploads.remove_message(connection, alice, second.id)
        with pytest.raises(NotFound):
            uploads.find(connection, alice, upload)
        assert _contents(connection) == 0


@pytest.mark.parametrize(("bound", "value"), [("AT_MOST", 2), ("MAX_BYTES", 5)])
def test_a_user_may_not_upload_without_end(
    example: Engine, alice: int, monkeypatch: pytest.MonkeyPatch, bound: str, value: int
) -> None:
    monkeypatch.setattr(uploads, bound, value)
    with write(example) as connection:
        for _ in range(2):
            uploads.add(connection, alice, "text/plain", b"xx", 0.0)
        with pytest.raises(uploads.TooManyUploads):
            uploads.add(connection, alice, "text/plain", b"xx", 1.0)
        uploads.add(connection, alice, "text/plain", b"xx", DAY)  # those before have ended


def test_messages_of_one_upload_are_bounded_too(example: Engine, alice: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "AT_MOST", 2)
    with write(example) as connection:
        kept = uploads.add(connection, alice, "message/rfc822", b"message", 0.0)
        for _ in range(2):
            uploads.add_message(connection, alice, kept, ["sent"], [], 0.0, 0.0)
        with pytest.raises(uploads.TooManyUploads):
            uploads.add_message(connection, alice, kept, ["sent"], [], 0.0, 0.0)


def test_a_few_bytes_go_at_once_and_no_user_s_upload_removes_another_s(
    example: Engine, alice: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "SWEPT_BYTES", 5)
    with write(example) as connection:
        for content in (b"larger than all", b"abc", b"de", b"f"):
            uploads.add(connection, alice, "text/plain", content, 0.0)
        uploads.add(connection, alice, "text/plain", b"new", DAY)
        assert _contents(connection) == 5
        assert [uploads.remove_old(connection, DAY, 100) for _ in range(4)] == [1, 2, 1, 0]
        assert _contents(connection) == 1


def test_submissions_are_told_of_by_events_and_the_oldest_are_forgotten(
    example: Engine, alice: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submissions, "AT_MOST", 2)
    address = "alice@example.com"
    with write(example) as connection:
        for number in (1, 2):
            message_log.add(connection, [accepted(number, address)])
            submissions.add(
                connection, alice, NewSubmission(number, address, 1, address, ["x@y.example"], number * DAY)
            )
        before = submissions.position(connection, alice)
        told = submissions.changed(connection, alice, EventPosition(), 10)
        assert told
        assert (told.created, told.updated, told.position, told.more) == ([1, 2], [], before, False)
        submissions.add(connection, alice, NewSubmission(3, address, 1, address, ["x@y.example"], 3 * DAY))
        assert [one.id for one in submissions.listed(connection, alice, 0.0)] == [2, 3]
        assert submissions.changed(connection, alice, before, 10) is None  # of the first nothing is known any more
        assert submissions.remove_old(connection, 3 * DAY, 100) == 1
        assert [one.id for one in submissions.listed(connection, alice, 0.0)] == [3]


def test_changes_and_lists_of_submissions_are_bounded(
    example: Engine, alice: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = "alice@example.com"
    with write(example) as connection:
        for number in (1, 2, 3):
            message_log.add(connection, [accepted(number, address)])
            to = [f"{one}@y.example" for one in range(10)]
            submissions.add(connection, alice, NewSubmission(number, address, 1, address, to, 0.0))
        whole = submissions.position(connection, alice)
        monkeypatch.setattr(submissions, "MAX_EVENTS", 2)
        first = submissions.changed(connection, alice, EventPosition(), 10)
        assert first
        assert (first.created, first.more) == ([1, 2], True)
        second = submissions.changed(connection, alice, first.position, 10)
        assert second
        assert (second.created, second.updated, second.position, second.more) == ([3], [], whole, False)
        monkeypatch.setattr(submissions, "MAX_LISTED", 300)
        assert [len(one.recipients) for one in submissions.listed(connection, alice, 0.0, [2])] == [10]
        with pytest.raises(submissions.TooManyRecipients):
            submissions.listed(connection, alice, 0.0)
        assert [one.id for one in submissions.headings(connection, alice, 0.0)] == [1, 2, 3]
