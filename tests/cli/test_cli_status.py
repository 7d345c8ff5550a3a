"""`outgate status`: how it stands, with the server up and down; and queues by names that people can read."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import update

from cli.program import ALICE, PARTNER, Program
from outgate import clock
from outgate.accept.self_signed import VALID_DAYS, self_signed
from outgate.cli.status import Status
from outgate.directory.nodes import GoesBy
from outgate.installation import LOCK_FILE
from outgate.store.tables import recipient

DAY = 86400


@contextmanager
def _server(program: Program) -> Iterator[None]:
    """What of a running server shows."""
    with (program.data / LOCK_FILE).open("w") as lock, program.writing() as connection:
        fcntl.flock(lock, fcntl.LOCK_EX)
        GoesBy("mail.example.com#0;", 1, clock.now()).answer(connection)
        connection.commit()
        yield


def _gateway(program: Program) -> None:
    program.add_partner()
    program.run(
        *("sendas", "gateway", "set", ALICE, PARTNER, "--host", "smtp.dominiopartner.example", "--username", "alice"),
        *("--password-stdin", "--no-probe"),
        stdin="secret",
    )
    program.run("send", ALICE, "--from", PARTNER, "--to", "carol@recipient.example", "--text", "x")


def _end_of_certificate(program: Program, days: float) -> None:
    chain, _ = self_signed("mail.example.com", clock.now() - (VALID_DAYS - days - 1) * DAY)
    (program.data / "tls" / "cert.pem").write_bytes(chain)


def test_all_is_well_with_a_server_and_nothing_in_trouble(program: Program) -> None:
    with _server(program):
        found = program.run("status")
    assert (found["server"], found["waiting"], found["problems"]) == ("running", 0, [])
    assert [node["name"] for node in found["nodes"]] == ["mail.example.com#0"]
    assert found["version"]
    assert found["certificate_ends"] > "2030"


def test_it_works_without_a_server_and_says_so(program: Program) -> None:
    _gateway(program)
    found = program.run("status", status=Status.CHECK_FAILED)
    assert found["server"] == "not running"
    assert found["waiting"] == 2
    assert found["oldest"] > "2020"
    assert "outgate serve" in found["problems"][0]


def test_a_gateway_that_fails_is_named_by_host_and_user_with_what_it_said(program: Program) -> None:
    _gateway(program)
    with program.writing() as connection:
        tried = {"attempts": 3, "last_reply": "535 5.7.8 wrong", "due_at": clock.now() + 600}
        connection.execute(update(recipient).where(recipient.c.queue.startswith("gateway:")).values(tried))
        others = {"attempts": 3, "last_reply": "451 later", "due_at": clock.now() + 600}
        connection.execute(update(recipient).where(recipient.c.queue.startswith("mx:")).values(others))
    with _server(program):
        (problem,) = program.run("status", status=Status.CHECK_FAILED)["problems"]
        assert problem in program.says("status", status=Status.CHECK_FAILED)
    assert f"smtp.dominiopartner.example (alice), the gateway of {PARTNER} ({ALICE}), after 3 attempts" in problem
    assert "535 5.7.8 wrong" in problem


def test_a_node_that_had_to_break_something_off_is_a_problem_for_a_day(program: Program) -> None:
    for ago, times, problems in ((60, 1, 1), (DAY - 60, 3, 1), (DAY + 60, 3, 0)):
        with _server(program), program.writing() as connection:
            GoesBy("mail.example.com#0;", 1, clock.now(), (times, clock.now() - ago)).answer(connection)
            connection.commit()
            found = program.run("status", status=Status.CHECK_FAILED if problems else Status.OK)
        assert len(found["problems"]) == problems
        if problems:
            assert f"break off {'a task' if times == 1 else f'{times} tasks'}" in found["problems"][0]


@pytest.mark.parametrize(("days", "told"), [(-1, "has expired"), (3.5, "ends in 3 days"), (13.5, "ends in 13 days")])
def test_a_certificate_near_its_end_is_a_problem(program: Program, days: float, told: str) -> None:
    _end_of_certificate(program, days)
    with _server(program):
        (problem,) = program.run("status", status=Status.CHECK_FAILED)["problems"]
    assert told in problem


def test_a_certificate_with_time_left_is_none(program: Program) -> None:
    _end_of_certificate(program, 15)
    with _server(program):
        program.run("status")


def test_a_certificate_that_is_none_is_named(program: Program) -> None:
    (program.data / "tls" / "cert.pem").write_text("no certificate")
    with _server(program):
        (problem,) = program.run("status", status=Status.CHECK_FAILED)["problems"]
    assert "cert.pem can't be used" in problem


def test_queues_are_listed_by_host_and_user_and_selected_by_their_key(program: Program) -> None:
    _gateway(program)
    assert "smtp.dominiopartner.example (alice)" in program.says("queue", "list")
    assert "smtp.dominiopartner.example (alice)" in program.says("queue", "count")
    (identity,) = {row["id"] for row in program.run("queue", "list") if row["from"] == PARTNER}
    assert "smtp.dominiopartner.example (alice)" in program.says("queue", "show", identity)
    (key,) = [row["queue"] for row in program.run("queue", "count") if row["queue"].startswith("gateway:")]
    assert program.run("queue", "hold", "--queue", key) == {"recipients": 1}


def test_what_waits_of_a_user_is_found_by_the_users_address_whatever_it_is_sent_as(program: Program) -> None:
    _gateway(program)
    (waiting,) = [row for row in program.run("queue", "list", "--address", ALICE) if row["from"] == PARTNER]
    assert program.run("queue", "list", "--address", "bob@example.com") == []
    program.run("queue", "hold", "--address", ALICE)
    held = [row["id"] for row in program.run("queue", "list") if row["state"] == "held"]
    assert waiting["id"] in held


def test_the_story_of_a_message_and_what_was_sent_name_its_gateway(program: Program) -> None:
    _gateway(program)
    sent = ("send", ALICE, "--from", PARTNER, "--to", "carol@recipient.example", "--text", "x")
    assert "to carol@recipient.example by smtp.dominiopartner.example (alice)" in program.says(*sent)
    identity = program.run(*sent)["id"]
    (routed,) = [one for one in program.run("log", identity)["facts"] if one["kind"] == "routed"]
    assert routed["queue"].startswith("gateway:")
    assert routed["queue_name"] == "smtp.dominiopartner.example (alice)"
    story = program.says("log", identity)
    assert "queue         smtp.dominiopartner.example (alice)" in story
    assert "gateway:" not in story
    explained = program.says("explain", ALICE, PARTNER, "carol@recipient.example")
    assert "queue      smtp.dominiopartner.example (alice)" in explained


def test_ids_in_the_queue_are_whole_in_80_columns(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    _gateway(program)
    monkeypatch.setattr("outgate.cli.output._WIDE", 80)
    told = program.says("queue", "list")
    for row in program.run("queue", "list"):
        assert row["id"] in told
