"""The command line: which commands there are. What each does is in its file in commands/, loaded when it is called."""

import os
import sys
from collections.abc import Sequence
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

from outgate.cli.lazy_command import LazyCommand
from outgate.cli.options import ActsAs, CommonOptions, Data, Json, Traceback
from outgate.cli.status import MEANING, Status, tell_error

# Each with its line in `outgate --help`, which is what its module says of it.
COMMANDS: Final = (
    LazyCommand(
        "init",
        "init",
        "Make the data directory: configuration, key file, certificate, database, and the organisation with its"
        " domain.",
    ),
    LazyCommand(
        "serve",
        "serve",
        "Run the server: take submissions on ports 587 and 465, deliver, and record, until SIGTERM or Ctrl-C.",
    ),
    LazyCommand(
        "systemd-unit",
        "systemd_unit",
        "Print the systemd unit of this data directory's server: its own user, low ports, nothing else to write to.",
    ),
    LazyCommand(
        "status",
        "server_status",
        "Say how it stands: server, version, queue and its oldest, gateways that fail, the certificate's end, nodes.",
    ),
    LazyCommand(
        "explain",
        "explain",
        "Say whether an account may send as an address, and by which way a message would go, with the reasons.",
    ),
    LazyCommand(
        "log",
        "log",
        "Show the messages that came, the newest first; or the whole story of one; or what happens now.",
    ),
    LazyCommand(
        "tls-report",
        "tls_report",
        "How TLS to recipients' domains came out, and the daily reports that tell them (RFC 8460).",
    ),
    LazyCommand(
        "metrics",
        "metrics_exposition",
        "Print what the server of this data directory has counted, in Prometheus' text format.",
    ),
    LazyCommand(
        "send",
        "send",
        "Queue a message for an account: a new one, or one that is whole in a file. The running server delivers it.",
    ),
    LazyCommand("import", "bulk", "Add or change many users, addresses or gateways."),
    LazyCommand(
        "export",
        "bulk",
        "Write all users, all From addresses but the primary ones, or all gateways, as CSV; never a password.",
    ),
    LazyCommand(
        "demo",
        "demo",
        "Show Outgate at work among a partner, recipients and a DNS of their own, all on this machine, no root needed.",
    ),
    LazyCommand(
        "domain",
        "domain",
        "The organisation's own domains: their mail is signed with DKIM, and mail to them is delivered locally.",
        more=(
            LazyCommand(
                "dkim",
                "domain_dkim",
                "A domain's DKIM keys: new ones sign when their records are in the DNS, and the former ones' records"
                " stay there for some days.",
            ),
        ),
    ),
    LazyCommand(
        "domain-proof",
        "domain_proof",
        "Whole domains outside the organisation's own, proven by a DNS record: users can be granted addresses in them.",
    ),
    LazyCommand(
        "address-grant",
        "address_grant",
        "Addresses that users, units and groups may send as without their own proof, in proven domains and own ones.",
        more=(
            LazyCommand(
                "gateway",
                "common_gateway",
                "The gateway that all who were granted an address have in common: an administrator's log-in, which none"
                " of them can see or change.",
            ),
        ),
    ),
    LazyCommand(
        "ou",
        "unit",
        "Organisational units: a tree in which users have their place, and policy is inherited.",
    ),
    LazyCommand("user", "user", "The users of the organisation, each with a primary address."),
    LazyCommand(
        "group",
        "group",
        "Groups of users, whatever unit they are in, to which addresses are granted (`outgate address-grant`).",
    ),
    LazyCommand("policy", "policy", "What users may do. A unit without a value of its own inherits."),
    LazyCommand(
        "sendas",
        "sendas",
        "The addresses that an account sends mail as: its primary address, and others that it has proven to own.",
        more=(
            LazyCommand(
                "advise",
                "sendas_advise",
                "Say how SPF, DKIM and DMARC will come out, and what recipients will see, from what the DNS says now.",
            ),
            LazyCommand(
                "discover",
                "sendas_discover",
                "Look for the SMTP server of an address: by presets, DNS, and what its domain publishes for mail"
                " programs.",
            ),
            LazyCommand(
                "gateway",
                "sendas_gateway",
                "The gateway of a From address: its own SMTP server, which delivers what is sent as it.",
            ),
        ),
    ),
    LazyCommand(
        "gateway",
        "gateway",
        "How it stands with gateways; suspend, resume and limit them.",
        more=(
            LazyCommand(
                "rules",
                "gateway_rules",
                "Rules that read replies: what a provider means, and what follows from it.",
            ),
        ),
    ),
    LazyCommand("node", "node", "The servers of this installation: which there are, and draining one."),
    LazyCommand(
        "domain-gateway",
        "domain_gateway",
        "The server that all mail passes which leaves the organisation, but for mail that takes a user's own gateway.",
    ),
    LazyCommand(
        "role",
        "role",
        "Roles: what administrators may do. A role is given to a user for a unit, and holds there and below.",
    ),
    LazyCommand(
        "app-password",
        "app_password",
        "Application passwords: one for each program that sends as a user, so that each can be revoked by itself.",
    ),
    LazyCommand(
        "service-account",
        "service_account",
        "Service accounts: programs that act for users by the API, each with its own keys and scopes it was granted.",
    ),
    LazyCommand(
        "program", "registered_program", "Programs that users let act for them by the API, after a page has asked them."
    ),
    LazyCommand(
        "webhook",
        "webhook",
        "Webhooks: endpoints of others that are told of what became of messages, and of gateways that are suspended.",
    ),
    LazyCommand("scim", "scim", "An identity provider that keeps users and groups here by SCIM 2.0."),
    LazyCommand("log-in", "log_in", "Failed log-ins: what is locked by them, and unlocking a network."),
    LazyCommand("ldap", "ldap", "Users and passwords from an LDAP directory (settings: ldap.*)."),
    LazyCommand("audit", "audit", "The audit trail: every change by whom, from where, old and new value."),
    LazyCommand("queue", "queue", "Mail that waits: to be tried again, because it is held, or as it just came."),
    LazyCommand(
        "secrets",
        "secrets",
        "The key file: what gateways' passwords and DKIM keys are encrypted with at rest.",
    ),
)


class Program(TyperGroup):
    """The whole program. With --json an error of usage is JSON, too."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for command in COMMANDS:
            self.add_command(command)

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
    context_settings={"help_option_names": ["--help", "-h"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # to load Rich takes longer than everything else that --help needs
    epilog=f"""\
\b
Example:
  $ export OUTGATE_DATA=/var/lib/outgate
  $ outgate init example.com --hostname mail.example.com
  $ outgate user add alice@example.com
  $ outgate serve

\b
Exit status:
{_STATUSES}""",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version  # noqa: PLC0415  # a tenth of what --help takes

        typer.echo(f"outgate {version('outgate')}")
        raise typer.Exit


@app.callback()
def _program(
    context: typer.Context,
    data: Data = None,
    as_json: Json = False,
    acts_as: ActsAs = "",
    traceback: Traceback = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Outgate: the outbound mail server in which every user sends as any address they have proven to own.

    --data and --json may stand before or after the command.
    """
    context.obj = CommonOptions(data, as_json, acts_as, traceback)


def main() -> None:
    """The program's entry."""
    os.umask(0o077)  # databases, keys and mail are nobody else's business, whatever folder they lie in
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a terminal that can't show a letter is no error
    app()
