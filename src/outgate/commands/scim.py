"""`outgate scim`: what an identity provider needs to keep users and groups here."""

from typing import Annotated

import typer

from outgate.cli.output import JsonObject, table, tell
from outgate.cli.shell import CommandContext, command
from outgate.directory.errors import Invalid
from outgate.directory.scim_tokens import ScimToken
from outgate.extras import require
from outgate.iso_time import iso
from outgate.operations import scim_token_operations

app = typer.Typer(no_args_is_help=True, help="An identity provider that keeps users and groups here by SCIM 2.0.")
tokens = typer.Typer(no_args_is_help=True, help="What an identity provider shows with each of its requests.")
app.add_typer(tokens, name="token")

Name = Annotated[str, typer.Argument(help="The token's name, as in entra", metavar="NAME", show_default=False)]


@command(tokens, name="list", example="outgate scim token list")
def list_(ctx: CommandContext) -> None:
    """List the tokens, each with what it may do. Their secrets are kept nowhere."""
    with ctx.reading() as op:
        rows = [_row(one) for one in scim_token_operations.list_tokens(op)]
    columns = {"name": "name", "role": "role", "ou": "unit", "created_at": "created"}
    table(ctx, rows, columns, nothing="there are no tokens")


@command(
    tokens, example="outgate scim token create entra\noutgate scim token create okta --role user-admin --ou /Staff"
)
def create(
    ctx: CommandContext,
    name: Name,
    role: Annotated[str, typer.Option("--role", help="What it may do", metavar="ROLE")] = "user-admin",
    unit: Annotated[
        str, typer.Option("--ou", help="Where its role holds, and its new users are put", metavar="PATH")
    ] = "/",
) -> None:
    """Make a token and show it: it can't be had again. It lasts until it is revoked.

    It is nobody's: it goes on working when who made it has left. Groups need a role for `/`. Users who may do more than
    its role are not changed by it: where a provider is to suspend administrators as well, give it the role super-admin.
    """
    require("scim", "scim2_server")  # which answers at the endpoint
    base = ctx.installation().config.web.public_url.rstrip("/")
    if not base:
        raise Invalid("web.public_url is not set: an identity provider could not find this server")
    with ctx.writing() as op:
        made, secret = scim_token_operations.create(op, name, role, unit)
    value = _row(made) | {"token": secret, "url": f"{base}/scim/v2"}
    tell(
        ctx, value, f"{made.name} has the role {made.role} for {made.unit}\n  URL:   {value['url']}\n  token: {secret}"
    )


@command(tokens, example="outgate scim token revoke entra")
def revoke(ctx: CommandContext, name: Name) -> None:
    """Revoke a token, at once. Users and groups stay as they are."""
    with ctx.writing() as op:
        revoked = scim_token_operations.revoke(op, name)
    tell(ctx, _row(revoked), f"revoked {revoked.name}")


def _row(one: ScimToken) -> JsonObject:
    return {"name": one.name, "role": one.role, "ou": one.unit, "created_at": iso(one.created_at)}
