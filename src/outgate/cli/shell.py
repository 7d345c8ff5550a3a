"""What all commands have in common: `--data` and `--json` before or after the command, and errors told in one line.

`command` registers a function as a command. Its first parameter is the CommandContext; its docstring and `example` are
the help.
"""

import functools
import getpass
import inspect
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import typer

from outgate import clock, log_lines
from outgate.cli.failure import fail
from outgate.cli.options import CommonOptions, Data, Json
from outgate.cli.status import Status, tell_error
from outgate.installation import Installation, open_installation, server_runs
from outgate.operations import context as operation_context
from outgate.operations import propagation, waiting_mail
from outgate.operations.actor import Actor
from outgate.operations.context import OperationContext
from outgate.operations.waiting_mail import LaterChange
from outgate.store.engine import read

Body = TypeVar("Body", bound=Callable[..., None])


@dataclass(slots=True)
class CommandContext:
    """Where a command works and whom it talks to. `given` is the directory of --data alone."""

    given: Path | None = None
    json: bool = False
    traceback: bool = False
    acts_as: str = ""
    is_in_force: bool = True  # what was changed, on every node
    _installation: Installation | None = None
    _later: list[LaterChange] = field(default_factory=list)  # what is to be done with waiting mail

    @property
    def data(self) -> Path:
        """The data directory."""
        path = self.given or Path(os.environ.get("OUTGATE_DATA", ""))
        if path == Path():
            raise typer.BadParameter("say where the data directory is: --data DIR, or OUTGATE_DATA in the environment")
        return path.expanduser()

    def installation(self) -> Installation:
        """The data directory, opened."""
        if self._installation is None:
            log_lines.configure_for_commands()
            self._installation = open_installation(self.data)
        return self._installation

    def actor(self) -> Actor:
        """Who gives the command: the administrator named by --as, else whoever sits at the console."""
        if not self.acts_as:
            return Actor.console(getpass.getuser())
        with read(self.installation().engine) as connection:
            return Actor.user(connection, self.acts_as, "console")

    @contextmanager
    def writing(self) -> Iterator[OperationContext]:
        """A transaction for operations that change something (operations/); ends when it is in force everywhere."""
        with self.writing_one_of_many() as op:
            yield op
        self.tell_behind(propagation.wait(self.installation().engine))
        self._carry_out()

    def tell_behind(self, behind: propagation.Behind | None) -> None:
        """Say what is not in force yet; then the command ends with a status of its own."""
        if behind:
            tell_error(Status.NOT_IN_FORCE, "\n".join(behind.lines), as_json=self.json)
            self.is_in_force = False

    @contextmanager
    def writing_one_of_many(self) -> Iterator[OperationContext]:
        """As `writing`, for one transaction of many; the caller waits for the last."""
        place, actor = self.installation(), self.actor()
        with operation_context.writing(place.engine, place.vault, actor, clock.now(), self._later) as op:
            yield op

    @contextmanager
    def reading(self) -> Iterator[OperationContext]:
        """A transaction for operations that only look."""
        installation = self.installation()
        with operation_context.reading(installation.engine, installation.vault, self.actor(), clock.now()) as op:
            yield op

    def only_with_server(self) -> str:
        """Words to add to what only a running server does: nothing if one runs, or may run on another machine."""
        place = self.installation()
        if place.engine.dialect.name != "sqlite" or server_runs(place.config.data):
            return ""
        return "; no server runs just now, so nothing leaves until one does: outgate serve"

    def confirm(self, question: str, yes: bool) -> None:
        """Ask before what can't be undone, on a terminal; raises Abort unless agreed. Scripts are not asked."""
        if not yes and _on_terminal():
            typer.confirm(question, abort=True, err=True)

    def _carry_out(self) -> None:
        changes, self._later = self._later, []
        if changes:
            waiting_mail.carry_out(self.installation().engine, changes)

    def close(self) -> None:
        """Nothing more is asked."""
        self._carry_out()
        if self._installation:
            self._installation.engine.dispose()


def _on_terminal() -> bool:
    return sys.stdin.isatty()


def command(app: typer.Typer, *, example: str, name: str | None = None) -> Callable[[Body], Body]:
    """Register the function as a command of `app`. `example` is one command line or several."""

    def register(body: Body) -> Body:
        epilog = "\b\nExample:\n" + "\n".join(f"  $ {line}" for line in example.strip().splitlines())
        summary = inspect.cleandoc(body.__doc__ or "").partition("\n\n")[0]
        app.command(name, short_help=summary, epilog=epilog)(_with_common_options(body))
        return body

    return register


def _with_common_options(body: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(body)
    def run(context: typer.Context, data: Path | None, as_json: bool, **arguments: Any) -> None:
        common = context.find_root().ensure_object(CommonOptions)
        ctx = CommandContext(data or common.data, common.json or as_json, common.traceback, common.acts_as)
        try:
            body(ctx, **arguments)
        except BrokenPipeError:
            raise
        except Exception as error:  # a person sees a line, never a traceback
            if _is_for_typer(error) or ctx.traceback:
                raise
            fail(error, as_json=ctx.json)
        finally:
            ctx.close()
        if not ctx.is_in_force:
            raise typer.Exit(Status.NOT_IN_FORCE)

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
