"""The help teaches, and the reference in docs/ is what the program says."""

import shlex
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from outgate.cli.program import app
from outgate.cli.reference import PAGES, commands
from outgate.cli.status import Status

COMMANDS = dict(commands())
DOCS = Path(__file__).parents[2] / "docs"
TAKES_VALUES = ("--data",)


def _examples() -> list[str]:
    lines = [line.strip() for command in COMMANDS.values() for line in command.epilog.splitlines()[2:]]
    return [line.removeprefix("$ ") for line in lines]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_says_what_it_is_for_and_gives_an_example(name: str) -> None:
    result = CliRunner().invoke(app, [*name.split()[1:], "--help"])
    assert result.exit_code == 0
    assert COMMANDS[name].help.split(".")[0].split()[0] in result.stdout
    assert f"$ outgate {' '.join(name.split()[1:])}" in result.stdout.replace("--data /var/lib/outgate ", "").replace(
        "--json ", ""
    )


@pytest.mark.parametrize("line", _examples())
def test_every_example_is_a_command_line_that_parses(line: str) -> None:
    words = shlex.split(line.partition(" < ")[0])[1:]
    while words[0].startswith("--"):
        words = words[2 if words[0] in TAKES_VALUES else 1 :]
    length = next(n for n in (3, 2, 1) if " ".join(["outgate", *words[:n]]) in COMMANDS)
    command: Any = COMMANDS[" ".join(["outgate", *words[:length]])]
    command.make_context("outgate", words[length:])


def test_no_parameter_takes_a_password() -> None:
    """Others see the arguments of a process."""
    found = {
        name: one
        for command in COMMANDS.values()
        for one in command.params
        for name in [*one.opts, one.name]
        if "password" in name.lower()
    }
    assert {name for name in found if name.startswith("--")} == {"--password-file", "--password-stdin", "--no-password"}
    assert not any(one.param_type_name == "argument" for one in found.values())
    assert found["--password-stdin"].is_flag
    assert found["--no-password"].is_flag


@pytest.mark.parametrize("page", PAGES)
def test_the_reference_is_up_to_date(page: str) -> None:
    """If not: python -m outgate.cli.reference"""
    assert (DOCS / page).read_text() == PAGES[page]()


def test_the_program_runs_as_a_module_and_lists_the_statuses() -> None:
    done = subprocess.run([sys.executable, "-m", "outgate", "--help"], capture_output=True, text=True, check=True)
    for status in Status:
        assert f"  {status.value}  " in done.stdout


def test_an_unknown_command_is_an_error_of_usage_in_json_as_well() -> None:
    result = CliRunner().invoke(app, ["--json", "usr"])
    assert result.exit_code == Status.USAGE
    assert '"code": "usage"' in result.stderr
    assert CliRunner().invoke(app, ["usr"]).exit_code == Status.USAGE


def test_the_program_says_its_version() -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.stdout) == (0, f"outgate {version('outgate')}\n")


def test_help_names_no_type_of_a_switch() -> None:
    told = CliRunner().invoke(app, ["user", "list", "--help"]).stdout
    assert "--json" in told
    assert "bool" not in told.lower()
