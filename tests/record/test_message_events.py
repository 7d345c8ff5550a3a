"""Each event of a message has a row, a log line and a count, and one function decides all three."""

import json
from collections.abc import Callable, Sequence

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import Engine
from structlog.testing import capture_logs

from outgate.log_lines import for_people
from outgate.queue.queue_id import to_text
from outgate.record import events, message_log
from outgate.record.events import EventKind, MessageEvent, Passage, Weight
from outgate.record.publication import LINE_LENGTH, Publication
from outgate.store.engine import read, write

NOW = 1_800_000_000.0
ID = 12345
SERVER = "smtp.partner.example (alice)"
PASSAGE = Passage(ID, "alice@dominiopartner.example", "gateway:3", "user-gateway", SERVER)
LONG = "450 " + "x" * 790_000
Make = Callable[[str], MessageEvent]  # from a peer's reply


def _accepted(_: str = "") -> MessageEvent:
    return events.accepted(
        ID,
        NOW,
        account="alice@example.com",
        header_from=["alice@dominiopartner.example"],
        reverse_path="alice@dominiopartner.example",
        recipients=["carol@recipient.example", "bob@x.example"],
        size=1000,
        peer="192.0.2.1",
        protocol="ESMTPSA",
        rfc822_message_id="<1@client.example>",
    )


# For each kind: how it is made, its counter with its labels, and what its line must have.
KINDS: dict[EventKind, tuple[Make, str, dict[str, str], Sequence[str]]] = {
    EventKind.ACCEPTED: (_accepted, "outgate_messages_accepted_total", {}, ("sender", "recipient", "message_id")),
    EventKind.REFUSED: (
        lambda reply: events.refused(_accepted(), f"550 5.7.1 {reply}"),
        "outgate_messages_refused_total",
        {"status": "5.7"},
        ("sender", "recipient", "reply"),
    ),
    EventKind.ROUTED: (
        lambda _: events.routed(
            ID,
            NOW,
            recipients=["b@x.example"],
            way="direct",
            queue="gateway:3",
            queue_name=SERVER,
            reasons=["r"],
        ),
        "outgate_recipients_routed_total",
        {"route": "direct"},
        ("recipient", "queue", "reasons"),
    ),
    EventKind.ATTEMPT: (
        lambda reply: events.attempt(
            ID,
            NOW,
            way="direct",
            verdicts=["delivered", "retry"],
            peer="mx.x.example",
            tls="TLSv1.3",
            mail_from="",
            recipients=2,
            reply=reply,
            seconds=0.1,
        ),
        "outgate_attempts_total",
        {"route": "direct", "verdict": "mixed"},
        ("peer", "verdict", "reply"),
    ),
    EventKind.DELIVERED: (
        lambda reply: events.delivered(PASSAGE, NOW, recipient="b@x.example", by="mx", reply=reply, delay=0.2),
        "outgate_recipients_delivered_total",
        {"route": "user-gateway"},
        ("sender", "recipient", "queue", "reply"),
    ),
    EventKind.DEFERRED: (
        lambda reply: events.deferred(PASSAGE, NOW, recipient="b@x.example", reason=reply, next_attempt=NOW + 60),
        "outgate_recipients_deferred_total",
        {"route": "user-gateway"},
        ("sender", "recipient", "queue", "reply"),
    ),
    EventKind.BOUNCED: (
        lambda reply: events.bounced(PASSAGE, NOW, recipient="b@x.example", reason=reply, report=None),
        "outgate_recipients_bounced_total",
        {"route": "user-gateway"},
        ("sender", "recipient", "queue", "reply"),
    ),
    EventKind.JOURNALLED: (
        lambda _: events.journalled(ID, NOW, copy="0c8sm2v1r0003", to="archive@example.com"),
        "outgate_journal_copies_total",
        {},
        ("copy", "to"),
    ),
    EventKind.INSTRUCTED: (  # by a command or a page: nothing counts it
        lambda _: events.instructed(ID, NOW, recipient="b@x.example", what="held", by="admin@example.com"),
        "",
        {},
        ("recipient", "what", "by"),
    ),
}


@pytest.fixture
def publication() -> Publication:
    return Publication(to_text, Weight.STEP)


def _counted(name: str, labels: dict[str, str]) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


@pytest.mark.parametrize("kind", EventKind)
def test_an_event_of_each_kind_is_logged_and_counted_once(kind: EventKind, publication: Publication) -> None:
    make, counter, labels, fields = KINDS[kind]
    before = _counted(counter, labels)
    with capture_logs() as lines:
        publication([make("250 2.0.0 Ok")])
    (line,) = lines
    assert (line["event"], line["id"]) == (kind.value, to_text(ID))
    assert set(fields) <= line.keys()
    assert line.get("queue", SERVER) == SERVER
    assert _counted(counter, labels) == before + bool(counter)


@pytest.mark.parametrize("kind", EventKind)
def test_a_row_of_each_kind_says_the_same_when_it_is_read_back(kind: EventKind, engine: Engine) -> None:
    event = KINDS[kind][0]("250 2.0.0 Ok")
    with write(engine) as conn:
        message_log.add(conn, [event])
    with read(engine) as conn:
        assert message_log.history(conn, ID) == [event]


@pytest.mark.parametrize("kind", EventKind)
def test_a_reply_without_end_is_cut_in_row_and_line(kind: EventKind, publication: Publication) -> None:
    event = KINDS[kind][0](LONG)
    assert len(json.dumps(event.detail)) < 2 * events.REPLY_LENGTH
    with capture_logs() as lines:
        publication([event])
    assert all(len(value) <= LINE_LENGTH + 1 for value in lines[0].values() if isinstance(value, str))


def test_what_a_peer_says_is_printable_in_the_line(publication: Publication) -> None:
    with capture_logs() as lines:
        publication([events.deferred(PASSAGE, NOW, recipient="b@x.example", reason="450 \x1b[2Jx\n", next_attempt=NOW)])
    fields = {"timestamp": "", "level": lines[0].pop("log_level"), **lines[0]}
    assert 'reply="450 \\x1b[2Jx\\n"' in for_people(None, "info", fields)


@pytest.mark.parametrize(
    ("setting", "logged"), [("failures", ["refused"]), ("outcomes", ["delivered", "refused"]), ("all", None)]
)
def test_a_setting_says_how_much_is_logged_but_all_is_counted(setting: str, logged: list[str] | None) -> None:
    publication = Publication(to_text, Weight.of(setting))
    told = [KINDS[kind][0]("x") for kind in (EventKind.ACCEPTED, EventKind.DELIVERED, EventKind.REFUSED)]
    before = _counted("outgate_messages_accepted_total", {})
    with capture_logs() as lines:
        publication(told)
    assert [line["event"] for line in lines] == (logged or ["accepted", "delivered", "refused"])
    assert _counted("outgate_messages_accepted_total", {}) == before + 1


def test_subscribers_hear_of_what_was_committed_until_they_no_longer_want_to(publication: Publication) -> None:
    heard: list[Sequence[MessageEvent]] = []
    cancel = publication.subscribe(heard.append)
    event = _accepted()
    publication([event])
    cancel()
    publication([event])
    assert heard == [[event]]


def test_a_failing_subscriber_is_logged_once_counted_each_time_and_harms_nobody(publication: Publication) -> None:
    def fail(_: Sequence[MessageEvent]) -> None:
        raise RuntimeError("broken")

    heard: list[Sequence[MessageEvent]] = []
    publication.subscribe(fail)
    publication.subscribe(heard.append)
    before = _counted("outgate_publication_failures_total", {})
    with capture_logs() as lines:
        publication([])
        publication([])
    assert len(lines) == 1
    assert len(heard) == 2
    assert _counted("outgate_publication_failures_total", {}) == before + 2


def test_a_log_that_can_not_be_written_harms_nobody(publication: Publication, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def info(self, *_: object, **__: object) -> None:
            raise OSError("no space left on device")

    monkeypatch.setattr("outgate.record.publication._log", Full())
    before = _counted("outgate_publication_failures_total", {})
    publication([_accepted()])
    assert _counted("outgate_publication_failures_total", {}) == before + 1
