"""The client engine against peers that are old, slow to agree, hostile, or gone."""

from dataclasses import replace

import pytest

from outgate.smtp import (
    Addressee,
    AuthDone,
    AuthNotOffered,
    BodyWanted,
    ClientEvent,
    ConnectionLost,
    HelloDone,
    PasswordCredentials,
    ProtocolError,
    QuitDone,
    Reply,
    SenderDone,
    SmtpClient,
    StartTlsDone,
    TokenCredentials,
    Transaction,
    TransactionDone,
)

ALL = b"250-peer\r\n250-PIPELINING\r\n250-CHUNKING\r\n250-DSN\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 SIZE 1000\r\n"
PIPELINING = b"250-peer\r\n250 PIPELINING\r\n"
PLAIN = b"250 peer\r\n"
MAIL = b"MAIL FROM:<alice@example.com>\r\n"
RCPT = b"RCPT TO:<bob@dominiopartner.example>\r\n"


def ready(offers: bytes) -> SmtpClient:
    client = SmtpClient()
    say(client, b"220 peer\r\n")
    client.hello("client.example")
    client.data_to_send()
    assert isinstance(say(client, offers)[0], HelloDone)
    return client


def say(client: SmtpClient, data: bytes) -> list[ClientEvent]:
    """What the peer says, and what comes of it."""
    client.receive_data(data)
    events = []
    while (event := client.next_event()) is not None:
        events.append(event)
    return events


def transaction(content: bytes | None = b"x\r\n", *recipients: str) -> Transaction:
    addresses = recipients or ("bob@dominiopartner.example",)
    return Transaction("alice@example.com", [Addressee(address) for address in addresses], content=content)


def done(events: list[ClientEvent]) -> TransactionDone:
    (event,) = events
    assert isinstance(event, TransactionDone)
    return event


# --- greeting, EHLO, STARTTLS ----------------------------------------------------------------------------------------


def test_helo_is_the_way_back() -> None:
    client = SmtpClient()
    say(client, b"220 old\r\n")
    client.hello("client.example")
    assert client.data_to_send() == b"EHLO client.example\r\n"
    assert say(client, b"502 5.5.2 unknown\r\n") == []
    assert client.data_to_send() == b"HELO client.example\r\n"
    assert say(client, b"250 old\r\n") == [HelloDone(Reply(250, "", ("old",)))]
    assert not client.capabilities.pipelining
    assert client.idle


def test_capabilities_are_read() -> None:
    client = ready(
        b"250-peer\r\n250-size 1000\r\n250-ENHANCEDSTATUSCODES\r\n250-AUTH=LOGIN\r\n250 AUTH PLAIN XOAUTH2\r\n"
    )
    assert client.capabilities.size == 1000
    assert client.capabilities.auth == {"LOGIN", "PLAIN", "XOAUTH2"}
    assert not client.capabilities.chunking
    everything = ready(ALL.replace(b"250-peer", b"250-peer\r\n250-STARTTLS")).capabilities
    assert everything.starttls
    assert everything.eight_bit
    assert everything.smtputf8
    assert ready(b"250-peer\r\n250 SIZE\r\n").capabilities.size is None


def test_a_reply_in_the_clear_behind_starttls_is_an_attack() -> None:
    client = ready(b"250-peer\r\n250 STARTTLS\r\n")
    client.starttls()
    with pytest.raises(ProtocolError):
        say(client, b"220 go\r\n250-evil\r\n250 AUTH PLAIN\r\n")


def test_a_reply_in_the_clear_before_the_handshake_is_an_attack() -> None:
    client = ready(b"250-peer\r\n250 STARTTLS\r\n")
    client.starttls()
    assert isinstance(say(client, b"220 go\r\n")[0], StartTlsDone)
    client.receive_data(b"250-evil\r\n250 AUTH PLAIN\r\n")
    client.tls_established()
    assert not client.idle
    with pytest.raises(ProtocolError):
        client.next_event()


def test_what_was_offered_in_the_clear_is_forgotten() -> None:
    client = ready(b"250-peer\r\n250-AUTH PLAIN\r\n250 STARTTLS\r\n")
    client.starttls()
    say(client, b"220 go\r\n")
    client.tls_established()
    with pytest.raises(AuthNotOffered):
        client.auth(PasswordCredentials("alice", "secret"))


# --- log-in ----------------------------------------------------------------------------------------------------------


def test_a_yes_without_proof_is_not_a_log_in() -> None:
    client = ready(b"250-peer\r\n250 AUTH SCRAM-SHA-256\r\n")
    client.auth(PasswordCredentials("alice", "secret"))
    with pytest.raises(ProtocolError):
        say(client, b"235 2.7.0 welcome\r\n")


@pytest.mark.parametrize("challenge", [b"!!!", b"cj0x", b"cj14LHM9eCxpPTE=", b"/w=="])
def test_a_challenge_that_can_not_be_right_ends_the_exchange(challenge: bytes) -> None:
    client = ready(b"250-peer\r\n250 AUTH SCRAM-SHA-256\r\n")
    client.auth(PasswordCredentials("alice", "secret"))
    client.data_to_send()
    assert say(client, b"334 " + challenge + b"\r\n") == []
    assert client.data_to_send() == b"*\r\n"
    assert say(client, b"501 cancelled\r\n") == [AuthDone(Reply(501, "", ("cancelled",)))]


def test_the_best_mechanism_is_taken() -> None:
    client = ready(b"250-peer\r\n250 AUTH LOGIN PLAIN XOAUTH2\r\n")
    client.auth(PasswordCredentials("alice", "secret"))
    assert client.data_to_send() == b"AUTH PLAIN AGFsaWNlAHNlY3JldA==\r\n"


def test_a_token_goes_by_xoauth2_and_a_failure_is_acknowledged() -> None:
    client = ready(b"250-peer\r\n250 AUTH PLAIN XOAUTH2\r\n")
    client.auth(TokenCredentials("alice", "token"))
    assert client.data_to_send() == b"AUTH XOAUTH2 dXNlcj1hbGljZQFhdXRoPUJlYXJlciB0b2tlbgEB\r\n"
    say(client, b"334 eyJzdGF0dXMiOiI0MDAifQ==\r\n")
    assert client.data_to_send() == b"\r\n"
    assert say(client, b"535 5.7.8 no\r\n") == [AuthDone(Reply(535, "5.7.8", ("no",)))]


def test_a_mechanism_that_is_not_offered_is_not_used() -> None:
    client = ready(b"250-peer\r\n250 AUTH LOGIN\r\n")
    with pytest.raises(AuthNotOffered):
        client.auth(PasswordCredentials("alice", "secret"), "PLAIN")
    with pytest.raises(AuthNotOffered):
        client.auth(TokenCredentials("alice", "token"))
    assert client.data_to_send() == b""


# --- transactions ----------------------------------------------------------------------------------------------------


def test_without_pipelining_one_command_waits_for_the_other() -> None:
    client = ready(PLAIN)
    client.send(transaction(b".x", "bob@dominiopartner.example", "carol@dominiopartner.example"))
    assert client.data_to_send() == MAIL
    say(client, b"250 ok\r\n")
    assert client.data_to_send() == RCPT
    say(client, b"250 ok\r\n")
    assert client.data_to_send() == b"RCPT TO:<carol@dominiopartner.example>\r\n"
    say(client, b"550 no\r\n")
    assert client.data_to_send() == b"DATA\r\n"
    say(client, b"354 go on\r\n")
    assert client.data_to_send() == b"..x\r\n.\r\n"
    result = done(say(client, b"250 queued\r\n")).result
    assert [reply.code for reply in result.recipients] == [250, 550]
    assert [reply.code for reply in result.final] == [250]


def test_parameters_are_sent_only_to_a_peer_that_offers_them() -> None:
    whole = Transaction(
        "alice@example.com",
        [Addressee("bob@dominiopartner.example", "NEVER", "rfc822;b+2B@x")],
        size=3,
        eight_bit=True,
        smtputf8=True,
        envid="id",
        ret="HDRS",
        content=b"x\r\n",
    )
    client = ready(ALL)
    client.send(whole)
    assert client.data_to_send() == (
        b"MAIL FROM:<alice@example.com> SIZE=3 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=id\r\n"
        b"RCPT TO:<bob@dominiopartner.example> NOTIFY=NEVER ORCPT=rfc822;b+2B@x\r\nBDAT 3 LAST\r\nx\r\n"
    )
    client = ready(PIPELINING)
    client.send(whole)
    assert client.data_to_send() == MAIL + RCPT + b"DATA\r\n"


@pytest.mark.parametrize("address", ["a@b>\r\nRCPT TO:<c@d", "a@b\n", "a\0@b"])
def test_an_address_can_not_bring_commands(address: str) -> None:
    client = ready(ALL)
    with pytest.raises(ValueError, match="control characters"):
        client.send(transaction(b"x", "bob@dominiopartner.example", address))
    assert client.data_to_send() == b""
    assert client.idle


def test_a_transaction_needs_a_recipient() -> None:
    with pytest.raises(ValueError, match="recipient"):
        ready(ALL).send(Transaction("alice@example.com", []))


def test_354_without_recipients_is_ended_by_a_dot_alone() -> None:
    client = ready(PIPELINING)
    client.send(transaction())
    client.data_to_send()
    say(client, b"250 ok\r\n550 no\r\n354 go on\r\n")
    assert client.data_to_send() == b".\r\n"
    result = done(say(client, b"250 queued\r\n")).result
    assert result.final == ()
    assert result.recipients[0].code == 550


def test_250_to_a_chunk_that_nobody_gets_is_not_a_delivery() -> None:
    client = ready(ALL)
    client.send(transaction())
    assert done(say(client, b"250 ok\r\n550 no\r\n250 ok\r\n")).result.final == ()
    client.send(transaction())
    assert client.data_to_send().endswith(b"RSET\r\n" + MAIL + RCPT + b"BDAT 3 LAST\r\nx\r\n")


def test_after_a_failure_rset_comes_first_in_the_same_write() -> None:
    client = ready(PIPELINING)
    client.send(transaction())
    client.data_to_send()
    assert done(say(client, b"550 no\r\n503 no\r\n503 no\r\n")).result.mail.code == 550
    client.send(transaction())
    assert client.data_to_send() == b"RSET\r\n" + MAIL + RCPT + b"DATA\r\n"
    say(client, b"250 ok\r\n250 ok\r\n250 ok\r\n354 go on\r\n")
    assert client.data_to_send() == b"x\r\n.\r\n"
    done(say(client, b"250 ok\r\n"))
    client.send(transaction())
    assert client.data_to_send() == MAIL + RCPT + b"DATA\r\n"


def test_a_refused_data_is_the_last_word() -> None:
    client = ready(PIPELINING)
    client.send(transaction())
    assert done(say(client, b"250 ok\r\n250 ok\r\n451 4.3.0 later\r\n")).result.final == (
        Reply(451, "4.3.0", ("later",)),
    )


def test_pieces_go_without_waiting_for_their_replies() -> None:
    client = ready(ALL)
    client.send(transaction(None))
    assert say(client, b"250 ok\r\n250 ok\r\n") == [BodyWanted()]
    client.data_to_send()
    client.send_body(b"ab", last=False)
    client.send_body(b"", last=False)
    client.send_body(b"c", last=True)
    assert client.data_to_send() == b"BDAT 2\r\nabBDAT 1 LAST\r\nc"
    assert done(say(client, b"250 2 octets\r\n250 queued\r\n")).result.final == (Reply(250, "", ("queued",)),)


def test_a_refused_piece_ends_the_transaction() -> None:
    client = ready(ALL)
    client.send(transaction(None))
    say(client, b"250 ok\r\n250 ok\r\n")
    client.send_body(b"a", last=False)
    assert done(say(client, b"552 5.3.4 large\r\n")).result.final == (Reply(552, "5.3.4", ("large",)),)
    client.data_to_send()
    client.send_body(b"b", last=True)
    assert client.data_to_send() == b""
    assert client.idle


def test_a_refusal_in_the_middle_of_data_counts_and_ends_the_connection() -> None:
    client = ready(PIPELINING)
    client.send(transaction(None))
    say(client, b"250 ok\r\n250 ok\r\n")
    assert say(client, b"354 go on\r\n") == [BodyWanted()]
    client.send_body(b"x", last=False)
    client.receive_data(b"552 5.3.4 large\r\n")
    event = client.next_event()
    assert isinstance(event, TransactionDone)
    assert event.result.final[0].code == 552
    assert not client.idle
    with pytest.raises(ProtocolError):
        client.next_event()


def test_an_acceptance_before_the_end_is_not_one() -> None:
    client = ready(PIPELINING)
    client.send(transaction(None))
    say(client, b"250 ok\r\n250 ok\r\n354 go on\r\n")
    client.send_body(b"x", last=False)
    with pytest.raises(ProtocolError):
        say(client, b"250 queued\r\n")


# --- ends ------------------------------------------------------------------------------------------------------------


def test_a_farewell_to_an_idle_client_is_told() -> None:
    client = ready(ALL)
    client.receive_data(b"421 4.3.2 stopping\r\n")
    assert not client.idle
    farewell = Reply(421, "4.3.2", ("stopping",))
    assert client.next_event() == ConnectionLost(None, content_complete=False, farewell=farewell)
    assert client.next_event() is None


@pytest.mark.parametrize(
    ("replies", "complete"),
    [
        (b"", True),
        (b"250 ok\r\n", True),
        (b"250 ok\r\n250 ok\r\n", True),
        (b"550 no\r\n", False),
        (b"250 ok\r\n550 no\r\n", False),
        (b"250 ok\r\n421 stopping\r\n", False),
    ],
)
def test_a_loss_says_whether_the_message_may_have_been_taken(replies: bytes, complete: bool) -> None:
    client = ready(ALL)
    client.send(transaction())
    client.data_to_send()
    client.receive_data(replies)
    client.receive_eof()
    lost = client.next_event()
    assert isinstance(lost, ConnectionLost)
    assert lost.content_complete is complete
    assert (lost.farewell is not None) is (b"421" in replies)
    assert (lost.result_so_far is not None) is bool(replies)


def test_quit_is_answered() -> None:
    client = ready(ALL)
    client.quit()
    assert client.data_to_send() == b"QUIT\r\n"
    assert say(client, b"221 bye\r\n") == [QuitDone(Reply(221, "", ("bye",)))]


def test_a_sender_is_tried_and_nothing_is_left_of_it() -> None:
    client = ready(PIPELINING)
    client.try_sender("alice@example.com")
    assert client.data_to_send() == MAIL
    assert say(client, b"250 2.1.0 Ok\r\n") == []
    assert client.data_to_send() == b"RSET\r\n"
    assert say(client, b"250 2.0.0 Ok\r\n") == [SenderDone(Reply(250, "2.1.0", ("Ok",)))]
    client.try_sender("josé@example.com")
    assert client.data_to_send() == "MAIL FROM:<josé@example.com> SMTPUTF8\r\n".encode()
    assert say(client, b"553 5.7.1 not yours\r\n") == [SenderDone(Reply(553, "5.7.1", ("not yours",)))]
    assert client.data_to_send() == b""
    assert client.idle


def test_a_transaction_waits_for_the_one_before() -> None:
    client = ready(ALL)
    client.send(transaction())
    with pytest.raises(RuntimeError):
        client.send(transaction())


@pytest.mark.parametrize("offered", [True, False])
def test_requiretls_is_asked_of_a_peer_that_offers_it(offered: bool) -> None:
    client = ready(b"250-peer\r\n250 REQUIRETLS\r\n" if offered else PLAIN)
    assert client.capabilities.require_tls is offered
    client.send(replace(transaction(), require_tls=True))
    assert (b" REQUIRETLS" in client.data_to_send()) is offered
