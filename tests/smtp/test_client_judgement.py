"""The client engine judges a reply by what was asked, and reads what breaks the grammar (RFC 5321 section 4.2)."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgate.smtp import (
    Addressee,
    ClientEvent,
    ConnectionLost,
    Greeting,
    HelloDone,
    ProtocolError,
    Reply,
    SmtpClient,
    Transaction,
    TransactionDone,
)
from outgate.smtp.reply import MAX_LINE, MAX_LINES, MAX_TEXT, ReplyParser

ALL = b"250-peer\r\n250-PIPELINING\r\n250 CHUNKING\r\n"
PIPELINING = b"250-peer\r\n250 PIPELINING\r\n"
PLAIN = b"250 peer\r\n"
CHUNKING = b"250-peer\r\n250 CHUNKING\r\n"


def say(client: SmtpClient, data: bytes) -> list[ClientEvent]:
    client.receive_data(data)
    events = []
    while (event := client.next_event()) is not None:
        events.append(event)
    return events


def ready(offers: bytes, *, lmtp: bool = False, avoided: tuple[str, ...] = ()) -> SmtpClient:
    client = SmtpClient(lmtp=lmtp, avoided=avoided)
    say(client, b"220 peer\r\n")
    client.hello("client.example")
    say(client, offers)
    client.data_to_send()
    return client


def message(content: bytes | None = b"x\r\n", *recipients: str) -> Transaction:
    return Transaction("a@a.example", [Addressee(one) for one in recipients or ("b@b.example",)], content=content)


def sent(offers: bytes, content: bytes | None = b"x\r\n", *, lmtp: bool = False) -> SmtpClient:
    client = ready(offers, lmtp=lmtp)
    client.send(message(content))
    return client


def result_of(events: list[ClientEvent]) -> list[Reply]:
    (event,) = events
    assert isinstance(event, TransactionDone)
    return list(event.result.final)


# --- only 354 lets content flow --------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [200, 220, 221, 250, 251, 300, 334, 355])
@pytest.mark.parametrize("content", [b"x\r\n", None])
def test_only_354_lets_content_flow(code: int, content: bytes | None) -> None:
    client = sent(PLAIN, content)
    say(client, b"250 ok\r\n")
    say(client, b"250 ok\r\n")
    assert client.data_to_send().endswith(b"DATA\r\n")
    for _ in range(2):
        with pytest.raises(ProtocolError):
            say(client, b"%d 2.0.0 Ok\r\n" % code)
    assert client.data_to_send() == b""
    assert not client.idle


@pytest.mark.parametrize("replies", [b"354 go\r\n", b"250 ok\r\n354 go\r\n", b"250 ok\r\n334 go\r\n"])
@pytest.mark.parametrize("offers", [PIPELINING, ALL])
def test_3xx_is_no_answer_to_mail_or_rcpt(replies: bytes, offers: bytes) -> None:
    with pytest.raises(ProtocolError):
        say(sent(offers), replies)


def test_an_answer_too_many_is_found_when_the_next_message_begins() -> None:
    client = sent(PIPELINING)
    say(client, b"250 ok\r\n250 ok\r\n354 go\r\n")
    client.receive_data(b"250 queued\r\n250 queued\r\n")
    assert isinstance(client.next_event(), TransactionDone)
    assert not client.idle
    client.data_to_send()
    client.send(message())
    assert client.data_to_send() == b""
    with pytest.raises(ProtocolError):
        client.next_event()


@pytest.mark.parametrize("unasked", [b"2", b"250 ok", b"250-ok\r\n", b"nonsense\r\n", b"x" * 2_000_000])
def test_what_came_unasked_stops_the_next_message(unasked: bytes) -> None:
    client = ready(ALL)
    client.receive_data(unasked)
    client.send(message())
    assert client.data_to_send() == b""
    with pytest.raises(ProtocolError):
        client.next_event()


def test_a_farewell_that_came_before_the_message_is_told() -> None:
    client = ready(ALL)
    client.receive_data(b"421 4.3.2 stopping\r\n")
    client.send(message())
    assert client.next_event() == ConnectionLost(farewell=Reply(421, "4.3.2", ("stopping",)))


@pytest.mark.parametrize("offers", [PIPELINING, PLAIN])
def test_a_late_second_answer_never_makes_a_delivery_by_data(offers: bytes) -> None:
    """The late 250 is taken for MAIL's answer, so RCPT's would be the one to DATA."""
    client = sent(offers)
    say(client, b"250 ok\r\n")
    say(client, b"250 ok\r\n")
    with pytest.raises(ProtocolError):
        say(client, b"250 ok\r\n")


def test_a_late_second_answer_to_bdat_shows_by_the_status_codes() -> None:
    with pytest.raises(ProtocolError):
        say(sent(ALL), b"250 2.0.0 queued\r\n250 2.1.0 sender ok\r\n250 2.1.5 recipient ok\r\n")
    assert result_of(say(sent(ALL), b"250 2.1.0 ok\r\n250 2.1.5 ok\r\n250 2.1.5 ok\r\n"))


def test_an_lmtp_server_may_answer_as_to_a_recipient() -> None:
    client = sent(ALL, lmtp=True)
    assert result_of(say(client, b"250 2.1.0 ok\r\n250 2.1.0 ok\r\n250 2.1.5 Ok\r\n"))[0].code == 250


def test_an_lmtp_answer_too_many_is_a_fault() -> None:
    client = sent(ALL, lmtp=True)
    client.receive_data(b"250 ok\r\n250 ok\r\n250 ok\r\n250 ok\r\n")
    assert isinstance(client.next_event(), TransactionDone)
    with pytest.raises(ProtocolError):
        client.next_event()


def test_a_result_says_whether_the_content_was_sent_whole() -> None:
    for offers, replies, whole in [
        (ALL, b"250 ok\r\n250 ok\r\n250 ok\r\n", True),
        (PIPELINING, b"250 ok\r\n250 ok\r\n354 go\r\n250 ok\r\n", True),
        (PIPELINING, b"250 ok\r\n250 ok\r\n451 later\r\n", False),
        (PIPELINING, b"550 no\r\n503 no\r\n503 no\r\n", False),
    ]:
        (event,) = say(sent(offers), replies)
        assert isinstance(event, TransactionDone)
        assert event.result.content_complete is whole


def test_a_farewell_in_a_transaction_ends_the_connection() -> None:
    client = sent(ALL)
    (event,) = say(client, b"250 ok\r\n250 ok\r\n421 4.3.2 stopping\r\n")
    assert isinstance(event, TransactionDone)
    assert not client.idle


def test_a_second_refusal_of_chunks_changes_nothing() -> None:
    client = sent(ALL, None)
    say(client, b"250 ok\r\n250 ok\r\n")
    client.send_body(b"a", last=False)
    client.send_body(b"b", last=False)
    client.send_body(b"c", last=True)
    assert [reply.code for reply in result_of(say(client, b"552 large\r\n503 what\r\n503 what\r\n"))] == [552]


def test_no_piece_follows_a_refused_one() -> None:
    client = sent(ALL, None)
    say(client, b"250 ok\r\n250 ok\r\n")
    client.send_body(b"a", last=False)
    client.send_body(b"b", last=False)
    client.data_to_send()
    assert say(client, b"552 large\r\n") == []
    client.send_body(b"c", last=True)
    assert client.data_to_send() == b""
    assert result_of(say(client, b"503 what\r\n"))[0].code == 552


# --- extensions that are not there -----------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [500, 501, 502, 503, 504])
def test_a_peer_that_does_not_know_bdat_is_told_from_one_that_refuses(code: int) -> None:
    (event,) = say(sent(ALL), b"250 ok\r\n250 ok\r\n%d 5.5.1 what\r\n" % code)
    assert isinstance(event, TransactionDone)
    assert event.result.bdat_refused
    for replies in (b"250 ok\r\n250 ok\r\n554 spam\r\n", b"250 ok\r\n550 no\r\n503 no\r\n", b"503 no\r\n" * 3):
        (event,) = say(sent(ALL), replies)
        assert isinstance(event, TransactionDone)
        assert not event.result.bdat_refused
    (event,) = say(sent(PIPELINING), b"250 ok\r\n250 ok\r\n502 what\r\n")
    assert isinstance(event, TransactionDone)
    assert not event.result.bdat_refused


def test_a_bdat_without_answer_is_told_from_other_waiting() -> None:
    client = sent(ALL)
    assert not client.bdat_unanswered  # what is waited for is the answer to MAIL
    assert say(client, b"250 ok\r\n250 ok\r\n") == []
    assert client.bdat_unanswered
    assert isinstance(say(client, b"502 what\r\n")[0], TransactionDone)
    assert not client.bdat_unanswered
    assert not sent(PIPELINING).bdat_unanswered


def test_what_is_to_be_avoided_is_not_used() -> None:
    client = ready(b"250-peer\r\n250-PIPELINING\r\n250-SMTPUTF8\r\n250 CHUNKING\r\n", avoided=("CHUNKING", "SMTPUTF8"))
    client.send(Transaction("a@a.example", [Addressee("b@b.example")], smtputf8=True, content=b"x\r\n"))
    assert client.data_to_send() == b"MAIL FROM:<a@a.example>\r\nRCPT TO:<b@b.example>\r\nDATA\r\n"
    client = ready(ALL, avoided=("PIPELINING",))
    client.send(message())
    assert client.data_to_send() == b"MAIL FROM:<a@a.example>\r\n"


def test_chunks_go_one_after_the_other_only_with_pipelining() -> None:
    """RFC 3030 section 4.2; without it the content goes by DATA, unless one chunk has all of it."""
    client = sent(CHUNKING, None)
    say(client, b"250 ok\r\n")
    say(client, b"250 ok\r\n")
    assert client.data_to_send().endswith(b"DATA\r\n")
    client = sent(CHUNKING)
    say(client, b"250 ok\r\n")
    say(client, b"250 ok\r\n")
    assert client.data_to_send().endswith(b"BDAT 3 LAST\r\nx\r\n")


@pytest.mark.parametrize("offers", [PLAIN, CHUNKING, b"250-peer\r\n250 8BITMIME\r\n"])
def test_rset_and_mail_do_not_come_together_without_pipelining(offers: bytes) -> None:
    client = sent(offers)
    client.data_to_send()
    say(client, b"550 no\r\n")
    client.send(message())
    assert client.data_to_send() == b"RSET\r\n"
    assert say(client, b"250 ok\r\n") == []
    assert client.data_to_send() == b"MAIL FROM:<a@a.example>\r\n"
    say(client, b"250 ok\r\n")
    assert client.data_to_send() == b"RCPT TO:<b@b.example>\r\n"


@pytest.mark.parametrize("code", [500, 502, 503, 504, 550])
def test_helo_follows_any_refusal_of_ehlo(code: int) -> None:
    client = SmtpClient()
    say(client, b"220 old\r\n")
    client.hello("client.example")
    client.data_to_send()
    assert say(client, b"%d what\r\n" % code) == []
    assert client.data_to_send() == b"HELO client.example\r\n"


@pytest.mark.parametrize("code", [421, 450, 521, 554])
def test_helo_does_not_follow_a_refusal_of_the_client(code: int) -> None:
    client = SmtpClient()
    say(client, b"220 old\r\n")
    client.hello("client.example")
    client.data_to_send()
    assert say(client, b"%d go away\r\n" % code) == [HelloDone(Reply(code, "", ("go away",)))]
    assert client.data_to_send() == b""


# --- the grammar of replies ------------------------------------------------------------------------------------------


def parsed(data: bytes) -> Reply | None:
    parser = ReplyParser()
    parser.feed(b"220 hello\r\n")
    parser.next()
    parser.feed(data)
    return parser.next()


@pytest.mark.parametrize(
    ("data", "reply"),
    [
        (b"250\tok\r\n", Reply(250, "", ("ok",))),
        (b"550_no\r\n", Reply(550, "", ("no",))),
        (b"250\r\n", Reply(250)),
        (b"250 ok\n", Reply(250, "", ("ok",))),
        (b"250-\r\n250 \r\n", Reply(250, "", ("", ""))),
        (b"hello\r\n250 ok\r\n", Reply(250, "", ("ok",))),
        (b"2500 x\r\n250 ok\r\n", Reply(250, "", ("ok",))),
        (b"550-a\r\nb\r\n550 c\r\n", Reply(550, "", ("a", "c"))),
        (b"220-mx ESMTP\r\n521 5.7.1 blocked\r\n", Reply(521, "5.7.1", ("mx ESMTP", "blocked"))),
        (b"250-2.0.0 a\r\n451 4.3.0 b\r\n", Reply(451, "4.3.0", ("2.0.0 a", "b"))),
        (b"550-5.7.1 a\r\n550 5.7.1 b\r\n", Reply(550, "5.7.1", ("a", "b"))),
        (b"550 5.7.1\r\n", Reply(550, "5.7.1", ("",))),
        (b"550 Mail from 5.9.33.7 refused\r\n", Reply(550, "", ("Mail from 5.9.33.7 refused",))),
        (b"550 a\x1b[2Jb\r\n", Reply(550, "", ("a [2Jb",))),
        (b"550-a\xa0\r\n550 \xff\x00\r\n", Reply(550, "", ("a\ufffd", "\ufffd "))),
    ],
)
def test_the_first_three_characters_decide(data: bytes, reply: Reply) -> None:
    assert parsed(data) == reply


@pytest.mark.parametrize("code", [250, 450, 550])
def test_a_long_reply_is_cut(code: int) -> None:
    for data in (
        b"%d 2.0.0 Ok" % code + b"x" * 5000 + b"\r\n",
        b"%d-" % code + b"x" * 100_000 + b"\r\n%d y\r\n" % code,
        b"%d-x\r\n" % code * 3000 + b"%d y\r\n" % code,
        (b"%d-" % code + b"y" * 2000 + b"\r\n") * 199 + b"%d y\r\n" % code,
    ):
        reply = parsed(data)
        assert reply
        assert reply.code == code
        assert len(reply.lines) <= MAX_LINES
        assert max(map(len, reply.lines)) <= MAX_LINE
        assert sum(map(len, reply.lines)) <= MAX_TEXT


@pytest.mark.parametrize("answer", [b"250 Ok" + b"x" * 5000, b"250\tOk", b"junk\r\n250 Ok", b"251-Ok\r\n250 Ok"])
def test_an_acceptance_in_bad_form_is_one(answer: bytes) -> None:
    assert result_of(say(sent(ALL), b"250 ok\r\n250 ok\r\n" + answer + b"\r\n"))[0].code == 250


@pytest.mark.parametrize("answer", [b"550 No" + b"x" * 5000, b"550\tNo", b"junk\r\n550 No", b"250-Ok\r\n550 No"])
def test_a_refusal_in_bad_form_is_one(answer: bytes) -> None:
    assert result_of(say(sent(ALL), b"250 ok\r\n250 ok\r\n" + answer + b"\r\n"))[0].code == 550


@pytest.mark.parametrize("greeting", [b"* OK IMAP4rev1\r\n", b"SSH-2.0-OpenSSH\r\n", b"+OK POP3\r\n", b"\r\n"])
def test_what_is_no_smtp_server_is_found_at_once(greeting: bytes) -> None:
    with pytest.raises(ProtocolError):
        say(SmtpClient(), greeting)


def test_a_greeting_with_two_codes_is_read() -> None:
    events = say(SmtpClient(), b"220-mx ESMTP\r\n521 5.7.1 client blocked\r\n")
    assert events == [Greeting(Reply(521, "5.7.1", ("mx ESMTP", "client blocked")))]


def test_replies_that_nobody_reads_take_no_memory() -> None:
    parser = ReplyParser()
    for _ in range(100):
        parser.feed(b"250-" + b"x" * 65_536)
    assert len(parser._buffer) <= 1_048_576
    assert parser.buffered
    with pytest.raises(ProtocolError):
        parser.next()


def test_a_line_without_end_takes_no_memory() -> None:
    parser = ReplyParser()
    parser.feed(b"220-")
    for _ in range(100):
        parser.feed(b"x" * 10_000)
        assert parser.next() is None
    assert len(parser._buffer) <= MAX_LINE
    parser.feed(b"\r\n220 y\r\n")
    reply = parser.next()
    assert reply
    assert [len(line) for line in reply.lines] == [MAX_LINE - 4, 1]
    assert not parser.buffered


@pytest.mark.parametrize("piece", [b"x" * 10_000, b"250-more\r\n" * 1000, b"250-" + b"x" * 5000 + b"\r\n"])
def test_a_reply_without_end_is_given_up(piece: bytes) -> None:
    parser = ReplyParser()
    parser.feed(b"250-")
    for _ in range(1000):
        if not parser.flooded:
            assert parser.next() is None
        parser.feed(piece)
    with pytest.raises(ProtocolError, match="more came"):
        parser.next()


def test_many_replies_that_were_asked_for_are_no_flood() -> None:
    parser = ReplyParser()
    for _ in range(200):
        parser.feed(b"250-" + b"x" * 8000 + b"\r\n250 ok\r\n")
        assert parser.next()
    assert not parser.flooded


# --- what is known ---------------------------------------------------------------------------------------------------


def test_who_gives_up_hears_what_is_known_so_far_once_and_always_the_same() -> None:
    client = ready(b"250-peer\r\n250 PIPELINING\r\n")
    assert client.heard
    client.send(message())
    assert not client.content_complete
    assert say(client, b"250 2.1.0 ok\r\n") == []
    known = client.give_up()
    assert known.result_so_far
    assert known.result_so_far.mail.code == 250
    assert client.give_up() is known
    assert client.next_event() is None
    assert not client.content_complete


def test_before_anything_came_nothing_was_heard() -> None:
    client = SmtpClient()
    assert not client.heard
    client.receive_data(b"2")
    assert client.heard
    assert not client.flooded
    assert client.give_up() == ConnectionLost()


# --- any split -------------------------------------------------------------------------------------------------------

STREAM = (
    b"220-mx\r\n220 ready\r\n250-peer\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 CHUNKING\r\n"
    b"250 2.1.0 ok\r\n250\tok\r\nnonsense\r\n250-" + b"x" * 5000 + b"\r\n451 4.3.0 later\r\n"
)


def begin(client: SmtpClient) -> None:
    """A message, though its answers may be there already: here they are the ones to it."""
    client._replies, waiting = ReplyParser(), client._replies
    client.send(message())
    client._replies = waiting


def events_of(pieces: list[bytes]) -> list[ClientEvent]:
    client = SmtpClient()
    events: list[ClientEvent] = []
    for piece in pieces:
        client.receive_data(piece)
        while (event := client.next_event()) is not None:
            events.append(event)
            if isinstance(event, Greeting):
                client.hello("client.example")
            elif isinstance(event, HelloDone):
                begin(client)
    return events


@given(st.lists(st.integers(1, len(STREAM) - 1), max_size=40))
def test_any_split_gives_the_same(cuts: list[int]) -> None:
    whole = events_of([STREAM])
    assert [type(event) for event in whole] == [Greeting, HelloDone, TransactionDone]
    assert events_of([STREAM[a:b] for a, b in pairwise([0, *sorted(cuts), len(STREAM)])]) == whole


def test_byte_by_byte_gives_the_same() -> None:
    assert events_of([STREAM[at : at + 1] for at in range(len(STREAM))]) == events_of([STREAM])
