"""The options that every command has. Knows no room: the program loads it before it knows which command is called."""

from pathlib import Path
from typing import Annotated

import typer

from outgate.frozen import frozen

Data = Annotated[
    Path | None,
    typer.Option(
        "--data", metavar="DIR", help="The data directory; else OUTGATE_DATA", show_default=False, readable=False
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs", show_default=False)]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing", show_default=False)]
ActsAs = Annotated[
    str,
    typer.Option(
        "--as", metavar="ADDRESS", help="Act as this administrator, with that one's privileges", show_default=False
    ),
]
Traceback = Annotated[bool, typer.Option("--traceback", help="Show where an error came from")]


@frozen
class CommonOptions:
    """What was given before the command."""

    data: Path | None = None
    json: bool = False
    acts_as: str = ""
    traceback: bool = False
