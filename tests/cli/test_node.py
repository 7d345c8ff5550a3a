"""`outgate node`: draining a server and undoing it, by this data directory's or by id."""

from types import SimpleNamespace

import pytest
from sqlalchemy import insert

from cli.program import Program
from outgate import clock
from outgate.cli.status import Status
from outgate.commands import node
from outgate.directory import nodes
from outgate.directory.nodes import GoesBy
from outgate.node_id import node_id
from outgate.store.tables import recipient


def test_a_node_is_drained_listed_and_resumed(program: Program) -> None:
    own = node_id(program.data)
    assert program.run("node", "list") == []
    assert program.run("node", "drain", "--wait") == {"node": own, "recipients": 0}
    assert "drained, empty" in program.says("node", "list")
    (row,) = program.run("node", "list")
    assert (row["node"], row["processes"], row["state"]) == (own, [], "drained, empty")
    assert row["drained_by"]
    assert f"outgate node resume {own}" in program.says("status", status=Status.CHECK_FAILED)
    assert program.run("node", "resume", own) == {"node": own}
    program.fails(Status.NOT_FOUND, "node", "resume")
    assert program.run("node", "list") == []


def test_a_node_that_there_is_not_is_named_with_those_there_are(program: Program) -> None:
    with program.writing() as connection:
        GoesBy("0123456789abcdef@mail2.example.com#0;", 2**60, clock.now()).answer(connection)
        connection.commit()
    assert "0123456789abcdef" in program.fails(Status.INVALID, "node", "drain", "mail2.example.com")
    assert program.run("node", "drain", "0123456789abcdef")["node"] == "0123456789abcdef"
    (row,) = program.run("node", "list")
    assert row["processes"] == ["mail2.example.com#0"]


@pytest.mark.parametrize("runs", [True, False])
def test_waiting_ends_with_an_error_when_somebody_lets_the_node_go_on(
    program: Program, monkeypatch: pytest.MonkeyPatch, runs: bool
) -> None:
    """Whether its processes are still there or not: it would wait for ever."""
    own = node_id(program.data)
    worker = f"{own}@mail.example.com#0;"
    with program.writing() as connection:
        if runs:
            GoesBy(worker, 2**60, clock.now()).answer(connection)
        held = {"leased_until": 2.0**60, "leased_by": worker, "due_at": 0.0, "queue": "mx:recipient.example"}
        connection.execute(insert(recipient).values(message_id=1, number=0, address="carol@recipient.example", **held))
        connection.commit()
    looks = list[float]()

    def resume_meanwhile(seconds: float) -> None:
        looks.append(seconds)
        assert len(looks) == 1, "it waits on"
        with program.writing() as connection:
            assert nodes.resume(connection, own)
            connection.commit()

    monkeypatch.setattr(node, "time", SimpleNamespace(sleep=resume_meanwhile))
    assert "is not drained any more" in program.fails(Status.INVALID, "node", "drain", "--wait")
    assert len(looks) == 1
