"""Commands are loaded when they are called: help is quick, and says what the commands themselves say."""

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from typer.core import TyperCommand, TyperGroup
from typer.testing import CliRunner

from outgate.cli.lazy_command import LazyCommand
from outgate.cli.program import COMMANDS, app
from outgate.cli.status import Status

ROUNDS = 15
AT_MOST = 8  # times what Python itself takes to start
HELP = (str(Path(sys.executable).with_name("outgate")), "--help")
NOTHING = (sys.executable, "-c", "pass")


def _all(commands: Sequence[LazyCommand]) -> Iterator[LazyCommand]:
    for command in commands:
        yield command
        yield from _all(command.more)


def _loaded_by(*arguments: str) -> set[str]:
    """The modules that the program has when it has run with these arguments."""
    program = (
        "import contextlib, io, sys\n"
        "with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):\n"
        f"    sys.argv = {['outgate', *arguments]}\n"
        "    from outgate.cli.program import main\n"
        "    main()\n"
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def _commands_among(modules: set[str]) -> set[str]:
    return {name for name in modules if name.startswith("outgate.commands.")}


@pytest.mark.parametrize("command", list(_all(COMMANDS)), ids=lambda command: command.name)
def test_the_line_of_help_is_what_the_command_itself_says(command: LazyCommand) -> None:
    loaded = command.load()
    assert isinstance(loaded, TyperCommand | TyperGroup)
    assert command.short_help == " ".join((loaded.help or "").partition("\n\n")[0].split())


def test_help_loads_no_command_and_nothing_heavy() -> None:
    loaded = _loaded_by("--help")
    assert "outgate.cli.program" in loaded
    assert not _commands_among(loaded)
    assert not {"sqlalchemy", "pydantic", "rich", "cryptography", "dns", "uvloop", "asyncio"} & loaded


def test_a_command_loads_its_own_module_and_not_its_neighbours() -> None:
    loaded = _commands_among(_loaded_by("sendas", "gateway", "--help"))
    assert {"outgate.commands.sendas", "outgate.commands.sendas_gateway"} <= loaded
    assert not {"outgate.commands.sendas_advise", "outgate.commands.user"} & loaded


def test_a_command_that_does_not_load_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "outgate.commands.unit", None)  # as if it were not there
    for arguments in (["ou", "list", "--json"], ["--json", "ou", "list"]):
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == Status.UNEXPECTED
        assert json.loads(result.stderr)["error"]["code"] == "unexpected"
    assert CliRunner().invoke(app, ["ou", "list"]).stderr.startswith("outgate: unexpected error: ModuleNotFoundError: ")


def _processor_seconds(command: Sequence[str]) -> float:
    # As an installed program: with what Python keeps of the modules that it has compiled.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment)
    _pid, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_utime + usage.ru_stime


def test_help_takes_at_most_eight_times_what_python_takes_to_start() -> None:
    """Side by side, and in time of the processor, so that what else the machine does counts little: neither waits."""
    _processor_seconds(HELP)
    ratios = [_processor_seconds(HELP) / _processor_seconds(NOTHING) for _ in range(ROUNDS)]
    assert statistics.median(ratios) <= AT_MOST, f"{sorted(ratios)}"
