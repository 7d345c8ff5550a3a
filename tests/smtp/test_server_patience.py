"""What the server engine takes though it is written badly, what it counts, and how many of those are too many."""

import pytest

from outgate.smtp import (
    Closed,
    Mail,
    MailParams,
    MessageAborted,
    PasswordOffered,
    Rcpt,
    RcptParams,
    Reply,
    ScramAbandoned,
    ScramFailed,
    ScramStarted,
    SessionLimits,
    SmtpServer,
    Tls,
)
from smtp.dialogue import VERIFIER, Desk, client_half, codes, greeted, server
from smtp.test_server_log_in import b64, challenge

MAIL = b"MAIL FROM:<alice@example.com>\r\n"
RCPT = b"RCPT TO:<bob@example.com>\r\n"


# --- tolerance -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", [b"EHLO ", b"HELO "])
@pytest.mark.parametrize(
    "name", ["Дмитрий-ПК".encode(), "Дмитрий-ПК".encode("cp1251"), b"PC de Jos\xe9", b"\xff", b"[192.0.2.1]"]
)
def test_a_computer_may_have_any_name(verb: bytes, name: bytes) -> None:
    services = Desk(server())
    assert codes(services.run(verb + name + b"\r\n" + MAIL)) == [220, 250, 250]


@pytest.mark.parametrize("name", [b"", b" ", b"a\tb", b"a\x7f", b"a" * 256])
def test_a_greeting_names_somebody(name: bytes) -> None:
    assert codes(Desk(server()).run(b"EHLO " + name + b"\r\nHELO " + name + b"\r\n")) == [220, 501, 501]


@pytest.mark.parametrize(
    ("written", "address", "size"),
    [
        (b"alice@example.com", "alice@example.com", None),
        (b" alice@example.com ", "alice@example.com", None),
        (b"alice+x@example.com SIZE=7", "alice+x@example.com", 7),
        (b"raid-controller@host", "raid-controller@host", None),
    ],
)
def test_angle_brackets_may_be_missing(written: bytes, address: str, size: int | None) -> None:
    services = greeted()
    assert codes(services.run(b"MAIL FROM:" + written + b"\r\nRCPT TO:bob@example.com NOTIFY=NEVER\r\n")) == [250, 250]
    assert services.heard == [Mail(address, MailParams(size)), Rcpt("bob@example.com", RcptParams("NEVER"))]


@pytest.mark.parametrize(
    "written",
    [b"", b"alice", b"alice@example.com>", b"<alice@example.com", b"a@b@c", b"a@b,c@d", b'"a b"@example.com',
     b"@one:a@b", b"Alice <a@b>", b"a@b c@d", b"a@b (Alice)"],
)  # fmt: skip
def test_missing_brackets_are_not_guessed_where_more_could_be_meant(written: bytes) -> None:
    assert codes(greeted().run(b"MAIL FROM:" + written + b"\r\n")) == [501]


def test_a_long_header_line_is_to_be_folded_not_encoded() -> None:
    for command, line, words in [
        (
            b"DATA\r\n",
            b"a: b\r\nReferences: " + b"x" * 998,
            b"Line 2 of the content is longer than 998 bytes; it is in",
        ),
        (b"DATA\r\n", b"x" * 999, b"Line 1 of the content is longer than 998 bytes; it is in the header: fold it"),
        (b"DATA\r\n", b"\r\n" + b"x" * 999, b"Line 2 of the content is longer than 998 bytes; encode it"),
        (b"DATA\r\n", b"a: b\r\n\r\n" + b"x" * 999, b"Line 3 of the content is longer than 998 bytes; encode it"),
    ]:
        data = line + b"\r\n\r\nbody\r\n.\r\n"
        for size in (1, 3, 10_000):
            services = greeted()
            services.run(MAIL + RCPT + command)
            services.run_pieces(data[start : start + size] for start in range(0, len(data), size))
            assert words in services.said


# --- what is counted -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [b"BDAT 0\r\n", b"BDAT 0 LAST\r\n", b"BDAT 2\r\nxx", RCPT, b"DATA\r\n", b"MAIL FROM:<a@b>\r\n", b"DATA x\r\n"],
)
@pytest.mark.parametrize("first", [b"", MAIL])
def test_before_log_in_every_refused_command_is_an_error(command: bytes, first: bytes) -> None:
    services = greeted(auth_required=True)
    said = codes(services.run(first + command * 30))
    assert said[-1] == 421
    assert len(said) == 11


@pytest.mark.parametrize(
    ("command", "first"),
    [
        (RCPT, b"MAIL FROM:<carol@b>\r\n"),
        (b"BDAT 0\r\n", b"MAIL FROM:<carol@b>\r\n"),
        (b"RCPT TO:<carol@b>\r\n", MAIL),
        (RCPT, MAIL + RCPT * 5),
        (b"DATA\r\n", MAIL + b"RCPT TO:<carol@b>\r\n"),
        (b"BDAT 0\r\n", MAIL + b"RCPT TO:<carol@b>\r\n"),
    ],
)
def test_what_a_client_pipelines_before_it_hears_of_a_refusal_has_an_end(command: bytes, first: bytes) -> None:
    limits = SessionLimits(max_recipients=5, max_idle_commands=20)
    services = greeted(limits=limits)
    said = codes(services.run(first + command * 20))
    assert 421 not in said
    said = codes(services.run(command * 70))
    assert said[-1] == 421
    assert services.engine.closing


@pytest.mark.parametrize("command", [b"BDAT 0\r\n", b"NOOP\r\n"])
def test_an_empty_chunk_is_an_idle_command(command: bytes) -> None:
    services = greeted(limits=SessionLimits(max_idle_commands=10))
    said = codes(services.run(MAIL + RCPT + b"BDAT 1\r\nx" + command * 30))
    assert said == [250] * (3 + 8) + [421]
    assert [type(event) for event in services.heard[-2:]] == [MessageAborted, Closed]


def test_a_long_list_of_refused_recipients_spares_the_message() -> None:
    services = greeted()
    said = codes(services.run(MAIL + b"RCPT TO:<carol@b>\r\n" * 900 + RCPT + b"BDAT 2 LAST\r\n\r\n"))
    assert said == [250] + [550] * 900 + [250, 250]


def test_chunks_behind_a_refused_one_are_no_errors() -> None:
    services = greeted()
    said = codes(services.run(MAIL + RCPT + b"BDAT 1\r\n\n" + b"BDAT 1\r\nx" * 50 + b"BDAT 0 LAST\r\n" + MAIL))
    assert said == [250, 250, 550] + [503] * 51 + [250]


def test_starttls_has_no_argument() -> None:
    assert codes(greeted(tls=Tls.AVAILABLE).run(b"STARTTLS now\r\n")) == [501]


def test_without_a_mechanism_no_log_in_is_offered() -> None:
    services = Desk(SmtpServer("mx.example.com", max_size=1000, tls=Tls.ACTIVE, mechanisms=()))
    assert b"AUTH" not in services.run(b"EHLO a\r\n")


# --- log-ins that came to nothing ------------------------------------------------------------------------------------

FIRST = b"AUTH SCRAM-SHA-256 " + b64(b"n,,n=alice,r=x") + b"\r\n"


@pytest.mark.parametrize("end", [b"*\r\n", b"!!!\r\n", b"a\rb\r\n", b"\0\r\n"])
def test_an_exchange_given_up_after_the_salt_is_told(end: bytes) -> None:
    services = greeted()
    services.run(FIRST + end)
    assert services.heard == [ScramStarted("alice"), ScramAbandoned("alice")]


def test_a_client_that_goes_away_after_the_salt_is_told() -> None:
    services = greeted()
    services.run(FIRST)
    services.engine.receive_eof()
    services.run()
    assert services.heard == [ScramStarted("alice"), ScramAbandoned("alice"), Closed()]


def test_who_has_shown_a_password_or_seen_no_salt_gave_nothing_up() -> None:
    for sent, heard in [
        (b"AUTH SCRAM-SHA-256\r\n*\r\n", []),
        (b"AUTH PLAIN\r\n*\r\n", []),
        (FIRST + b64(b"c=biws,r=x,p=AAAA") + b"\r\n", [ScramStarted("alice"), ScramFailed("alice")]),
    ]:
        services = greeted()
        services.run(sent)
        assert services.heard == heard
    services = greeted()
    steps = client_half("SCRAM-SHA-256", "alice", "pencil")
    said = services.run(b"AUTH SCRAM-SHA-256 " + b64(next(steps)) + b"\r\n")
    said = services.run(b64(steps.send(challenge(said))) + b"\r\n")
    services.run(b"*\r\n")
    assert services.heard == [ScramStarted("alice")]


def test_all_spellings_of_a_name_that_nobody_has_show_one_salt() -> None:
    salts = set()
    for spelling in ("nobody@example.com", "NOBODY@example.com", '"nobody"@Example.com'):
        engine = server()
        engine.receive_data(b"EHLO a\r\nAUTH SCRAM-SHA-256 " + b64(f"n,,n={spelling},r=x".encode()) + b"\r\n")
        assert engine.next_event() == ScramStarted(spelling)
        engine.data_to_send()
        engine.scram(None, "nobody@example.com")
        first = challenge(engine.data_to_send()).decode()
        salts.add(dict(part.split("=", 1) for part in first.split(","))["s"])
    assert len(salts) == 1


def test_questions_have_their_own_answers() -> None:
    engine = server()
    engine.receive_data(b"EHLO a\r\n" + FIRST)
    assert engine.next_event() == ScramStarted("alice")
    with pytest.raises(RuntimeError):
        engine.accept()
    engine = server()
    engine.receive_data(b"EHLO a\r\nAUTH PLAIN " + b64(b"\0alice\0pencil") + b"\r\n")
    assert engine.next_event() == PasswordOffered("PLAIN", "alice", "pencil")
    with pytest.raises(RuntimeError):
        engine.scram(VERIFIER)


def test_scram_may_be_refused_before_the_salt() -> None:
    engine = server()
    engine.receive_data(b"EHLO a\r\n" + FIRST)
    engine.next_event()
    engine.data_to_send()
    engine.reject(Reply(454, "4.7.0", ("Too many",)))
    assert codes(engine.data_to_send()) == [454]
    assert engine.next_event() is None
