"""Commands that show something, by administrators who may not see it: none goes past the operations."""

import pytest

from cli.program import ALICE, Program
from outgate.cli.status import Status


@pytest.mark.parametrize(
    "command",
    [
        ("log", "--follow"),
        ("log",),
        ("queue", "list"),
        ("audit", "list"),
        ("domain", "show", "example.com"),
        ("domain-gateway", "show"),
        ("user", "show", ALICE),
        ("explain", ALICE, ALICE, "carol@recipient.example"),
        ("sendas", "advise", ALICE, ALICE),
        ("secrets", "status"),
        ("secrets", "rotate"),
        ("secrets", "audit"),
        ("export", "users"),
    ],
    ids=" ".join,
)
def test_who_has_no_role_sees_nothing_of_others(program: Program, command: tuple[str, ...]) -> None:
    reason = program.fails(Status.NOT_ALLOWED, "--as", "bob@example.com", *command)
    assert "it needs the privilege" in reason
