"""explain, send, queue, log and serve by the command line."""

import json
import os
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import delete, update

from cli.program import ALICE, CAROL, PARTNER, Program
from outgate.cli.status import Status
from outgate.record.metrics import Snapshot
from outgate.store.tables import recipient

FAR = 9e9  # seconds since the epoch

# --- explain ---------------------------------------------------------------------------------------------------------


def test_explain_says_which_way_and_why(program: Program) -> None:
    program.add_partner()
    direct = program.run("explain", ALICE, ALICE.upper(), CAROL)
    assert (direct["allowed"], direct["way"], direct["queue"]) == (True, "direct", "mx:recipient.example")
    on_behalf = program.run("explain", ALICE, PARTNER, CAROL)
    assert (on_behalf["mail_from"], on_behalf["sender"]) == (ALICE, ALICE)
    assert program.run("explain", ALICE, ALICE, "bob@example.com")["way"] == "local"
    text = program.says("explain", ALICE, PARTNER, CAROL)
    assert all(f"- {reason}" in text for reason in on_behalf["reasons"])


def test_a_tag_takes_the_gateway_of_its_address_and_what_waits_is_decided_again_with_it(program: Program) -> None:
    program.add_partner()
    tagged = PARTNER.replace("@", "+shop@")
    program.run("send", ALICE, "--from", tagged, "--to", CAROL, "--text", "x")
    with program.writing() as connection:
        connection.execute(update(recipient).values(due_at=FAR))
    gateway = ("sendas", "gateway", "set", ALICE, PARTNER, "--host", "smtp.dominiopartner.example", "--no-probe")
    program.run(*gateway, "--username", "alice", "--password-stdin", stdin="secret")
    found = program.run("explain", ALICE, tagged, CAROL)
    assert (found["way"], found["mail_from"]) == ("user-gateway", tagged)
    assert found["reasons"][0] == f"{tagged} is a +tag of {PARTNER}"
    with program.reading() as connection:
        to_carol = connection.execute(recipient.select().where(recipient.c.address == CAROL)).one()
    assert to_carol.due_at < FAR
    program.run("policy", "set", "allowPlusTagsInFrom", "off")
    refused = program.run("explain", ALICE, tagged, CAROL, status=Status.NOT_ALLOWED)
    assert "allowPlusTagsInFrom is off (from unit /" in refused["reasons"][0]


def test_explain_of_what_would_be_refused_has_the_status_of_a_refusal(program: Program) -> None:
    refused = program.run("explain", ALICE, CAROL, CAROL, status=Status.NOT_ALLOWED)
    assert refused["allowed"] is False
    assert "is not an address of" in refused["reasons"][0]
    program.fails(Status.NOT_FOUND, "explain", CAROL, ALICE, CAROL)
    program.fails(Status.INVALID, "explain", ALICE, ALICE, "nowhere")


def test_explain_refuses_what_submission_refuses(program: Program) -> None:
    """A colleague without a mailbox, where mailboxes are Maildirs; elsewhere the server of the mailboxes knows."""
    refused = program.run("explain", ALICE, ALICE, "nobody@example.com", status=Status.NOT_ALLOWED)
    assert "no such mailbox here" in refused["reasons"][0]
    assert program.run("explain", ALICE, ALICE, "bob@example.com")["way"] == "local"
    text = (program.data / "outgate.toml").read_text().replace("[local]", "[local]\nmailbox = 'lmtp://localhost:24'")
    (program.data / "outgate.toml").write_text(text)
    assert program.run("explain", ALICE, ALICE, "nobody@example.com")["way"] == "local"


def test_explain_tells_the_state_of_the_gateway(program: Program) -> None:
    program.add_partner()
    gateway = ("sendas", "gateway", "set", ALICE, PARTNER, "--host", "smtp.dominiopartner.example", "--no-probe")
    program.run(*gateway, "--username", "alice", "--password-stdin", stdin="secret")
    assert program.run("explain", ALICE, PARTNER, CAROL)["cautions"] == []
    program.run("send", ALICE, "--from", PARTNER, "--to", CAROL, "--text", "x")
    with program.writing() as connection:
        tried = {"attempts": 2, "last_reply": "535 5.7.8 no"}
        connection.execute(update(recipient).where(recipient.c.queue.startswith("gateway:")).values(tried))
    assert "535 5.7.8 no" in program.run("explain", ALICE, PARTNER, CAROL)["cautions"][0]
    with program.writing() as connection:
        connection.execute(delete(recipient))
    program.run("user", "suspend", ALICE)
    program.run("user", "resume", ALICE)
    assert "erased" in program.says("explain", ALICE, PARTNER, CAROL)


# --- send ------------------------------------------------------------------------------------------------------------


def test_a_new_message_is_queued_with_its_route(program: Program) -> None:
    sent = program.run("send", ALICE, "--to", CAROL, "--subject", "Grüße", "--text", "Hello.")
    assert sent["recipients"] == {CAROL: "mx:recipient.example"}
    [content] = program.waiting()
    assert b"From: alice@example.com\r\n" in content
    assert content.endswith(b"Hello.\r\n")
    assert content.replace(b"\r\n", b"").count(b"\n") == 0


def test_the_text_may_come_from_standard_input_and_files_be_attached(program: Program) -> None:
    file = program.data.parent / "figures.pdf"
    file.write_bytes(b"%PDF-1.4")
    program.run("send", ALICE, "--to", CAROL, "--attach", str(file), stdin="Here they are.\n")
    [content] = program.waiting()
    assert b"Here they are." in content
    assert b"application/pdf" in content
    assert b'filename="figures.pdf"' in content


def test_without_from_the_default_address_is_used_with_its_name(program: Program) -> None:
    program.add_partner()
    program.run("sendas", "edit", ALICE, PARTNER, "--name", "Alice Partner", "--reply-to", CAROL)
    program.run("sendas", "default", ALICE, PARTNER)
    assert program.run("send", ALICE, "--to", CAROL, "--text", "x")["from"] == PARTNER
    assert b"From: Alice Partner <alice@dominiopartner.example>\r\n" in program.waiting()[-1]
    assert f"Reply-To: {CAROL}\r\n".encode() in program.waiting()[-1]


def test_a_whole_message_is_queued_byte_for_byte(program: Program) -> None:
    raw = b"From: alice@example.com\r\nSubject: x\r\n\r\n" + b"0123456789" * 70 + b"\r\n.\r\n" + b"line\r\n" * 100_000
    file = program.data.parent / "message.eml"
    file.write_bytes(raw)
    sent = program.run("send", ALICE, "--to", CAROL, "--to", "bob@example.com", "--message", str(file))
    assert program.waiting() == [raw]
    assert sent["recipients"] == {CAROL: "mx:recipient.example", "bob@example.com": "local"}


def test_unix_line_ends_of_a_file_become_those_of_the_wire(program: Program) -> None:
    text = "From: alice@example.com\nSubject: x\n\nHello."
    program.run("send", ALICE, "--to", CAROL, "--message", "-", stdin=text)
    assert program.waiting() == [b"From: alice@example.com\r\nSubject: x\r\n\r\nHello.\r\n"]


def test_what_a_submission_would_refuse_is_refused(program: Program) -> None:
    def sent(text: str, status: Status, *more: str) -> None:
        program.fails(status, "send", ALICE, "--to", CAROL, *more, stdin=text)

    sent("x", Status.NOT_ALLOWED, "--from", CAROL)
    program.run("sendas", "add", ALICE, PARTNER)
    sent("x", Status.NOT_ALLOWED, "--from", PARTNER)
    sent("Subject: no From\n\nx", Status.INVALID, "--message", "-")
    sent("From: alice@example.com\n\n" + "x" * 999, Status.INVALID, "--message", "-")
    sent("From: alice@example.com\n\nx\0", Status.INVALID, "--message", "-")
    sent("x", Status.USAGE, "--message", "-", "--subject", "x")
    program.fails(Status.INVALID, "send", ALICE, "--to", "nowhere", "--text", "x")
    program.fails(Status.NOT_FOUND, "send", ALICE, "--to", "nobody@example.com", "--text", "x")
    program.fails(Status.USAGE, "send", ALICE, "--text", "x")
    program.run("user", "suspend", ALICE)
    sent("x", Status.NOT_ALLOWED)
    assert len(program.waiting()) == 1, "the confirmation code alone"


@pytest.mark.parametrize("given", [("--subject", "a\nb"), ("--subject", "a\x1b[2Jb"), ("--text", "\udcff")])
def test_what_no_message_can_have_is_told_in_words(program: Program, given: tuple[str, str]) -> None:
    told = program.fails(Status.INVALID, "send", ALICE, "--to", CAROL, "--text", "x", *given)
    assert told.startswith(("the subject ", "the text "))
    assert program.waiting() == []


def test_a_daily_limit_holds_for_what_is_sent_here_as_well(program: Program) -> None:
    program.run("policy", "set", "messagesPerDay", "2")
    for _ in range(2):
        program.run("send", ALICE, "--to", CAROL, "--text", "x")
    over = program.fails(Status.NOT_ALLOWED, "send", ALICE, "--to", CAROL, "--text", "x")
    assert "limit of 2 messages a day is reached; try again after" in over
    assert len(program.waiting()) == 2
    program.run("send", "bob@example.com", "--to", CAROL, "--text", "x")


def test_a_refused_message_is_in_the_log_and_in_the_audit_trail(program: Program) -> None:
    program.run("policy", "set", "recipientsPerDay", "1")
    program.fails(Status.NOT_ALLOWED, "send", ALICE, "--to", CAROL, "--to", "bob@example.com", "--text", "x")
    [row] = program.run("log")
    [fact] = program.run("log", row["id"])["facts"]
    assert (fact["kind"], fact["account"]) == ("refused", ALICE)
    assert fact["refused"].startswith("550 5.5.3 The limit of 1 recipients a day is reached")
    audit = program.says("audit", "list", "--operation", "mail.send")
    assert "refused" in audit
    assert row["id"] in audit


def test_a_message_in_a_loop_or_to_too_many_is_refused_here_as_well(program: Program) -> None:
    loop = "Received: by a.example; Mon, 23 Nov 2026 10:00:00 +0000\n" * 51 + "From: alice@example.com\n\nx"
    text = program.fails(Status.INVALID, "send", ALICE, "--to", CAROL, "--message", "-", stdin=loop)
    assert "Too many Received lines" in text
    many = [word for n in range(1001) for word in ("--to", f"r{n}@recipient.example")]
    program.fails(Status.NOT_ALLOWED, "send", ALICE, *many, "--text", "x")
    assert program.waiting() == []


def test_an_address_given_twice_is_one_recipient(program: Program) -> None:
    program.run("policy", "set", "recipientsPerDay", "1")
    sent = program.run("send", ALICE, "--to", CAROL, "--to", CAROL.title(), "--text", "x")
    assert sent["recipients"] == {CAROL: "mx:recipient.example"}
    [row] = program.run("queue", "list")
    assert row["recipient"] == CAROL


# --- queue -----------------------------------------------------------------------------------------------------------


def test_what_waits_is_listed_counted_and_shown(program: Program) -> None:
    first = program.run("send", ALICE, "--to", CAROL, "--to", "bob@example.com", "--text", "x")["id"]
    program.run("send", "bob@example.com", "--to", CAROL, "--text", "x")
    assert len(program.run("queue", "list")) == 3
    assert len(program.run("queue", "list", "--address", "alice@")) == 2
    assert {row["recipient"] for row in program.run("queue", "list", "--queue", "mx:recipient.example")} == {CAROL}
    counts = {row["queue"]: (row["messages"], row["recipients"]) for row in program.run("queue", "count")}
    assert counts == {"mx:recipient.example": (2, 2), "local": (1, 1)}
    shown = program.run("queue", "show", first)
    assert [one["recipient"] for one in shown["recipients"]] == [CAROL, "bob@example.com"]
    for words in (("list",), ("count",), ("show", first)):
        assert "mx:recipient.example" in program.says("queue", *words)


def test_an_empty_queue_says_so(program: Program) -> None:
    assert program.run("queue", "list") == program.run("queue", "count") == []
    assert "nothing waits" in program.says("queue", "count")


def test_a_message_is_held_and_released(program: Program) -> None:
    identity = program.run("send", ALICE, "--to", CAROL, "--text", "x")["id"]
    assert program.run("queue", "hold", identity) == {"recipients": 1}
    assert program.run("queue", "list")[0]["state"] == "held"
    assert program.run("queue", "retry", "--all") == {"recipients": 0}
    assert program.run("queue", "release", "--address", "recipient.example") == {"recipients": 1}
    assert program.run("queue", "list")[0]["state"] == "waiting"
    assert program.run("queue", "retry", identity) == {"recipients": 1}


def test_what_was_said_of_a_message_is_in_its_history_with_who_said_it(program: Program) -> None:
    identity = program.run("send", ALICE, "--to", CAROL, "--text", "x")["id"]
    program.run("queue", "hold", identity)
    program.run("queue", "hold", identity)  # which it is already
    program.run("queue", "release", "--all")
    for way in ("direct", "usual"):
        program.run("queue", "move", identity, "--way", way)
    program.run("queue", "expire", "--address", "carol@")
    facts = program.run("queue", "show", identity)["facts"]
    assert [one["kind"] for one in facts[:2]] == ["accepted", "routed"]
    said = [(one["what"], one["recipient"]) for one in facts if one["kind"] == "instructed"]
    assert said == [(what, CAROL) for what in ("held", "released", "direct", "usual", "return")]
    (by,) = {one["by"] for one in facts[2:]}
    assert by in str(program.run("audit", "list")[0]["actor"])
    assert "instructed" in program.says("queue", "show", identity)


def test_a_deleted_message_is_gone_but_in_the_log(program: Program) -> None:
    gone = program.run("send", ALICE, "--to", CAROL, "--to", "bob@example.com", "--text", "x")["id"]
    stays = program.run("send", ALICE, "--to", CAROL, "--text", "x")["id"]
    assert program.run("queue", "delete", gone) == {"recipients": 2}
    assert [row["id"] for row in program.run("queue", "list")] == [stays]
    assert len(program.waiting()) == 1
    last = program.run("log", gone)["facts"][-1]
    assert (last["kind"], last["reason"]) == ("bounced", "deleted from the queue by the administrator")


def test_a_destination_has_a_schedule_of_its_own_that_each_message_there_names(program: Program) -> None:
    identity = program.run("send", ALICE, "--to", CAROL, "--text", "x")["id"]
    usual = program.run("queue", "schedules")
    assert (usual["ways"]["direct"]["retry_first"], usual["destinations"]) == (60, [])
    mine = ("recipient.example", "--first", "10m", "--warn-after", "never", "--give-up-after", "10d")
    program.fails(Status.INVALID, "queue", "schedule", *mine)
    told = program.says("queue", "schedule", *mine, "--reason", "they are moving", "--for", "14d")
    assert "first after 10m, nobody told, returned after 10d" in told
    shown = " ".join(program.says("queue", "show", identity).split())
    assert "tried again after 10m, then 3 times as long each time up to 4h; nobody is told;" in shown
    assert "they are moving" in shown
    shown = program.run("queue", "show", identity)["schedules"]["mx:recipient.example"]
    assert (shown["give_up_after"], shown["own"]["destination"]) == (864000, "recipient.example")
    assert "they are moving" in program.says("explain", ALICE, ALICE, CAROL)
    assert program.run("explain", ALICE, ALICE, "carol@other.example")["schedule"]["own"] is None
    assert "they are moving" in program.says("queue", "schedules")
    program.run("queue", "schedule", "recipient.example", "--none")
    program.fails(Status.NOT_FOUND, "queue", "schedule", "recipient.example", "--none")
    assert program.run("queue", "schedules") == usual


def test_errors_of_the_queue_have_their_statuses(program: Program) -> None:
    for verb in ("retry", "hold", "release", "delete"):
        program.fails(Status.NOT_FOUND, "queue", verb, "0c8sm2v1r0003")
        program.fails(Status.USAGE, "queue", verb)
        program.fails(Status.USAGE, "queue", verb, "--all", "--queue", "local")
    program.fails(Status.NOT_FOUND, "queue", "show", "0c8sm2v1r0003")
    program.fails(Status.INVALID, "queue", "show", "what")


# --- log -------------------------------------------------------------------------------------------------------------


def test_the_log_finds_messages(program: Program) -> None:
    first = program.run("send", ALICE, "--to", CAROL, "--text", "x")["id"]
    second = program.run("send", "bob@example.com", "--to", CAROL, "--text", "x")["id"]
    assert [row["id"] for row in program.run("log")] == [second, first]
    assert [row["id"] for row in program.run("log", "--address", "ALICE@example.com")] == [first]
    [row] = program.run("log", "--message-id", f"<{first}@mail.example.com>")
    assert (row["id"], row["account"], row["recipients"]) == (first, ALICE, [CAROL])
    assert program.run("log", "--until", row["at"]) == []
    assert len(program.run("log", "--since", row["at"])) == 2
    assert len(program.run("log", "--limit", "1")) == 1
    assert first in program.says("log")
    program.fails(Status.USAGE, "log", "--since", "yesterday")
    program.fails(Status.USAGE, "log", "--outcome", "lost")
    program.fails(Status.USAGE, "log", "--follow", "--from", ALICE)


def test_the_log_finds_messages_by_sender_recipient_and_outcome(program: Program) -> None:
    gone = program.run("send", ALICE, "--to", CAROL, "--text", "x")["id"]
    waits = program.run("send", "bob@example.com", "--to", ALICE, "--text", "x")["id"]
    program.run("queue", "delete", gone)
    assert [(row["id"], row["outcome"]) for row in program.run("log")] == [(waits, "waiting"), (gone, "bounced")]
    for arguments, found in (
        (("--from", ALICE), [gone]),
        (("--to", ALICE), [waits]),
        (("--to", "recipient.example"), [gone]),
        (("--from", "example.com"), [waits, gone]),
        (("--outcome", "bounced"), [gone]),
        (("--outcome", "delivered"), []),
    ):
        assert [row["id"] for row in program.run("log", *arguments)] == found, arguments


def test_ids_are_whole_on_a_narrow_terminal(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    identity = program.run("send", ALICE, "--to", "somebody.with.a.long.name@recipient.example", "--text", "x")["id"]
    monkeypatch.setattr("outgate.cli.output._WIDE", 80)
    text = program.says("log")
    assert identity in text
    assert all(len(line) <= 80 for line in text.splitlines())


def test_metrics_are_those_of_a_running_server(program: Program) -> None:
    assert "no server is running" in program.fails(Status.NOT_FOUND, "metrics")
    Snapshot(program.data / "metrics", 0).write()
    assert 'outgate_messages_accepted_total{process="0"}' in program.says("metrics")


def test_the_log_of_one_message_is_its_story_with_reasons(program: Program) -> None:
    identity = program.run("send", ALICE, "--to", CAROL, "--text", "x")["id"]
    events = program.run("log", identity)["facts"]
    assert [fact["kind"] for fact in events] == ["accepted", "routed"]
    text = program.says("log", identity.upper())
    assert all(reason in text for reason in events[1]["reasons"])
    program.fails(Status.NOT_FOUND, "log", "0c8sm2v1r0003")
    program.fails(Status.INVALID, "log", "what")


# --- the server, as a process ----------------------------------------------------------------------------------------


def _start(program: Program, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-u", "-m", "outgate", "--data", str(program.data), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={name: value for name, value in os.environ.items() if not name.startswith("OUTGATE_")},
    )


def test_a_running_server_delivers_what_is_sent_and_the_log_follows_it(program: Program) -> None:
    with _start(program, "serve") as server, _start(program, "log", "--follow", "--json") as log:
        assert log.stdout
        assert server.stderr
        try:
            assert "ready" in server.stderr.readline()
            taken = {program.run("send", ALICE, "--to", "bob@example.com", "--text", "x")["id"]}
            # What is sent before the log is open is not shown: so send until something is.
            while not select.select([log.stdout], [], [], 1)[0]:
                taken.add(program.run("send", ALICE, "--to", "bob@example.com", "--text", "x")["id"])
            while (fact := json.loads(log.stdout.readline()))["kind"] != "delivered":
                pass
            assert fact["id"] in taken
            assert fact["recipient"] == "bob@example.com"
            server.send_signal(signal.SIGTERM)
            assert server.wait(30) == 0
            log.send_signal(signal.SIGINT)
            assert log.wait(30) == 130
        finally:
            server.kill()
            log.kill()
    assert any(path.is_file() for path in (program.data / "mail").rglob("new/*"))


def test_a_port_that_is_taken_is_named_with_what_to_do(program: Program) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        file: Path = program.data / "outgate.toml"
        file.write_text(file.read_text().replace("starttls_port = 0", f"starttls_port = {port}"))
        with _start(program, "serve") as server:
            _, errors = server.communicate(timeout=30)
    assert server.returncode == Status.UNAVAILABLE
    assert errors.count("\n") == 1
    assert f"port {port}: another program listens there" in errors


def test_an_address_of_another_machine_is_named(program: Program) -> None:
    file = program.data / "outgate.toml"
    file.write_text(file.read_text().replace('"127.0.0.1"', '"192.0.2.1"'))
    assert "submission.address" in program.fails(Status.UNAVAILABLE, "serve")
