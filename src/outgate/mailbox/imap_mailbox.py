"""Users' mailboxes on an IMAP server (RFC 9051), which lets one account of ours log in as any user (RFC 4616).

A connection lasts as long as one page's question. Knows no Maildir and no page.
"""

import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from socket import IPPROTO_TCP, TCP_NODELAY
from typing import Any, Final
from urllib.parse import urlsplit

import structlog

from outgate.config import LocalSettings
from outgate.extras import extra
from outgate.mailbox.letter import LetterHead, head_of
from outgate.mailbox.user_mailbox import SEARCHED, WINDOW, MailboxUnavailable

with extra("imap"):
    from imapclient import IMAPClient
    from imapclient.exceptions import IMAPClientError

_log = structlog.get_logger("mailbox")

TIMEOUT: Final = 10.0  # seconds to connect, and for each answer
_PORTS: Final = {"imaps": 993, "imap": 143}
_HEAD: Final = "BODY.PEEK[HEADER.FIELDS (FROM TO CC REPLY-TO SUBJECT DATE MESSAGE-ID REFERENCES IN-REPLY-TO)]"
_SENT: Final = "Sent"


class ImapMailboxes:
    """All mailboxes of one server; `data` is where relative paths begin."""

    def __init__(self, settings: LocalSettings, data: Path) -> None:
        self._settings, self._data = settings, data
        url = urlsplit(settings.mailbox_imap)
        self._host, self._port = url.hostname or "", url.port or _PORTS[url.scheme]
        ca_file = settings.imap_ca_file and str(data / settings.imap_ca_file)
        self._context = ssl.create_default_context(cafile=ca_file or None) if url.scheme == "imaps" else None

    @contextmanager
    def open(self, owner: str) -> Iterator["ImapMailbox"]:
        """Logged in as the user."""
        try:
            client = self._connected()
            try:
                client.plain_login(self._settings.imap_user, self._password(), owner)
                yield ImapMailbox(client)
            finally:
                with suppress(IMAPClientError, OSError):
                    client.logout()
        except (IMAPClientError, OSError) as error:
            _log.error("a mailbox can't be read", owner=owner, error=str(error))
            raise MailboxUnavailable("your mailbox can't be read just now; try again later") from error

    def _connected(self) -> IMAPClient:
        encrypted = self._context is not None
        client = IMAPClient(self._host, self._port, ssl=encrypted, ssl_context=self._context, timeout=TIMEOUT)
        # The rest of a command with a literal in it would wait 40 ms for the acknowledgement of the literal.
        client.socket().setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
        return client

    def _password(self) -> str:
        return (self._data / self._settings.imap_password_file).read_text().strip()


class ImapMailbox:
    """One user's (user_mailbox.UserMailbox). A key is UIDVALIDITY and UID: both, or it might be another letter's."""

    def __init__(self, client: IMAPClient) -> None:
        self._client = client

    def heads(self) -> list[LetterHead]:
        """The last of the inbox, by their numbers: no list of all is asked for."""
        validity, count = self._select()
        if not count:
            return []
        self._client.use_uid = False
        try:
            found = self._client.fetch(list(range(max(1, count - WINDOW + 1), count + 1)), _wanted(_HEAD))
        finally:
            self._client.use_uid = True
        return _heads(found, validity)

    def search(self, text: str) -> list[LetterHead]:
        """The server looks, at headers as well."""
        validity, count = self._select()
        wanted = " ".join("".join(char if char.isprintable() else " " for char in text).split())
        if not count or not wanted:
            return []
        uids = sorted(self._client.search(_asked("TEXT", wanted), "UTF-8"))[-SEARCHED:]
        return _heads(self._client.fetch(uids[-WINDOW:], _wanted(_HEAD)), validity) if uids else []

    def raw(self, key: str) -> tuple[bytes, float] | None:
        """Without marking it as read."""
        validity, _ = self._select()
        uid = _uid(key, validity)
        found = self._client.fetch([uid], ["BODY.PEEK[]", "INTERNALDATE"]) if uid else {}
        one = found.get(uid)
        return (one[b"BODY[]"], _at(one)) if one else None

    def mark_seen(self, keys: Sequence[str]) -> None:
        """The flag \\Seen."""
        validity, _ = self._select()
        if uids := [uid for key in keys if (uid := _uid(key, validity))]:
            self._client.add_flags(uids, [b"\\Seen"], silent=True)

    def file_sent(self, raw: bytes, name: str, message_id: str, at: float) -> None:
        """Looked for first: what was appended before a connection broke is there."""
        folder = self._sent_folder()
        if not self._client.folder_exists(folder):
            self._client.create_folder(folder)
        if not self._sent_uids(folder, message_id):
            self._client.append(folder, raw, [b"\\Seen"], datetime.fromtimestamp(at, UTC))

    def sent_copy(self, name: str, message_id: str) -> bytes | None:
        """By its Message-ID."""
        folder = self._sent_folder()
        uids = self._sent_uids(folder, message_id) if self._client.folder_exists(folder) else []
        found = self._client.fetch(uids[-1:], ["BODY.PEEK[]"]) if uids else {}
        return next((one[b"BODY[]"] for one in found.values()), None)

    def _select(self) -> tuple[int, int]:
        state = self._client.select_folder("INBOX")
        return int(state[b"UIDVALIDITY"]), int(state[b"EXISTS"])

    def _sent_folder(self) -> str:
        found: str | None = self._client.find_special_folder(b"\\Sent")
        return found or _SENT

    def _sent_uids(self, folder: str, message_id: str) -> list[int]:
        self._client.select_folder(folder, readonly=True)
        return sorted(self._client.search(_asked("HEADER Message-ID", message_id)))


def _asked(key: str, text: str) -> str | list[str]:
    """A search key with its one string (RFC 9051 section 6.4.4), of printable text.

    The library sends what it is given as it is: a parenthesis or a length in braces that no quotes are round is the
    protocol's. Only what is not ASCII it sends as a literal, by its length.
    """
    if not text.isascii():
        return [*key.split(), text]
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'{key} "{escaped}"'


def _wanted(head: str) -> list[str]:
    return ["UID", "FLAGS", "INTERNALDATE", head]


def _heads(found: dict[int, Any], validity: int) -> list[LetterHead]:
    heads = [_head_of(number, one, validity) for number, one in found.items()]
    return [head for _, head in sorted(heads, key=lambda each: each[0], reverse=True)]


def _head_of(number: int, one: dict[bytes, Any], validity: int) -> tuple[int, LetterHead]:
    uid = int(one.get(b"UID", number))
    raw = next((value for name, value in one.items() if name.startswith(b"BODY[")), b"") or b""
    return uid, head_of(raw, f"{validity}.{uid}", _at(one), is_seen=b"\\Seen" in one.get(b"FLAGS", ()))


def _at(one: dict[bytes, Any]) -> float:
    when = one.get(b"INTERNALDATE")
    return when.timestamp() if isinstance(when, datetime) else 0.0


def _uid(key: str, validity: int) -> int | None:
    stated, _, uid = key.partition(".")
    return int(uid) if stated == str(validity) and uid.isascii() and uid.isdigit() and len(uid) < 11 else None
