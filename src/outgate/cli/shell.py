"""What all commands have in common: `--data` and `--json` before or after the command, and errors told in one line.

`command` registers a function as a command. Its first parameter is Here; its docstring and `example` are the help.
"""

import functools
import getpass
import inspect
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import typer

from outgate.cli.status import Status, status_of, text_of

if TYPE_CHECKING:
    from outgate.operations.actor import Actor
    from outgate.operations.operation import OperationContext
    from outgate.wiring import Installation

Body = TypeVar("Body", bound=Callable[..., None])

Data = Annotated[
    Path | None,
    typer.Option("--data", metavar="DIR", help="The data directory; else OUTGATE_DATA", show_default=False),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs", show_default=False)]


@dataclass(slots=True)
class CommandContext:
    """Where a command works and whom it talks to. `given` is the directory of --data alone."""

    given: Path | None = None
    json: bool = False
    traceback: bool = False
    acts_as: str = ""
    _installation: "Installation | None" = None

    @property
    def data(self) -> Path:
        """The data directory."""
        path = self.given or Path(os.environ.get("OUTGATE_DATA", ""))
        if path == Path():
            raise typer.BadParameter("say where the data directory is: --data DIR, or OUTGATE_DATA in the environment")
        return path.expanduser()

    def installation(self) -> "Installation":
        """The data directory, opened."""
        if self._installation is None:
            from outgate.wiring import open_installation

            self._installation = open_installation(self.data)
        return self._installation

    def actor(self) -> "Actor":
        """Who gives the command: the administrator named by --as, else whoever sits at the console."""
        from outgate.directory import users
        from outgate.operations.actor import Actor
        from outgate.store.engine import read

        if not self.acts_as:
            return Actor.console(getpass.getuser())
        with read(self.installation().engine) as connection:
            user = users.find(connection, self.acts_as)
        return Actor(user.address, "console", user.id)

    @contextmanager
    def writing(self) -> "Iterator[OperationContext]":
        """A transaction for operations that change something (operations/); ends when it is in force everywhere."""
        from outgate.operations import propagation

        with self.writing_one_of_many() as op:
            yield op
        if behind := propagation.wait(self.installation().engine):
            nodes = ", ".join(behind)
            typer.echo(f"outgate: saved; mail that was decided before is still being handed over at {nodes}", err=True)

    @contextmanager
    def writing_one_of_many(self) -> "Iterator[OperationContext]":
        """As `acting`, for one transaction of many; the caller waits for the last."""
        from outgate import clock
        from outgate.operations.operation import writing

        installation = self.installation()
        with writing(installation.engine, installation.vault, self.actor(), clock.now()) as op:
            yield op

    @contextmanager
    def reading(self) -> "Iterator[OperationContext]":
        """A transaction for operations that only look."""
        from outgate import clock
        from outgate.operations.operation import reading

        installation = self.installation()
        with reading(installation.engine, installation.vault, self.actor(), clock.now()) as op:
            yield op

    def close(self) -> None:
        """Nothing more is asked."""
        if self._installation:
            self._installation.engine.dispose()


def command(app: typer.Typer, *, example: str, name: str | None = None) -> Callable[[Body], Body]:
    """Register the function as a command of `app`. `example` is one command line or several."""

    def register(body: Body) -> Body:
        epilog = "Example:\n" + "\n".join(f"  $ {line}" for line in example.strip().splitlines())
        app.command(name, epilog=epilog)(_with_common_options(body))
        return body

    return register


def _with_common_options(body: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(body)
    def run(context: typer.Context, data: Path | None, as_json: bool, **arguments: Any) -> None:
        ctx = context.find_root().ensure_object(CommandContext)
        ctx.given = data or ctx.given
        ctx.json = ctx.json or as_json
        try:
            body(ctx, **arguments)
        except BrokenPipeError:
            raise
        except Exception as error:  # a person sees a line, never a traceback
            if _is_for_typer(error) or ctx.traceback:
                raise
            fail(ctx, error)
        finally:
            ctx.close()

    own = list(inspect.signature(body).parameters.values())[1:]
    keyword = inspect.Parameter.KEYWORD_ONLY
    parameters = [inspect.Parameter("context", keyword, annotation=typer.Context)]
    parameters += [one.replace(kind=keyword) for one in own]
    parameters += [
        inspect.Parameter("data", keyword, default=None, annotation=Data),
        inspect.Parameter("as_json", keyword, default=False, annotation=Json),
    ]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # what Typer reads
    run.__annotations__ = {one.name: one.annotation for one in parameters}
    return run


def _is_for_typer(error: Exception) -> bool:
    """Usage errors and exits, which Typer itself tells and makes."""
    return isinstance(error, typer.TyperException | typer.Exit | typer.Abort)


def fail(ctx: CommandContext, error: Exception) -> NoReturn:
    """Tell of an error and end with its status."""
    status = status_of(error)
    text = text_of(error) if status else f"unexpected error: {type(error).__name__}: {text_of(error)}"
    tell_error(status or Status.UNEXPECTED, text, as_json=ctx.json)
    raise typer.Exit(status or Status.UNEXPECTED)


def tell_error(status: Status, text: str, *, as_json: bool) -> None:
    """One line on standard error; an object in --json mode."""
    if as_json:
        typer.echo(json.dumps({"error": {"code": status.name.lower(), "message": text}}), err=True)
    else:
        typer.echo(f"outgate: {text}", err=True)
