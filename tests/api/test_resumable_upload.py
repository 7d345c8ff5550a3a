"""Uploads in pieces: which pieces fit, whose they are, and that one whose answer was lost comes again."""

import asyncio
from pathlib import Path

import httpx2
import pytest

from api.api_site import ALICE, BOB, PARTNER, SEND, ApiSite
from api.test_gmail_messages import message
from outgate.api.google_error import ApiError
from outgate.api.resumable_upload import AT_MOST, KEPT, ContentRange, Ended, ResumableUploads

BEGIN = "/upload/gmail/v1/users/me/messages/send?uploadType=resumable"
NOW = 2e9  # later than any file's time here


@pytest.mark.parametrize(
    ("text", "length", "found"),
    [
        ("", 3, ContentRange(0, 2, 3, has_bytes=True)),
        ("bytes 0-2/3", 3, ContentRange(0, 2, 3, has_bytes=True)),
        ("bytes 3-5/*", 3, ContentRange(3, 5, None, has_bytes=True)),
        ("bytes */7", 0, ContentRange(0, -1, 7, has_bytes=False)),
        ("bytes */*", 0, ContentRange(0, -1, None, has_bytes=False)),
    ],
)
def test_a_content_range_says_which_bytes_come(text: str, length: int, found: ContentRange) -> None:
    assert ContentRange.parse(text, length) == found


@pytest.mark.parametrize(
    "text",
    ["bytes", "0-2/3", "bytes 0-2", "bytes 0-3/4", "bytes 2-0/3", "bytes 0-2/2", f"bytes 0-2/{'9' * 13}", "bytes -/3"],
)
def test_a_content_range_that_is_not_what_came_is_refused(text: str) -> None:
    with pytest.raises(ApiError, match=r"Content-Range"):
        ContentRange.parse(text, 3)


def piece(first: int, content: bytes, total: int | None = None) -> tuple[ContentRange, bytes]:
    return ContentRange(first, first + len(content) - 1, total, has_bytes=True), content


def test_pieces_come_in_their_order_and_again(tmp_path: Path) -> None:
    uploads = ResumableUploads(tmp_path)
    name = uploads.begin(1, b"{}", 10, NOW)
    assert uploads.take(1, name, *piece(0, b"abc")) == 3
    assert uploads.take(1, name, *piece(0, b"abc")) == 3  # its answer was lost
    assert uploads.take(1, name, *piece(2, b"cd")) == 4
    with pytest.raises(ApiError, match="leaves bytes out"):
        uploads.take(1, name, *piece(5, b"x"))
    with pytest.raises(ApiError, match="too large"):
        uploads.take(1, name, *piece(4, b"1234567"))
    assert uploads.take(1, name, ContentRange.parse("bytes */4", 0), b"") is None
    assert uploads.finished(1, name) == (b"{}", b"abcd")


async def test_the_same_piece_that_comes_at_once_is_taken_once(tmp_path: Path) -> None:
    uploads = ResumableUploads(tmp_path)
    name = uploads.begin(1, b"{}", 10_000_000, NOW)
    content = b"x" * 1_000_000
    await asyncio.gather(*(asyncio.to_thread(uploads.take, 1, name, *piece(0, content)) for _ in range(8)))
    assert uploads.finished(1, name) == (b"{}", content)


def test_a_session_that_has_ended_gives_its_answer_until_it_is_swept(tmp_path: Path) -> None:
    uploads = ResumableUploads(tmp_path)
    for _ in range(2 * AT_MOST):  # those that ended do not count
        name = uploads.begin(1, b"{}", 10, 0.0)
        uploads.take(1, name, *piece(0, b"abc", 3))
        uploads.end(1, name, b'{"id": "7"}')
    for again in (lambda: uploads.take(1, name, *piece(0, b"abc", 3)), lambda: uploads.finished(1, name)):
        with pytest.raises(Ended) as caught:
            again()
        assert caught.value.answer == b'{"id": "7"}'
    uploads.begin(1, b"{}", 10, NOW + KEPT)
    with pytest.raises(ApiError, match="not found"):
        uploads.take(1, name, *piece(0, b"abc", 3))


def test_a_user_has_so_many_sessions_at_most(tmp_path: Path) -> None:
    uploads = ResumableUploads(tmp_path)
    for _ in range(AT_MOST):
        uploads.begin(1, b"{}", 10, 0.0)
    with pytest.raises(ApiError, match="not finished"):
        uploads.begin(1, b"{}", 10, 0.0)
    assert uploads.begin(2, b"{}", 10, 0.0)


async def as_user(api: ApiSite, user: str) -> dict[str, str]:
    """The header of a token."""
    credentials = api.credentials(user, [SEND])
    await asyncio.to_thread(credentials.refresh, api.token_request())
    return {"Authorization": f"Bearer {credentials.token}"}


async def test_a_last_piece_that_comes_again_is_one_message_and_gets_its_answer(api: ApiSite) -> None:
    await api.site.add_external(ALICE, PARTNER, api.partner.port)
    alice, content = await as_user(api, ALICE), message()
    begun = await api.client.post(BEGIN, content=b"{}", headers=alice)
    where = begun.headers["location"]

    async def last() -> httpx2.Response:
        return await api.client.put(where, content=content, headers=alice)

    theirs = await api.client.put(where, content=content, headers=await as_user(api, BOB))
    assert theirs.status_code == 404
    first, at_once = await asyncio.gather(last(), last())
    again = await last()
    assert first.status_code == at_once.status_code == again.status_code == 200
    assert first.json() == at_once.json() == again.json()
    await api.partner.wait_for(1)
    assert len(api.partner.messages) == 1
