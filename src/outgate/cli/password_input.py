"""How a password reaches a command: by prompt, from a file or from standard input. Never as an argument, which others
on the machine can read in the list of processes and which shells keep."""

import sys
from pathlib import Path
from typing import Annotated, Final

import typer

_BYTE_ORDER_MARK: Final = "\ufeff"  # what Windows' editors write in front

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
        text = sys.stdin.read().removeprefix(_BYTE_ORDER_MARK)
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
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise typer.BadParameter(f"the password file {file} is not UTF-8; save it as UTF-8") from None
    except OSError as error:
        raise typer.BadParameter(f"the password file {file} can't be read: {error.strerror}") from None


def _ask(question: str, confirm: bool) -> str:
    if not sys.stdin.isatty():
        raise typer.BadParameter(
            "there is no terminal to ask for the password on; use --password-file FILE or --password-stdin"
        )
    answer: str = typer.prompt(question, hide_input=True, confirmation_prompt=confirm, err=True)
    return answer
