"""How a password reaches a command: by prompt, from a file or from standard input. Never as an argument, which others
on the machine can read in the list of processes and which shells keep."""

import sys
from pathlib import Path
from typing import Annotated

import typer

PasswordFile = Annotated[
    Path | None,
    typer.Option(
        "--password-file", metavar="FILE", help="Read the password from this file; - is standard input", allow_dash=True
    ),
]
PasswordStdin = Annotated[bool, typer.Option("--password-stdin", help="Read the password from standard input")]


def read_password(file: Path | None, stdin: bool, question: str, *, confirm: bool = False) -> str:
    """The password, without the line end behind it. Asked for, twice if it is a new one, where neither is given."""
    if file is None and not stdin:
        return _ask(question, confirm)
    if file is None or file == Path("-"):
        text = sys.stdin.read()
    elif stdin:
        raise typer.BadParameter("--password-file and --password-stdin exclude each other")
    else:
        text = _contents(file)
    password = text.removesuffix("\n").removesuffix("\r")
    if not password or "\n" in password:
        raise typer.BadParameter("the password must be one line, and nothing else")
    return password


def _contents(file: Path) -> str:
    try:
        return file.read_text()
    except OSError as error:
        raise _unreadable(file, error.strerror or str(error)) from None
    except UnicodeDecodeError:
        raise _unreadable(file, "it is not text in UTF-8") from None


def _unreadable(file: Path, reason: str) -> typer.BadParameter:
    return typer.BadParameter(f"the password file {file} can't be read: {reason}")


def _ask(question: str, confirm: bool) -> str:
    if not sys.stdin.isatty():
        raise typer.BadParameter(
            "there is no terminal to ask for the password on; use --password-file FILE or --password-stdin"
        )
    answer: str = typer.prompt(question, hide_input=True, confirmation_prompt=confirm, err=True)
    return answer
