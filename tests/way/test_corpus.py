"""The corpus checks itself: what it holds, that the comparison sees changes, and that the peers keep every byte.

Messages go to the peers by the clients of corpus.client: the standard library's, and a few lines of BDAT.
"""

import asyncio
import smtplib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from corpus.aiosmtpd_peer import AiosmtpdPeer
from corpus.certificate import server_context
from corpus.client import BdatClient, Door, send_by_data
from corpus.compare import NOTHING, OUTGATE, differences
from corpus.messages import NAMES, build, faults
from corpus.peer import DROP, LmtpPeer, RawPeer

ALICE = "alice@dominiopartner.example"
SIGNED = [name for name in NAMES if build(name, ALICE).check]


# --- the messages ----------------------------------------------------------------------------------------------------


def test_there_are_at_least_40_specimens() -> None:
    assert len(NAMES) >= 40


@pytest.mark.parametrize("name", NAMES)
def test_a_specimen_is_a_message_that_smtp_can_carry(name: str) -> None:
    raw = build(name, ALICE).raw
    assert b"\0" not in raw
    assert b"\r" not in raw.replace(b"\r\n", b"")
    assert b"\n" not in raw.replace(b"\r\n", b"")
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    assert raw.count(ALICE.encode()) >= 1


@pytest.mark.parametrize("name", [name for name in NAMES if name not in SIGNED])
def test_an_unsigned_specimen_is_the_same_each_time(name: str) -> None:
    assert build.__wrapped__(name, ALICE) == build(name, ALICE)  # the first is made anew, past the cache


def test_the_long_lines_are_as_long_as_allowed() -> None:
    for name in ("lines_of_998_bytes", "eight_bit_lines_of_998_bytes"):
        assert max(map(len, build(name, ALICE).raw.split(b"\r\n"))) == 998


def test_the_large_attachment_is_25_mib() -> None:
    raw = build("attachment_of_25_mib", ALICE).raw
    assert 25 * 2**20 * 4 / 3 < len(raw) <= 36_700_160  # the default limit for a message


@pytest.mark.parametrize("step", [4096, 65536, 262144])
def test_dots_stand_first_behind_a_boundary_in_the_content_and_on_the_wire(step: int) -> None:
    content = build(f"dots_at_{step}", ALICE).raw
    wire = build(f"dots_at_{step}_on_the_wire", ALICE).raw.replace(b"\r\n.", b"\r\n..")
    for text in (content, wire):
        around = {text[at - 3 : at + 3] for at in range(step, len(text), step)}
        assert {b"\r\n.", b".\r\n"} <= {piece[:3] for piece in around}
        assert {b"\r\n.", b".\r\n"} <= {piece[3:] for piece in around}


# --- the signatures --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SIGNED)
def test_a_signature_verifies(name: str) -> None:
    specimen = build(name, ALICE)
    assert faults(specimen, specimen.raw) == []


@pytest.mark.parametrize("name", SIGNED)
def test_a_signature_verifies_below_what_outgate_adds(name: str) -> None:
    specimen = build(name, ALICE)
    top = b"DKIM-Signature: v=1; d=example.com; s=x; b=AAAA\r\nReceived: by mx; Tue, 3 Mar 2026 09:00:00 +0000\r\n"
    header, _, body = specimen.raw.partition(b"\r\n\r\n")
    assert faults(specimen, top + header + b"\r\nSender: alice@example.com\r\n\r\n" + body) == []


@pytest.mark.parametrize("name", SIGNED)
def test_a_signature_does_not_verify_over_a_changed_message(name: str) -> None:
    specimen = build(name, ALICE)
    at = specimen.raw.index(_SIGNED_BYTES[name])
    changed = specimen.raw[:at] + bytes([specimen.raw[at] ^ 1]) + specimen.raw[at + 1 :]
    assert faults(specimen, changed)


# Something that the signature covers.
_SIGNED_BYTES = {
    "smime_signed": b"format=flowed",
    "smime_signed_within_a_multipart": b" firmato",
    "smime_opaque": b"b3JtYXQ9Zmxvd2Vk",  # base64 of "ormat=flowed"
    "pgp_mime_signed": b"are hidden",
    "pgp_signed_in_the_clear": b"in the clear.",
    "dkim_signed_by_a_list": b"  space \t",
    "dkim_signed_relaxed": b"..x",
}


# --- the comparison --------------------------------------------------------------------------------------------------

SENT = b"Subject: a\r\n b\r\nBcc: c\r\nSender: s\r\nX: 1\r\nX: 2\r\n\r\nbody\r\n"
OUT = b"Subject: a\r\n b\r\nX: 1\r\nX: 2\r\n"


def test_the_same_message_has_no_differences() -> None:
    assert differences(SENT, SENT) == []


@pytest.mark.parametrize(
    "header",
    [
        OUT,
        b"Received: by x;\r\n\ty\r\n" + OUT,
        b"DKIM-Signature: d\r\nDKIM-Signature: e\r\nReceived: r\r\n"
        + OUT
        + b"Sender: p\r\nDate: d\r\nMessage-ID: m\r\n",
    ],
)
def test_documented_header_changes_are_no_differences(header: bytes) -> None:
    assert differences(SENT, header + b"\r\nbody\r\n", OUTGATE) == []


@pytest.mark.parametrize(
    "received",
    [
        SENT,
        OUT + b"Bcc: c\r\n\r\nbody\r\n",
        OUT + b"X: 2\r\n\r\nbody\r\n",
        OUT + b"Date: d\r\nDate: d\r\n\r\nbody\r\n",
        OUT.replace(b"a\r\n b", b"a b") + b"\r\nbody\r\n",
        OUT.replace(b"X: 1\r\nX: 2", b"X: 2\r\nX: 1") + b"\r\nbody\r\n",
        OUT.replace(b"X: 1\r\n", b"") + b"\r\nbody\r\n",
        OUT.replace(b"Subject", b"subject") + b"\r\nbody\r\n",
        b"Return-Path: <a>\r\n" + OUT + b"\r\nbody\r\n",
        b"X-Spam: no\r\n" + OUT + b"\r\nbody\r\n",
        OUT + b"\r\nbody",
        OUT + b"\r\nbody\r\n\r\n",
        OUT + b"\r\nBody\r\n",
        OUT + b"\r\n",
        OUT,
    ],
)
def test_any_other_change_is_a_difference(received: bytes) -> None:
    assert differences(SENT, received, OUTGATE)


def test_further_hops_leave_their_trace_on_top() -> None:
    received = (
        b"Return-Path: <a>\r\nAuthentication-Results: x\r\nReceived: r\r\nReceived: q\r\n" + OUT + b"\r\nbody\r\n"
    )
    assert differences(SENT, received, OUTGATE.through_hops()) == []


def test_a_signature_that_was_there_already_must_stay() -> None:
    signed = b"DKIM-Signature: theirs\r\n" + OUT + b"\r\nbody\r\n"
    assert differences(signed, b"DKIM-Signature: ours\r\nReceived: r\r\n" + signed, OUTGATE) == []
    assert differences(signed, b"DKIM-Signature: ours\r\nReceived: r\r\n" + OUT + b"\r\nbody\r\n", OUTGATE)


def test_a_date_is_added_only_where_none_is() -> None:
    dated = b"Date: d\r\n\r\nbody\r\n"
    assert differences(dated, b"Date: d\r\nDate: e\r\n\r\nbody\r\n", OUTGATE) == ["added at the end: date"]


def test_only_data_adds_a_final_crlf() -> None:
    assert differences(b"A: b\r\n\r\nx", b"A: b\r\n\r\nx\r\n", NOTHING.by_data()) == []
    assert differences(b"A: b\r\n\r\nx", b"A: b\r\n\r\nx\r\n", NOTHING)
    assert differences(b"A: b\r\n\r\nx\r\n", b"A: b\r\n\r\nx\r\n\r\n", NOTHING.by_data())


def test_an_empty_line_that_was_not_there_is_a_difference() -> None:
    assert differences(b"A: b\r\n", b"A: b\r\n\r\n")


# --- the peers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("peer_class", [RawPeer, AiosmtpdPeer])
async def test_peers_keep_every_byte_that_comes_by_data(peer_class: type[RawPeer] | type[AiosmtpdPeer]) -> None:
    async with peer_class() as peer:
        for name in NAMES:
            specimen = build(name, ALICE)
            await send_by_data(Door(peer.port, peer.host), ALICE, specimen)
            received = peer.messages.pop()
            assert differences(specimen.raw, received.content, NOTHING.by_data()) == []
            assert received.reverse_path == ALICE
            assert received.recipients == specimen.recipients
            assert received.by == "DATA"


@pytest.mark.parametrize(("peer_class", "chunk"), [(RawPeer, 1 << 30), (LmtpPeer, 70_001), (RawPeer, 997)])
async def test_peers_keep_every_byte_that_comes_by_bdat(peer_class: type[RawPeer], chunk: int) -> None:
    async with peer_class() as peer, BdatClient(Door(peer.port, peer.host), lmtp=peer.lmtp) as client:
        for name in NAMES:
            specimen = build(name, ALICE)
            if len(specimen.raw) / chunk > 4000:
                continue
            await client.send(ALICE, specimen, chunk)
            received = peer.messages.pop()
            assert differences(specimen.raw, received.content) == []
            assert received.recipients == specimen.recipients
            assert received.by == "BDAT"


@pytest.mark.parametrize("peer_class", [RawPeer, AiosmtpdPeer])
async def test_peers_take_messages_under_starttls_after_log_in(
    peer_class: type[RawPeer] | type[AiosmtpdPeer], tmp_path: Path
) -> None:
    context, authority = server_context(tmp_path, "127.0.0.1")
    async with peer_class(tls=context, credentials={"alice": "secret"}) as peer:
        trusting = ssl.create_default_context(cafile=str(authority))
        door = Door(peer.port, peer.host, starttls=trusting, log_in=("alice", "secret"))
        await send_by_data(door, ALICE, build("short_note", ALICE))
        [received] = await peer.wait_for(1)
        assert received.username == "alice"
        assert received.tls == "TLSv1.3"


@pytest.mark.parametrize("peer_class", [RawPeer, AiosmtpdPeer])
async def test_peers_speak_tls_from_the_first_byte(
    peer_class: type[RawPeer] | type[AiosmtpdPeer], tmp_path: Path
) -> None:
    context, authority = server_context(tmp_path, "127.0.0.1")
    async with peer_class(tls=context, implicit_tls=True, credentials={"alice": "secret"}) as peer:
        trusting = ssl.create_default_context(cafile=str(authority))
        door = Door(peer.port, peer.host, tls=trusting, log_in=("alice", "secret"))
        await send_by_data(door, ALICE, build("short_note", ALICE))
        assert [(message.username, message.tls) for message in peer.messages] == [("alice", "TLSv1.3")]


@pytest.mark.parametrize("peer_class", [RawPeer, AiosmtpdPeer])
@pytest.mark.parametrize("implicit", [False, True])
async def test_peers_outlive_a_client_that_does_not_trust_them(
    peer_class: type[RawPeer] | type[AiosmtpdPeer], implicit: bool, tmp_path: Path
) -> None:
    context, authority = server_context(tmp_path, "127.0.0.1")
    trusting = ssl.create_default_context(cafile=str(authority))
    async with peer_class(tls=context, implicit_tls=implicit) as peer:
        note = build("short_note", ALICE)

        def door(context: ssl.SSLContext) -> Door:
            return Door(peer.port, peer.host, tls=context if implicit else None, starttls=None if implicit else context)

        with pytest.raises(ssl.SSLCertVerificationError):
            await send_by_data(door(ssl.create_default_context()), ALICE, note)
        assert peer.messages == []
        await send_by_data(door(trusting), ALICE, note)
        assert len(peer.messages) == 1


@pytest.mark.parametrize("peer_class", [RawPeer, AiosmtpdPeer])
async def test_peers_refuse_a_wrong_password_and_mail_without_log_in(
    peer_class: type[RawPeer] | type[AiosmtpdPeer],
) -> None:
    async with peer_class(credentials={"alice": "secret"}) as peer:
        note = build("short_note", ALICE)
        with pytest.raises(smtplib.SMTPAuthenticationError):
            await send_by_data(Door(peer.port, peer.host, log_in=("alice", "wrong")), ALICE, note)
        with pytest.raises(smtplib.SMTPSenderRefused):
            await send_by_data(Door(peer.port, peer.host), ALICE, note)
        assert peer.messages == []


async def test_the_raw_peer_answers_as_the_test_says() -> None:
    def answer(command: str) -> str | None:
        return {"RCPT TO:<no@x.example>": "550 5.1.1 no", ".": "451 4.3.0 later"}.get(command)

    async with RawPeer(answer=answer, offers=("8BITMIME",)) as peer, _connected(peer) as (reader, writer):
        await _say(reader, writer, "EHLO x", 250)
        await _say(reader, writer, "MAIL FROM:<>", 250)
        await _say(reader, writer, "RCPT TO:<no@x.example>", 550)
        await _say(reader, writer, "RCPT TO:<yes@x.example>", 250)
        await _say(reader, writer, "DATA", 354)
        await _say(reader, writer, "A: b\r\n.", 451)
        assert peer.messages == []
        assert peer.commands == [
            "EHLO x",
            "MAIL FROM:<>",
            "RCPT TO:<no@x.example>",
            "RCPT TO:<yes@x.example>",
            "DATA",
        ]


async def test_the_raw_peer_can_drop_the_connection() -> None:
    def answer(command: str) -> str | None:
        return DROP if command == "NOOP" else None

    async with RawPeer(answer=answer) as peer, _connected(peer) as (reader, writer):
        writer.write(b"NOOP\r\n")
        assert await reader.read() == b""


async def test_lmtp_replies_for_each_recipient() -> None:
    def answer(command: str) -> str | None:
        return "452 4.2.2 full" if command == ". b@x.example" else None

    async with LmtpPeer(answer=answer) as peer, _connected(peer) as (reader, writer):
        await _say(reader, writer, "EHLO x", 500)
        await _say(reader, writer, "LHLO x", 250)
        writer.write(
            b"MAIL FROM:<s@x.example>\r\nRCPT TO:<a@x.example>\r\nRCPT TO:<b@x.example>\r\nBDAT 2 LAST\r\n\r\n"
        )
        assert [await _reply(reader) for _ in range(5)] == [250, 250, 250, 250, 452]
        assert peer.messages[0].recipients == ["a@x.example"]


@pytest.mark.parametrize(
    ("dialogue", "code"),
    [
        (b"RCPT TO:<a@x.example>\r\n", 503),
        (b"MAIL FROM:<s@x.example>\r\nDATA\r\n", 503),
        (b"MAIL FROM: <s@x.example>\r\n", 501),
        (b"MAIL FROM:<s@x.example> XTRA=1\r\n", 555),
        ("MAIL FROM:<pelé@x.example>\r\n".encode(), 553),
        (b"MAIL FROM:<s@x.example>\r\nRCPT TO:<a@x.example>\r\nDATA\r\n.x\r\n.\r\n", 554),
        (b"MAIL FROM:<s@x.example>\r\nRCPT TO:<a@x.example>\r\nDATA\r\n\xe8\r\n.\r\n", 554),
        (b"MAIL FROM:<s@x.example>\r\nRCPT TO:<a@x.example>\r\nBDAT 2 LAST\r\nx\n", 554),
        (b"MAIL FROM:<s@x.example>\r\nRCPT TO:<a@x.example>\r\nBDAT 999 LAST\r\n" + b"x" * 999, 554),
    ],
)
async def test_the_raw_peer_refuses_what_a_client_must_not_do(dialogue: bytes, code: int) -> None:
    async with RawPeer() as peer, _connected(peer) as (reader, writer):
        writer.write(b"EHLO x\r\n" + dialogue + b"QUIT\r\n")
        codes = []
        while (last := await _reply(reader)) != 221:
            codes.append(last)
        assert codes[-1] == code
        assert peer.messages == []


async def test_waiting_in_vain_says_how_many_came() -> None:
    async with RawPeer() as peer:
        with pytest.raises(TimeoutError, match="0 of 1 messages"):
            await peer.wait_for(1, timeout=0.01)


# --- the wire --------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def _connected(peer: RawPeer) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection(peer.host, peer.port)
    assert await _reply(reader) == 220
    yield reader, writer
    writer.close()


async def _say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, line: str, code: int) -> None:
    writer.write(line.encode() + b"\r\n")
    assert await _reply(reader) == code


async def _reply(reader: asyncio.StreamReader) -> int:
    while (line := await reader.readuntil(b"\r\n"))[3:4] == b"-":
        pass
    return int(line[:3])
