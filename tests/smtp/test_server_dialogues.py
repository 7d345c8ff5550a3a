"""Whole dialogues with the server engine, and the commands that it refuses."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgate.smtp import (
    ClientNamed,
    Closed,
    Mail,
    MailParams,
    MessageAborted,
    MessageEnded,
    MessageStarted,
    Rcpt,
    RcptParams,
    Reply,
    SessionLimits,
    SmtpServer,
    StartTls,
    Tls,
)
from smtp.dialogue import Desk, codes, greeted, server

TRANSACTION = b"MAIL FROM:<alice@example.com>\r\nRCPT TO:<bob@example.com>\r\n"


def test_the_greeting_comes_first() -> None:
    assert codes(Desk(server()).run()) == [220]


def test_a_message_goes_through() -> None:
    services = greeted()
    assert codes(services.run(TRANSACTION + b"DATA\r\n")) == [250, 250, 354]
    assert codes(services.run(b"Subject: x\r\n\r\n..dot\r\n.\r\nQUIT\r\n")) == [250, 221]
    assert services.messages == [b"Subject: x\r\n\r\n.dot\r\n"]
    assert services.heard == [
        Mail("alice@example.com", MailParams()),
        Rcpt("bob@example.com", RcptParams()),
        MessageStarted(),
        *services.heard[3:4],
        MessageEnded(20, eight_bit=False),
        Closed(),
    ]
    assert services.engine.closing


def test_extensions_are_offered() -> None:
    said = Desk(server(tls=Tls.AVAILABLE)).run(b"EHLO a\r\n")
    for extension in (b"PIPELINING", b"SIZE 100000", b"8BITMIME", b"SMTPUTF8", b"CHUNKING", b"DSN", b"STARTTLS"):
        assert extension in said
    assert b"AUTH" not in said
    active = Desk(server()).run(b"EHLO a\r\n")
    assert b"AUTH SCRAM-SHA-256 PLAIN LOGIN\r\n" in active
    assert b"STARTTLS" not in active


def test_parameters_are_read() -> None:
    services = greeted()
    services.run(
        b"MAIL FROM:<> SIZE=5 BODY=8bitmime SMTPUTF8 RET=HDRS ENVID=a+2Bb AUTH=<>\r\n"
        b"RCPT TO:<j\xc3\xb6rg@example.com> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;bob@example.com\r\n"
    )
    assert services.heard == [
        Mail("", MailParams(5, "8BITMIME", smtputf8=True, ret="HDRS", envid="a+2Bb")),
        Rcpt("jörg@example.com", RcptParams("SUCCESS,FAILURE", "rfc822;bob@example.com")),
    ]


@pytest.mark.parametrize(
    ("words", "params"),
    [
        (b"REQUIRETLS", MailParams(require_tls=True)),
        (b"HOLDFOR=3600", MailParams(hold_for=3600)),
        (b"HOLDUNTIL=2026-12-24T18:00:00Z", MailParams(hold_until=1798135200)),
        (b"HOLDUNTIL=2026-12-24t19:00:00.5+01:00", MailParams(hold_until=1798135200)),
    ],
)
def test_what_a_sender_may_demand_of_the_way_is_read(words: bytes, params: MailParams) -> None:
    services = greeted()
    services.run(b"MAIL FROM:<alice@example.com> " + words + b"\r\n")
    assert services.heard == [Mail("alice@example.com", params)]


def test_what_needs_tls_or_a_longest_time_is_offered_with_these_alone() -> None:
    assert b"REQUIRETLS" not in Desk(server(tls=Tls.AVAILABLE)).run(b"EHLO a\r\n")
    said = Desk(server()).run(b"EHLO a\r\n")
    assert b"REQUIRETLS" in said
    assert b"FUTURERELEASE" not in said
    held = SmtpServer("mail.example.com", max_size=1, tls=Tls.ACTIVE, max_hold="60 2026-12-24T18:00:00Z")
    assert b"FUTURERELEASE 60 2026-12-24T18:00:00Z\r\n" in Desk(held).run(b"EHLO a\r\n")


@pytest.mark.parametrize(
    ("path", "address"),
    [
        (b"<bob@example.com>", "bob@example.com"),
        (b" <bob@example.com>", "bob@example.com"),
        (b'<"a b"@example.com>', '"a b"@example.com'),
        (b'<"a\\"> b"@example.com>', '"a\\"> b"@example.com'),
        (b"<@one.example,@two.example:bob@example.com>", "bob@example.com"),
        (b"<Postmaster>", "Postmaster"),
        (b"<bob@[IPv6:2001:db8::1]>", "bob@[IPv6:2001:db8::1]"),
    ],
)
def test_paths_are_read(path: bytes, address: str) -> None:
    services = greeted()
    assert codes(services.run(b"MAIL FROM:<>\r\nRCPT TO:" + path + b"\r\n")) == [250, 250]
    assert services.heard[1] == Rcpt(address, RcptParams())


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"", 500),
        (b"FOO", 500),
        (b"M\xc5\xbfIL FROM:<>", 500),
        (b"R\xc5\xbfET", 500),
        (b"EHLO", 501),
        (b"EHLO a\tb", 501),
        (b"EHLO " + b"a" * 256, 501),
        (b"MAIL FROM", 501),
        (b"MAIL FROM:<alice@example.com", 501),
        (b"MAIL FROM:<a@b> <c@d>", 501),
        (b"MAIL FROM:<a\x01b@example.com>", 501),
        (b"MAIL FROM:<a@b>\x00", 501),
        (b"MAIL FROM:<a\x00@b>", 501),
        (b"MAIL FROM:<\xff@example.com>", 501),
        (b"MAIL FROM:<j\xc3\xb6rg@example.com>", 553),
        (b"MAIL FROM:<" + b"a" * 400 + b"@example.com>", 501),
        (b"MAIL FROM:<a@b> SIZE=x", 501),
        (b"MAIL FROM:<a@b> REQUIRETLS=yes", 501),
        (b"MAIL FROM:<a@b> HOLDFOR", 501),
        (b"MAIL FROM:<a@b> HOLDFOR=0", 501),
        (b"MAIL FROM:<a@b> HOLDFOR=1000000000", 501),
        (b"MAIL FROM:<a@b> HOLDUNTIL", 501),
        (b"MAIL FROM:<a@b> HOLDUNTIL=2026-12-24", 501),
        (b"MAIL FROM:<a@b> HOLDUNTIL=2026-12-24T18:00:00", 501),
        (b"MAIL FROM:<a@b> HOLDUNTIL=2026-13-24T18:00:00Z", 501),
        (b"MAIL FROM:<a@b> SIZE=1 SIZE=1", 501),
        (b"MAIL FROM:<a@b> SIZE=100001", 552),
        (b"MAIL FROM:<a@b> BODY=BINARYMIME", 501),
        (b"MAIL FROM:<a@b> FOO=1", 555),
        (b"MAIL FROM:<a@b> RET=SOME", 501),
        (b"MAIL FROM:<a@b> SMTPUTF8=1", 501),
        (b"MAIL FROM:<a@b> NOTIFY=NEVER", 501),
        (b"RCPT TO:<a@b>", 503),
        (b"DATA", 503),
        (b"BDAT 0 LAST", 503),
        (b"MAIL FROM:<a@b>\rX", 500),
        (b"NOOP " + b"x" * 3000, 500),
        (b"NOOP " + b"x" * 30000, 500),
        (b"STARTTLS", 503),
        (b"VRFY bob", 252),
        (b"EXPN all", 500),
        (b"HELP", 214),
        (b"NOOP whatever", 250),
        (b"AUTH FOO", 504),
        (b"mail from:<a@b>", 250),
    ],
)
@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_a_command_is_answered_and_the_next_one_too(line: bytes, code: int, size: int) -> None:
    services = greeted()
    before = len(services.said)
    data = line + b"\r\nNOOP\r\n"
    services.run_pieces(data[start : start + size] for start in range(0, len(data), size))
    assert codes(services.said[before:]) == [code, 250]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"RCPT TO:<>", 501),
        (b"RCPT TO:<a@b> NOTIFY=NEVER,SUCCESS", 501),
        (b"RCPT TO:<a@b> ORCPT=rfc822", 501),
        (b"RCPT TO:<a@b> SIZE=1", 501),
        (b"RCPT TO:<a@b> X=1", 555),
        (b"RCPT TO:<\xc3\xb6@example.com>", 553),
        (b"MAIL FROM:<a@b>", 503),
        (b"AUTH PLAIN", 503),
        (b"STARTTLS", 503),
        (b"DATA x", 501),
        (b"DATA", 503),
        (b"RSET", 250),
        (b"EHLO again", 250),
    ],
)
def test_a_command_after_mail_is_answered(line: bytes, code: int) -> None:
    services = greeted()
    assert codes(services.run(b"MAIL FROM:<>\r\n" + line + b"\r\nNOOP\r\n")) == [250, code, 250]


def test_only_ehlo_opens() -> None:
    assert codes(Desk(server()).run(TRANSACTION)) == [220, 503, 503]


def test_log_in_comes_before_mail() -> None:
    assert codes(greeted(auth_required=True).run(TRANSACTION)) == [530, 503]
    assert b"STARTTLS" in greeted(auth_required=True, tls=Tls.AVAILABLE).run(b"MAIL FROM:<>\r\n")


# --- bare line ends --------------------------------------------------------------------------------------------------


def test_nothing_behind_a_bare_lf_is_a_command() -> None:
    services = greeted()
    assert codes(services.run(b"MAIL FROM:<alice@example.com>\nRCPT TO:<bob@example.com>\nDATA\r\nNOOP\r\n")) == [
        500,
        500,
        500,
        250,
    ]
    assert services.heard == []


SMUGGLED = [
    b"\n.\n",
    b"\n.\r\n",
    b"\r.\r",
    b"\r.\r\n",
    b"\r\n.\n",
    b"\r\n.\r",
    b"\r\n.\rX\r\n",
    b"\r\n\0.\r\n",
    b"\n\n.\r\n",
    b"\r\r\n.\r\r\n",
]


@pytest.mark.parametrize("end", SMUGGLED)
@pytest.mark.parametrize("size", [1, 2, 3, 5, 1000])
def test_only_crlf_dot_crlf_ends_data(end: bytes, size: int) -> None:
    """CVE-2023-51764 and its kin: what follows a false end is content, and the message is refused."""
    services = greeted()
    services.run(TRANSACTION + b"DATA\r\n")
    before = len(services.said)
    data = (
        b"first"
        + end
        + b"MAIL FROM:<carol@example.com>\r\nRCPT TO:<bob@example.com>\r\nDATA\r\nsecond\r\n.\r\nNOOP\r\n"
    )
    services.run_pieces(data[start : start + size] for start in range(0, len(data), size))
    assert codes(services.said[before:]) == [550, 250]
    assert services.messages == []
    assert isinstance(services.heard[-1], MessageAborted)


@pytest.mark.parametrize(
    "content", [b"a\nb\r\n", b"a\rb\r\n", b"a\0b\r\n", b"a\r", b"\n", b"x" * 999 + b"\r\n", b"x" * 999]
)
@pytest.mark.parametrize("chunk", [1, 2, 1000])
def test_content_that_others_read_differently_is_refused_by_bdat_too(content: bytes, chunk: int) -> None:
    services = greeted()
    before = len(services.said) + len(services.run(TRANSACTION))
    for start in range(0, len(content), chunk):
        piece = content[start : start + chunk]
        services.run(b"BDAT %d%b\r\n" % (len(piece), b" LAST" if start + chunk >= len(content) else b"") + piece)
    services.run(b"NOOP\r\n")
    said = codes(services.said[before:])
    assert said.count(550) == 1
    assert set(said[: said.index(550)]) <= {250}
    assert set(said[said.index(550) + 1 : -1]) <= {503}
    assert services.messages == []


def test_a_long_line_is_named() -> None:
    services = greeted()
    services.run(TRANSACTION + b"DATA\r\n")
    said = services.run(b"a: b\r\n\r\n" + b"x" * 998 + b"\r\n" + b"y" * 999 + b"\r\n.\r\n")
    assert b"550 5.6.0 Line 4 of the content is longer than 998 bytes; encode it (quoted-printable)" in said


def test_a_line_of_998_bytes_is_taken_with_a_stuffed_dot() -> None:
    services = greeted()
    services.run(TRANSACTION + b"DATA\r\n")
    assert codes(services.run(b".." + b"x" * 997 + b"\r\n.\r\n")) == [250]
    assert services.messages == [b"." + b"x" * 997 + b"\r\n"]


def test_eight_bit_content_is_told() -> None:
    services = greeted()
    services.run(TRANSACTION + b"DATA\r\n")
    services.run("ö\r\n.\r\n".encode())
    assert services.heard[-1] == MessageEnded(4, eight_bit=True)


def test_an_empty_message_is_a_message() -> None:
    services = greeted()
    services.run(TRANSACTION + b"DATA\r\n")
    assert codes(services.run(b".\r\n")) == [250]
    assert services.messages == [b""]


def test_content_over_the_size_is_refused_at_its_end() -> None:
    services = greeted()
    services.run(TRANSACTION + b"DATA\r\n")
    line = b"x" * 98 + b"\r\n"
    assert services.run(line * 1001) == b""
    assert sum(map(len, services.body)) == 0
    assert codes(services.run(b".\r\nNOOP\r\n")) == [552, 250]
    assert isinstance(services.heard[-1], MessageAborted)


# --- BDAT ------------------------------------------------------------------------------------------------------------


def test_chunks_are_put_together() -> None:
    services = greeted()
    assert codes(services.run(TRANSACTION + b"BDAT 3\r\na\r\nBDAT 0\r\nBDAT 4 last\r\n.\r\nbNOOP\r\n")) == [250] * 6
    assert services.messages == [b"a\r\n.\r\nb"]


def test_between_chunks_only_bdat_goes_on() -> None:
    services = greeted()
    replies = services.run(
        TRANSACTION + b"BDAT 1\r\naMAIL FROM:<>\r\nRCPT TO:<a@b>\r\nDATA\r\nNOOP\r\nBDAT 1 LAST\r\nb"
    )
    assert codes(replies) == [250, 250, 250, 503, 503, 503, 250, 250]


def test_the_bytes_of_a_refused_chunk_are_no_commands() -> None:
    services = greeted()
    assert codes(services.run(b"BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n")) == [503, 250]
    services = greeted(auth_required=True)
    assert codes(services.run(TRANSACTION + b"BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n")) == [530, 503, 503, 250]


@pytest.mark.parametrize("argument", [b"", b" x", b" -1", b" 1 LST", b" 1 LAST x", b" 99999999999999999999", b" \xb2"])
def test_a_chunk_of_unknown_size_ends_the_session(argument: bytes) -> None:
    services = greeted()
    assert codes(services.run(TRANSACTION + b"BDAT" + argument + b"\r\nQUIT\r\n"))[2:] == [501]
    assert services.engine.closing


def test_an_overlong_bdat_ends_the_session() -> None:
    services = greeted()
    assert codes(services.run(b"BDAT " + b" " * 3000 + b"6 LAST\r\nQUIT\r\n")) == [500]
    assert services.engine.closing


def test_a_chunk_over_the_size_ends_the_message() -> None:
    services = greeted()
    services.run(TRANSACTION)
    assert codes(services.run(b"BDAT 200000\r\n" + b"x\r\n" * 66666 + b"xxBDAT 1 LAST\r\nxNOOP\r\n")) == [552, 503, 250]
    assert services.messages == []


# --- transactions ----------------------------------------------------------------------------------------------------


def test_data_without_recipients_is_refused() -> None:
    services = greeted()
    assert codes(services.run(b"MAIL FROM:<>\r\nDATA\r\nRCPT TO:<carol@example.com>\r\nDATA\r\n")) == [
        250,
        503,
        550,
        554,
    ]


def test_one_refused_recipient_spares_the_others() -> None:
    services = greeted()
    assert codes(services.run(b"MAIL FROM:<>\r\nRCPT TO:<carol@b>\r\nRCPT TO:<bob@b>\r\nDATA\r\n")) == [
        250,
        550,
        250,
        354,
    ]


def test_rset_forgets_the_transaction() -> None:
    services = greeted()
    assert codes(services.run(TRANSACTION + b"RSET\r\nDATA\r\n" + TRANSACTION + b"BDAT 1\r\nxRSET\r\n"))[2:4] == [
        250,
        503,
    ]
    assert isinstance(services.heard[-1], MessageAborted)


def test_too_many_recipients_wait_for_the_next_transaction() -> None:
    services = greeted(limits=SessionLimits(max_recipients=2))
    assert codes(services.run(b"MAIL FROM:<>\r\n" + b"RCPT TO:<bob@b>\r\n" * 4 + b"DATA\r\n")) == [
        250,
        250,
        250,
        452,
        452,
        354,
    ]


def test_a_question_holds_back_what_is_behind_it() -> None:
    engine = server()
    engine.receive_data(b"EHLO a\r\n" + TRANSACTION)
    assert isinstance(engine.next_event(), Mail)
    assert engine.paused
    assert engine.next_event() is None
    assert codes(engine.data_to_send()) == [220, 250]
    engine.reject(Reply(451, "4.3.0", ("Not now",)))
    assert not engine.paused
    assert engine.next_event() is None
    assert codes(engine.data_to_send()) == [451, 503]


def test_an_answer_without_a_question_is_an_error() -> None:
    engine = server()
    with pytest.raises(RuntimeError):
        engine.accept()
    with pytest.raises(RuntimeError):
        engine.scram(None)


def test_a_refused_message_leaves_the_session_open() -> None:
    engine = server()
    engine.receive_data(b"EHLO a\r\n" + TRANSACTION + b"BDAT 2 LAST\r\n\r\nNOOP\r\n")
    while (event := engine.next_event()) is not None:
        if isinstance(event, MessageEnded):
            engine.reject(Reply(451, "4.3.1", ("Disk full",)))
        elif engine.paused:
            engine.accept()
    assert codes(engine.data_to_send())[-2:] == [451, 250]


@pytest.mark.parametrize("command", [b"DATA\r\n", b"BDAT 4 LAST\r\nQUIT"])
def test_content_may_be_refused_before_it_comes(command: bytes) -> None:
    engine = server()
    engine.receive_data(b"EHLO a\r\n" + TRANSACTION + command)
    while (event := engine.next_event()) is not None:
        if isinstance(event, MessageStarted):
            engine.reject(Reply(452, "4.3.1", ("Disk full",)))
        elif engine.paused:
            engine.accept()
    engine.receive_data(b"NOOP\r\n")
    assert engine.next_event() is None
    assert codes(engine.data_to_send())[-2:] == [452, 250]


# --- limits and ends -------------------------------------------------------------------------------------------------


def test_too_many_errors_end_the_session() -> None:
    services = greeted()
    assert codes(services.run(b"FOO\r\n" * 20)) == [500] * 10 + [421]
    assert services.heard == [Closed()]
    assert services.engine.closing


def test_errors_are_forgotten_with_a_message() -> None:
    services = greeted()
    message = TRANSACTION + b"BDAT 2 LAST\r\n\r\n"
    for _ in range(5):
        services.run(b"FOO\r\n" * 9 + message)
    assert not services.engine.closing
    assert len(services.messages) == 5


def test_pipelined_commands_behind_a_refused_mail_are_no_errors() -> None:
    services = greeted()
    refused = b"MAIL FROM:<carol@b>\r\nRCPT TO:<a@b>\r\nRCPT TO:<a@b>\r\nBDAT 1 LAST\r\nxDATA\r\n"
    assert codes(services.run(refused * 10)) == [550, 503, 503, 503, 503] * 10


def test_too_many_commands_without_a_message_end_the_session() -> None:
    services = greeted()
    assert codes(services.run(b"NOOP\r\n" * 200)) == [250] * 99 + [421]


def test_a_line_without_end_takes_no_memory() -> None:
    services = greeted()
    for _ in range(100):
        assert services.run(b"x" * 10_000) == b""
    assert len(services.engine._in._data) < 20_000  # what it holds can't be seen from outside
    assert codes(services.run(b"\r\nNOOP\r\n")) == [500, 250]


def test_shut_down_says_why_and_closes() -> None:
    services = greeted()
    services.run(TRANSACTION + b"DATA\r\nhalf")
    services.engine.shut_down(Reply(421, "4.3.2", ("Stopping",)))
    assert codes(services.run(b" of it\r\n.\r\n")) == [421]
    assert [type(event) for event in services.heard[-2:]] == [MessageAborted, Closed]


def test_starttls_forgets_the_client() -> None:
    engine = server(tls=Tls.AVAILABLE)
    services = Desk(engine)
    services.run(b"EHLO a\r\nSTARTTLS\r\n")
    assert services.heard == [StartTls()]
    assert codes(services.run(b"MAIL FROM:<>\r\nSTARTTLS\r\n")) == [503, 503]
    assert b"AUTH" in services.run(b"EHLO a\r\n")


def test_commands_behind_starttls_end_the_session() -> None:
    services = Desk(server(tls=Tls.AVAILABLE))
    assert codes(services.run(b"EHLO a\r\nSTARTTLS\r\nMAIL FROM:<>\r\n")) == [220, 250, 421]
    assert services.heard == [Closed()]


def test_commands_between_starttls_and_the_handshake_end_the_session() -> None:
    engine = server(tls=Tls.AVAILABLE)
    engine.receive_data(b"EHLO a\r\nSTARTTLS\r\n")
    assert engine.next_event() == StartTls()
    engine.receive_data(b"EHLO evil\r\n")
    assert engine.next_event() is None
    engine.data_to_send()
    engine.tls_established()
    assert codes(engine.data_to_send()) == [421]
    assert engine.closing


def test_replies_can_not_be_broken_by_their_text() -> None:
    assert Reply(550, "5.7.1", ("a\r\n250 ok",)).encode() == b"550 5.7.1 a 250 ok\r\n"
    assert Reply(550, "", ("ö",)).encode() == b"550 \\xf6\r\n"
    assert Reply(550, "", ("ö",)).encode(utf8=True) == "550 ö\r\n".encode()


@given(st.lists(st.text(max_size=2000), min_size=1, max_size=3), st.booleans())
def test_reply_lines_fit_into_512_bytes(lines: list[str], utf8: bool) -> None:
    encoded = Reply(550, "5.7.1", tuple(lines)).encode(utf8=utf8)
    assert all(len(line) <= 510 for line in encoded.split(b"\r\n"))
    assert codes(encoded) == [550]


# --- any split -------------------------------------------------------------------------------------------------------

STREAM = (
    b"EHLO a\r\n" + TRANSACTION + b"DATA\r\n..a\r\n.b\r\n\r\n.\r\n"
    b"MAIL FROM:<carol@b>\r\nFOO\r\nNOOP\nQUIT\r\n" + TRANSACTION + b"BDAT 5\r\na\r\nb\rBDAT 3 LAST\r\n\nQU"
    b"AUTH PLAIN AGFsaWNlAHBlbmNpbA==\r\n" + TRANSACTION + b"DATA\r\n.\r\n"
    + TRANSACTION + b"DATA\r\nbad\n.\r\n\r\n.\r\nNOOP " + b"x" * 2100 + b"\r\n"
    + TRANSACTION + b"RSET\r\nBDAT 4\r\nQUITQUIT\r\n"
)  # fmt: skip


def run_whole() -> Desk:
    services = Desk(server())
    services.run(STREAM)
    return services


WHOLE = run_whole()


def test_the_stream_says_what_it_should() -> None:
    assert WHOLE.messages == [b".a\r\nb\r\n\r\n", b"a\r\nb\r\nQU", b""]
    assert WHOLE.engine.closing


@given(st.lists(st.integers(1, len(STREAM) - 1), max_size=40))
def test_any_split_gives_the_same(cuts: list[int]) -> None:
    services = Desk(server())
    marks = [0, *sorted(cuts), len(STREAM)]
    services.run_pieces(STREAM[start:end] for start, end in pairwise(marks))
    assert services.heard == WHOLE.heard
    assert services.said == WHOLE.said


def test_byte_by_byte_gives_the_same() -> None:
    services = Desk(server())
    services.run_pieces(STREAM[at : at + 1] for at in range(len(STREAM)))
    assert (services.heard, services.said) == (WHOLE.heard, WHOLE.said)


def test_a_drop_at_any_byte_aborts_the_message_under_way() -> None:
    for at in range(len(STREAM)):
        services = Desk(server())
        services.run(STREAM[:at])
        services.engine.receive_eof()
        services.run()
        begun = [
            type(event) for event in services.heard if isinstance(event, MessageStarted | MessageEnded | MessageAborted)
        ]
        assert all(
            first is MessageStarted and second is not MessageStarted
            for first, second in zip(begun[::2], begun[1::2], strict=True)
        )
        assert services.heard[-1] == Closed()
        assert services.heard.count(Closed()) == 1


@given(st.binary(max_size=300))
def test_whatever_comes_is_answered_or_waits(noise: bytes) -> None:
    services = greeted()
    services.run(noise)
    services.run(b"\r\n")
    assert all(200 <= code < 600 for code in codes(services.said))


def _front(line: bytes) -> Desk:
    engine = SmtpServer(
        "mx.example.com", max_size=1, tls=Tls.AVAILABLE, mechanisms=(), auth_required=False, xclient=True
    )
    desk = Desk(engine)
    assert b"XCLIENT LOGIN\r\n" in desk.run(b"EHLO front\r\n")
    desk.run(line)
    return desk


@pytest.mark.parametrize(
    ("line", "logins"),
    [
        (b"XCLIENT LOGIN=alice+40example.com\r\n", ["alice@example.com"]),
        (b"xclient ADDR=192.0.2.1 login=j+C3+B6rg NAME=[UNAVAILABLE]\r\n", ["j\xf6rg"]),
        (b"XCLIENT LOGIN=[unavailable]\r\n", [""]),
        (b"XCLIENT LOGIN=[TEMPUNAVAIL]\r\n", [""]),
        (b"XCLIENT ADDR=IPV6:2001:db8::1\r\n", [""]),
    ],
)
def test_a_trusted_server_says_as_whom_its_client_has_logged_in(line: bytes, logins: list[str]) -> None:
    desk = _front(line)
    assert [one.login for one in desk.heard if isinstance(one, ClientNamed)] == logins
    assert desk.said.endswith(b"220 mx.example.com ESMTP Outgate\r\n")
    assert codes(desk.run(b"MAIL FROM:<>\r\n")) == [503]  # it begins anew
    assert codes(desk.run(b"EHLO front\r\nMAIL FROM:<>\r\nXCLIENT LOGIN=bob\r\n"))[-2:] == [250, 503]


@pytest.mark.parametrize("first", [b"LOGIN=alice", b"ADDR=192.0.2.1", b"LOGIN=[UNAVAILABLE]"])
@pytest.mark.parametrize("before", [b"", b"RSET\r\n", b"MAIL FROM:<>\r\nRSET\r\n", b"STARTTLS\r\n"])
def test_whom_a_trusted_server_has_named_its_client_can_not_name_anew(first: bytes, before: bytes) -> None:
    """A proxy that has logged its client in passes on what that one says."""
    desk = _front(b"XCLIENT " + first + b"\r\n")
    assert b"XCLIENT" not in desk.run(b"EHLO client\r\n")
    desk.run(before)
    assert codes(desk.run(b"EHLO client\r\nXCLIENT LOGIN=boss\r\n"))[-2:] == [250, 503]
    assert len([one for one in desk.heard if isinstance(one, ClientNamed)]) == 1


def test_what_has_no_form_names_nobody_and_may_be_said_again() -> None:
    desk = _front(b"XCLIENT LOGIN=a=b\r\n")
    assert codes(desk.run(b"XCLIENT LOGIN=alice\r\n")) == [220]
    assert [one.login for one in desk.heard if isinstance(one, ClientNamed)] == ["alice"]


@pytest.mark.parametrize(
    "argument", [b"", b" LOGIN", b" LOGIN=", b" LOGIN=a+4", b" LOGIN=a=b", b" LOGIN=+FF", b" LOGIN=a 1=b"]
)
def test_what_a_trusted_server_says_has_a_form(argument: bytes) -> None:
    desk = _front(b"XCLIENT" + argument + b"\r\n")
    assert codes(desk.said)[-1] == 501
    assert not [one for one in desk.heard if isinstance(one, ClientNamed)]


def test_nobody_else_says_who_a_client_is() -> None:
    assert codes(greeted().run(b"XCLIENT LOGIN=alice\r\n")) == [500]
    assert b"XCLIENT" not in Desk(server()).run(b"EHLO a\r\n")
