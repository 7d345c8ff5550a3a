"""Every specimen from the client engine to the server engine in memory, by DATA and by BDAT, cut at random places."""

from collections.abc import Iterator

import pytest

from corpus.compare import NOTHING, differences
from corpus.messages import NAMES, Specimen, build, faults
from corpus.specimen import seeded
from outgate.smtp import (
    Addressee,
    BodyWanted,
    ClientEvent,
    Greeting,
    HelloDone,
    Mail,
    MessageData,
    MessageEnded,
    MessageStarted,
    Rcpt,
    ServerEvent,
    SessionLimits,
    SmtpClient,
    SmtpServer,
    Tls,
    Transaction,
    TransactionDone,
)

ALICE = "alice@dominiopartner.example"


class Receiver:
    """Answers the server engine's questions and keeps what came."""

    def __init__(self) -> None:
        self.engine = SmtpServer(
            "mx.example",
            max_size=40_000_000,
            tls=Tls.ACTIVE,
            limits=SessionLimits(max_recipients=200, max_line=998),
            auth_required=False,
        )
        self.mail: Mail | None = None
        self.recipients: list[str] = []
        self.pieces: list[bytes] = []
        self.ended: MessageEnded | None = None

    def handle(self, event: ServerEvent) -> None:
        match event:
            case MessageData(data):
                self.pieces.append(bytes(data))
                return
            case Mail():
                self.mail = event
            case Rcpt():
                self.recipients.append(event.address)
            case MessageEnded():
                self.ended = event
            case MessageStarted():
                pass
            case _:
                raise AssertionError(f"unexpected {event}")
        self.engine.accept()


class Sender:
    """Takes the client engine from the greeting to the end of one transaction."""

    def __init__(self, specimen: Specimen, *, streamed: bool) -> None:
        self.engine = SmtpClient()
        self.done: TransactionDone | None = None
        self._specimen, self._streamed = specimen, streamed

    def handle(self, event: ClientEvent) -> None:
        match event:
            case Greeting():
                self.engine.hello("client.example")
            case HelloDone():
                self.engine.send(self._transaction())
            case BodyWanted():
                self._send_body()
            case TransactionDone():
                self.done = event
            case _:
                raise AssertionError(f"unexpected {event}")

    def _transaction(self) -> Transaction:
        specimen = self._specimen
        return Transaction(
            ALICE,
            [Addressee(address) for address in specimen.recipients],
            size=len(specimen.raw),
            eight_bit=specimen.eight_bit,
            smtputf8=specimen.smtputf8,
            content=None if self._streamed else specimen.raw,
        )

    def _send_body(self) -> None:
        pieces = list(_cut(self._specimen.raw, f"body {self._specimen.name}", small=False)) or [b""]
        for piece in pieces[:-1]:
            self.engine.send_body(piece, last=False)
        self.engine.send_body(pieces[-1], last=True)


def _cut(data: bytes, seed: str, *, small: bool) -> Iterator[bytes]:
    """Pieces of random length; with `small`, of a few bytes only if there are few enough of them."""
    draw = seeded(seed)
    longest = 9 if small and len(data) < 20_000 else 3000 if len(data) < 1_000_000 else 200_000
    start = 0
    while start < len(data):
        size = draw.randrange(1, longest)
        yield data[start : start + size]
        start += size


def _exchange(specimen: Specimen, *, bdat: bool, streamed: bool) -> Receiver:
    """Let the two engines talk until neither has anything to say."""
    sender, receiver = Sender(specimen, streamed=streamed), Receiver()
    rounds = 0
    while to_client := receiver.engine.data_to_send():
        if not bdat:
            to_client = to_client.replace(b"250-CHUNKING\r\n", b"").replace(b"250 CHUNKING\r\n", b"250 HELP\r\n")
        for piece in _cut(to_client, f"{specimen.name} replies {rounds}", small=True):
            sender.engine.receive_data(piece)
            while client_event := sender.engine.next_event():
                sender.handle(client_event)
        for piece in _cut(sender.engine.data_to_send(), f"{specimen.name} {rounds}", small=True):
            receiver.engine.receive_data(piece)
            while event := receiver.engine.next_event():
                receiver.handle(event)
        rounds += 1
    assert sender.done, "the transaction did not end"
    return receiver


@pytest.mark.parametrize(("bdat", "streamed"), [(True, True), (True, False), (False, True), (False, False)])
@pytest.mark.parametrize("name", NAMES)
def test_a_message_passes_both_engines_unchanged(name: str, *, bdat: bool, streamed: bool) -> None:
    specimen = build(name, ALICE)
    receiver = _exchange(specimen, bdat=bdat, streamed=streamed)
    content = b"".join(receiver.pieces)
    assert differences(specimen.raw, content, NOTHING if bdat else NOTHING.by_data()) == []
    assert faults(specimen, content) == []
    assert receiver.recipients == specimen.recipients
    assert receiver.mail
    assert receiver.mail.reverse_path == ALICE
    assert receiver.mail.params.smtputf8 is specimen.smtputf8
    assert receiver.ended
    assert receiver.ended.size == len(content)
    assert receiver.ended.eight_bit is specimen.eight_bit
