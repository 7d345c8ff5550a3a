"""The command line: puts the commands together. What each does is in its file in commands/."""

import os
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from outgate.cli.shell import CommandContext, Data, Json, tell_error
from outgate.cli.status import MEANING, Status
from outgate.commands import (
    app_password,
    audit,
    bulk,
    demo,
    domain,
    domain_gateway,
    explain,
    init,
    ldap,
    log,
    log_in,
    metrics_exposition,
    policy,
    queue,
    role,
    secrets,
    send,
    sendas,
    sendas_advise,
    sendas_discover,
    sendas_gateway,
    serve,
    unit,
    user,
)


class Program(TyperGroup):
    """The whole program. With --json an error of usage is JSON, too."""

    def main(self, args: Sequence[str] | None = None, *arguments: Any, **options: Any) -> Any:
        """Run, and end the process."""
        given = sys.argv[1:] if args is None else list(args)
        if "--json" not in given:
            return super().main(given, *arguments, **options)
        try:
            status = super().main(given, *arguments, **options | {"standalone_mode": False})
        except typer.TyperException as error:
            tell_error(Status.USAGE, error.format_message() or "there is no command; see --help", as_json=True)
            status = Status.USAGE
        except typer.Abort:
            status = Status.UNEXPECTED
        sys.exit(status if isinstance(status, int) else Status.OK)


_STATUSES = "\n".join(f"  {status.value}  {MEANING[status]}" for status in Status)

app = typer.Typer(
    cls=Program,
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["--help", "-h"]},
    pretty_exceptions_enable=False,
    epilog=f"""\
Example:
  $ export OUTGATE_DATA=/var/lib/outgate
  $ outgate init example.com --hostname mail.example.com
  $ outgate user add alice@example.com
  $ outgate serve

Exit status:
{_STATUSES}""",
)


@app.callback()
def _program(
    context: typer.Context,
    data: Data = None,
    as_json: Json = False,
    acts_as: Annotated[
        str,
        typer.Option(
            "--as", metavar="ADDRESS", help="Act as this administrator, with that one's privileges", show_default=False
        ),
    ] = "",
    traceback: Annotated[bool, typer.Option("--traceback", help="Show where an error came from")] = False,
) -> None:
    """Outgate: the outbound mail server in which every user sends as any address they have proven to own.

    --data and --json may stand before or after the command.
    """
    context.obj = CommandContext(data, as_json, traceback, acts_as)


for _module in (init, serve, explain, log, metrics_exposition, send, bulk, demo):
    _module.register(app)
for _name, _group in (
    ("domain", domain.app),
    ("ou", unit.app),
    ("user", user.app),
    ("policy", policy.app),
    ("sendas", sendas.app),
    ("domain-gateway", domain_gateway.app),
    ("role", role.app),
    ("app-password", app_password.app),
    ("log-in", log_in.app),
    ("ldap", ldap.app),
    ("audit", audit.app),
    ("queue", queue.app),
    ("secrets", secrets.app),
):
    app.add_typer(_group, name=_name)
sendas.app.add_typer(sendas_gateway.app, name="gateway")
sendas_advise.register(sendas.app)
sendas_discover.register(sendas.app)


def main() -> None:
    """The program's entry."""
    os.umask(0o077)  # databases, keys and mail are nobody else's business, whatever folder they lie in
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a terminal that can't show a letter is no error
    app()
