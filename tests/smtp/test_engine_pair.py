"""Client engine against server engine, in memory; and the client against a peer that breaks off anywhere."""

import base64
import hashlib
import hmac
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgate.smtp import (
    Addressee,
    AuthDone,
    BodyWanted,
    ClientEvent,
    ConnectionLost,
    HelloDone,
    KeyDerivation,
    Mail,
    MessageData,
    MessageEnded,
    MessageStarted,
    PasswordCredentials,
    PasswordOffered,
    ProtocolError,
    Rcpt,
    Reply,
    ScramProved,
    ScramStarted,
    ScramVerifier,
    ServerEvent,
    SmtpClient,
    SmtpServer,
    Tls,
    Transaction,
    TransactionDone,
)
from outgate.smtp.sasl import exchange

CONTENT = b"Subject: x\r\n\r\n.\r\n..\r\nlast line\r\n"


class Pair:
    """Both engines, and a wire that cuts what passes into pieces of `cut` bytes."""

    def __init__(self, cut: int, hidden: tuple[bytes, ...] = ()) -> None:
        self.client = SmtpClient()
        self.server = SmtpServer("server.example", max_size=100_000, tls=Tls.ACTIVE)
        self.cut, self.hidden = cut, hidden
        self.content = b""
        self.refused: set[str] = set()
        self.mail: Mail | None = None

    def run(self) -> list[ClientEvent]:
        """Pass bytes until both are silent; the client's events."""
        seen: list[ClientEvent] = []
        while True:
            before = len(seen)
            to_client = self.server.data_to_send()
            for offer in self.hidden:
                to_client = to_client.replace(offer, b"X-NOTHING")
            self._pass(to_client, self.client.receive_data, lambda: seen.extend(self._events()))
            to_server = self.client.data_to_send()
            self._pass(to_server, self.server.receive_data, self._serve)
            if not to_client and not to_server and len(seen) == before:
                return seen

    def _pass(self, data: bytes, receive: object, then: object) -> None:
        assert callable(receive)
        assert callable(then)
        for start in range(0, len(data), self.cut):
            receive(data[start : start + self.cut])
            then()

    def _events(self) -> Iterator[ClientEvent]:
        for event in _drain(self.client):
            if isinstance(event, KeyDerivation):
                self.client.derived(event.run())
            else:
                yield event

    def _serve(self) -> None:
        while (event := self.server.next_event()) is not None:
            self._answer(event)

    def _answer(self, event: ServerEvent) -> None:
        match event:
            case ScramStarted():
                self.server.scram(ScramVerifier.derive("secret", 4096))
            case PasswordOffered(_, _, password):
                self._judge(password == "secret")
            case Rcpt(address, _):
                self._judge(address not in self.refused)
            case Mail():
                self.mail = event
                self.server.accept()
            case MessageData(data):
                self.content += data
            case MessageStarted() | MessageEnded() | ScramProved():
                self.server.accept()
            case _:
                pass

    def _judge(self, good: bool) -> None:
        if good:
            self.server.accept()
        else:
            self.server.reject(Reply(550, "5.1.1", ("no",)))


def _drain(client: SmtpClient) -> list[ClientEvent]:
    found = []
    while (event := client.next_event()) is not None:
        found.append(event)
    return found


def _logged_in(cut: int, hidden: tuple[bytes, ...] = (), mechanism: str | None = None) -> Pair:
    pair = Pair(cut, hidden)
    pair.run()
    pair.client.hello("client.example")
    assert [type(event) for event in pair.run()] == [HelloDone]
    pair.client.auth(PasswordCredentials("alice", "secret"), mechanism)
    (done,) = pair.run()
    assert isinstance(done, AuthDone)
    assert done.reply.code == 235
    return pair


def _transaction(*recipients: str, content: bytes | None = CONTENT) -> Transaction:
    return Transaction("alice@a.example", [Addressee(one) for one in recipients], size=len(CONTENT), content=content)


OFFERS = [(), (b"CHUNKING",), (b"PIPELINING",), (b"CHUNKING", b"PIPELINING")]


@given(cut=st.integers(1, 400))
@pytest.mark.parametrize("hidden", OFFERS)
def test_a_message_passes_under_any_split_of_the_bytes(hidden: tuple[bytes, ...], cut: int) -> None:
    pair = _logged_in(cut, hidden, "PLAIN")
    pair.client.send(_transaction("bob@b.example", "carol@c.example"))
    (done,) = pair.run()
    assert isinstance(done, TransactionDone)
    assert [reply.code for reply in (done.result.mail, *done.result.recipients, *done.result.final)] == [250] * 4
    assert pair.content == CONTENT
    assert pair.client.idle


@pytest.mark.parametrize("hidden", OFFERS)
@pytest.mark.parametrize("pieces", [[CONTENT], [CONTENT[:20], CONTENT[20:]], [bytes([byte]) for byte in CONTENT]])
def test_content_in_pieces_arrives_as_it_was(hidden: tuple[bytes, ...], pieces: list[bytes]) -> None:
    pair = _logged_in(50, hidden, "PLAIN")
    pair.client.send(_transaction("bob@b.example", content=None))
    (wanted,) = pair.run()
    assert isinstance(wanted, BodyWanted)
    for number, piece in enumerate(pieces, 1):
        pair.client.send_body(piece, last=number == len(pieces))
    assert isinstance(pair.run()[-1], TransactionDone)
    assert pair.content == CONTENT


@pytest.mark.parametrize("hidden", OFFERS)
def test_when_nobody_is_accepted_nothing_counts_as_delivered_and_the_next_goes_through(
    hidden: tuple[bytes, ...],
) -> None:
    pair = _logged_in(1000, hidden, "PLAIN")
    pair.refused = {"nobody@b.example"}
    pair.client.send(_transaction("nobody@b.example"))
    (done,) = pair.run()
    assert isinstance(done, TransactionDone)
    assert done.result.recipients[0].code == 550
    assert not any(reply.code == 250 for reply in done.result.final)
    pair.client.send(_transaction("nobody@b.example", "bob@b.example"))
    (done,) = pair.run()
    assert isinstance(done, TransactionDone)
    assert [reply.code for reply in done.result.recipients] == [550, 250]
    assert pair.content.endswith(CONTENT)


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "PLAIN", "LOGIN"])
def test_every_mechanism_logs_in(mechanism: str) -> None:
    assert _logged_in(7, (), mechanism).server.authenticated


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "PLAIN", "LOGIN"])
def test_a_wrong_password_does_not(mechanism: str) -> None:
    pair = Pair(1000)
    pair.run()
    pair.client.hello("client.example")
    pair.run()
    pair.client.auth(PasswordCredentials("alice", "wrong"), mechanism)
    (done,) = pair.run()
    assert isinstance(done, AuthDone)
    assert done.reply.code // 100 == 5
    assert not pair.server.authenticated


def test_cram_md5_answers_as_in_rfc_2195() -> None:
    steps = exchange("CRAM-MD5", PasswordCredentials("tim", "tanstaaftanstaaf"))
    next(steps)
    challenge = b"<1896.697170952@postoffice.reston.mci.net>"
    assert steps.send(challenge) == b"tim b913a602c7eda7a495b4e6e7334d3890"


def test_the_verifier_is_that_of_rfc_7677() -> None:
    """The example of RFC 7677 section 3: password "pencil", its salt, 4096 rounds; the proof follows from the keys."""

    verifier = ScramVerifier.derive("pencil", 4096, base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ=="))
    auth_message = (
        b"n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
        b"s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
    )

    proof = base64.b64decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
    signature = hmac.digest(verifier.stored_key, auth_message, "sha256")
    client_key = bytes(a ^ b for a, b in zip(proof, signature, strict=True))
    assert hashlib.sha256(client_key).digest() == verifier.stored_key
    server_signature = hmac.digest(verifier.server_key, auth_message, "sha256")
    assert base64.b64encode(server_signature) == b"6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


REPLIES = b"250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n250 2.0.0 Ok: queued\r\n"


def _ready(offers: bytes) -> SmtpClient:
    client = SmtpClient()
    client.receive_data(b"220 hello\r\n")
    client.next_event()
    client.hello("client.example")
    client.receive_data(b"250-peer\r\n" + offers + b"250 OK\r\n")
    client.next_event()
    client.data_to_send()
    return client


@pytest.mark.parametrize("at", range(len(REPLIES)))
def test_a_connection_that_breaks_at_any_byte_is_a_loss_and_never_a_delivery(at: int) -> None:
    client = _ready(b"250-PIPELINING\r\n250-CHUNKING\r\n")
    client.send(_transaction("bob@b.example"))
    assert client.data_to_send().endswith(CONTENT)
    client.receive_data(REPLIES[:at])
    client.receive_eof()
    (lost,) = _drain(client)
    assert isinstance(lost, ConnectionLost)
    assert lost.content_complete


def test_the_loss_of_a_connection_before_the_content_says_so() -> None:
    client = _ready(b"250-PIPELINING\r\n")
    client.send(_transaction("bob@b.example"))
    client.data_to_send()
    client.receive_data(b"250 2.1.0 Ok\r\n421 4.3.2 going down\r\n")
    client.receive_eof()
    (lost,) = _drain(client)[-1:]
    assert isinstance(lost, ConnectionLost)
    assert not lost.content_complete
    assert lost.farewell == Reply(421, "4.3.2", ("going down",))


def test_all_of_a_small_message_leaves_in_one_write() -> None:
    client = _ready(b"250-PIPELINING\r\n250-CHUNKING\r\n")
    client.send(_transaction("bob@b.example"))
    size = len(CONTENT)
    assert client.data_to_send() == (
        b"MAIL FROM:<alice@a.example>\r\nRCPT TO:<bob@b.example>\r\nBDAT %d LAST\r\n" % size + CONTENT
    )


def test_lmtp_has_a_reply_for_each_recipient() -> None:
    client = SmtpClient(lmtp=True)
    client.receive_data(b"220 hello\r\n")
    client.next_event()
    client.hello("client.example")
    assert client.data_to_send() == b"LHLO client.example\r\n"
    client.receive_data(b"250-peer\r\n250 PIPELINING\r\n")
    client.next_event()
    client.send(_transaction("bob@b.example", "nobody@b.example", "carol@b.example"))
    client.receive_data(b"250 ok\r\n250 ok\r\n550 no\r\n250 ok\r\n354 go on\r\n250 bob has it\r\n452 carol is full\r\n")
    (done,) = _drain(client)
    assert isinstance(done, TransactionDone)
    assert [reply.code for reply in done.result.recipients] == [250, 550, 250]
    assert [reply.code for reply in done.result.final] == [250, 452]


@pytest.mark.parametrize("nonsense", [b"hello\r\n" * 101, b"99 x\r\n" * 200, b"250 ok\r\n354 ok\r\n", b"x" * 2_000_000])
def test_a_reply_that_is_none_is_a_protocol_error(nonsense: bytes) -> None:
    client = _ready(b"250-PIPELINING\r\n")
    client.send(_transaction("bob@b.example"))
    client.receive_data(nonsense)
    with pytest.raises(ProtocolError):
        _drain(client)
