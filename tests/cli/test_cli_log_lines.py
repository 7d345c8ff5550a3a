"""What is logged while a command works: on standard error, so that standard output is the command's own."""

import json
import subprocess
import sys

from cli.program import Program

# The command, whose operation logs as one of the server's rooms may.
LOGS = """
import structlog
from outgate.cli.program import main
from outgate.commands import user
from outgate.operations import user_operations

asked, log = user_operations.list_users, structlog.get_logger("oauth")

def logging(*arguments, **more):
    password = "hidden " + "in a local variable"
    log.info("tokens refreshed")
    log.warning("tokens refused", reason="a\x1b[31m")
    try:
        raise ValueError("in vain")
    except ValueError:
        log.exception("it has failed")
    return asked(*arguments, **more)

user_operations.list_users = logging
main()
"""


def test_a_command_s_log_lines_are_no_part_of_its_output(program: Program) -> None:
    command = ("--data", str(program.data), "--json", "user", "list")
    done = subprocess.run(
        (sys.executable, "-c", LOGS, *command), capture_output=True, text=True, check=True, timeout=60
    )
    assert {one["address"] for one in json.loads(done.stdout)} >= {"alice@example.com"}
    assert "tokens refused" in done.stderr
    assert "tokens refreshed" not in done.stderr
    assert "\x1b" not in done.stderr
    assert "ValueError: in vain" in done.stderr
    assert "hidden in a local variable" not in done.stderr
