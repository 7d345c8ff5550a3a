"""`outgate domain-gateway`: the outbound gateway of the whole organisation, and those of single domains."""

from typing import Annotated

import typer

from outgate.cli.output import JsonObject, tell
from outgate.cli.password_input import PasswordFile, PasswordStdin
from outgate.cli.shell import CommandContext, command
from outgate.commands import gateway_options
from outgate.operations import domain_gateway_operations
from outgate.operations.gateway_trial import described
from outgate.operations.resources import gateway_row

app = typer.Typer(
    no_args_is_help=True,
    help="The server that all mail passes which leaves the organisation, but for mail that takes a user's own gateway.",
)

SenderDomain = Annotated[
    str, typer.Option("--domain", help="Of what is sent from this own domain alone", show_default=False)
]


@command(
    app,
    name="set",
    example="outgate domain-gateway set relay.example.net --port 587 --username example --password-file relay.password"
    "\noutgate domain-gateway set relay1.example.net relay2.example.net --domain branch.example.com",
)
def set_(
    ctx: CommandContext,
    hosts: Annotated[
        list[str],
        typer.Argument(
            help="Name or IP address of the SMTP server; further ones are tried in turn where it can't take mail now",
            metavar="HOST",
            show_default=False,
        ),
    ],
    port: gateway_options.Port = None,
    security: gateway_options.Security = "starttls",
    username: gateway_options.Username = "",
    password_file: PasswordFile = None,
    password_stdin: PasswordStdin = False,
    domain: SenderDomain = "",
    no_probe: gateway_options.NoProbe = False,
) -> None:
    """Set or replace the outbound gateway of the organisation, or of one of its domains.

    Each host is tried first (connect, TLS, log in); nothing is saved if one can't be used. All have the same port and
    log-in. Mail that waits is decided again.
    """
    host, *fallbacks = hosts
    wanted = gateway_options.gateway_settings(host, port, security, username, password_file, password_stdin, fallbacks)
    saved = domain_gateway_operations.save(ctx, wanted, None if no_probe else gateway_options.probe(ctx), domain)
    tell(ctx, {"domain": domain or None, "gateway": gateway_row(saved)}, _passes(domain, described(saved)))


@command(app, example="outgate domain-gateway show")
def show(ctx: CommandContext) -> None:
    """Show the outbound gateways: the organisation's, and those of single domains."""
    with ctx.reading() as op:
        found = domain_gateway_operations.listed(op)
    whole, own = found.get(""), {domain: one for domain, one in found.items() if domain}
    lines = [_passes(domain, described(one)) for domain, one in found.items()] or ["no outbound gateway is set"]
    of_domains: JsonObject = {domain: gateway_row(one) for domain, one in own.items()}
    tell(ctx, {"gateway": gateway_row(whole), "domains": of_domains}, "\n".join(lines))


@command(app, example="outgate domain-gateway clear")
def clear(ctx: CommandContext, domain: SenderDomain = "") -> None:
    """Remove an outbound gateway: mail goes to the recipients' mail exchangers, mail that waits as well.

    What is sent from a domain goes by the organisation's gateway then, if that has one.
    """
    with ctx.writing() as op:
        domain_gateway_operations.clear_gateway(op, domain)
        whole = domain_gateway_operations.show(op)
    if whole and domain:
        text = _passes(domain, described(whole))
    else:
        text = "no outbound gateway is set: mail goes to the recipients' mail exchangers"
    tell(ctx, {"domain": domain or None, "gateway": gateway_row(whole) if domain else None}, text)


def _passes(domain: str, gateway: str) -> str:
    return f"mail that leaves{f' from {domain}' if domain else ''} passes {gateway}"
