"""`outgate serve`: the server."""

import errno
import os
import socket
from pathlib import Path

import typer

from outgate import wiring
from outgate.cli.shell import CommandContext, command
from outgate.installation import InstallationError, owner_of

app = typer.Typer()


@command(app, example="outgate --data /var/lib/outgate serve")
def serve(ctx: CommandContext) -> None:
    """Run the server: take submissions on ports 587 and 465, deliver, and record, until SIGTERM or Ctrl-C.

    SIGHUP has it read its certificate again. Changes by other commands are in force at once, without a restart. It logs
    to standard error.
    """
    installation = ctx.installation()
    _check_user(installation.config.data)
    submission, web = installation.config.submission, installation.config.web
    for key in ("starttls_port", "tls_port"):
        _check_port("submission", key, submission.address, getattr(submission, key))
    if web.public_url:
        _check_port("web", "port", web.address, web.port)
    installation.engine.dispose()
    wiring.serve(installation.config.data)


def _check_user(data: Path) -> None:
    """A server of root would leave files that the server's own user can't open later."""
    owner = owner_of(data)
    if os.geteuid() == 0 and owner != "root":
        raise InstallationError(
            f"{data} belongs to {owner}, so the server is to run as {owner}: systemctl start outgate, or"
            f" runuser -u {owner} -- outgate --data {data} serve"
        )


def _check_port(section: str, key: str, address: str, port: int) -> None:
    """Before anything is started: what is wrong with this port, and what to do."""
    try:
        socket.create_server((address, port), family=socket.AF_INET6 if ":" in address else socket.AF_INET).close()
    except OSError as error:
        raise InstallationError(f"can't listen on {address}, port {port}: {_advice(error, section, key)}") from None


def _advice(error: OSError, section: str, key: str) -> str:
    match error.errno:
        case errno.EACCES | errno.EPERM:
            return (
                "ports below 1024 need root, or systemd's AmbientCapabilities=CAP_NET_BIND_SERVICE; or set another"
                f" port in outgate.toml ({section}.{key})"
            )
        case errno.EADDRINUSE:
            return f"another program listens there: stop it, or set another port in outgate.toml ({section}.{key})"
        case errno.EADDRNOTAVAIL | socket.EAI_NONAME:
            return f"that is not an address of this machine: set {section}.address in outgate.toml"
    return error.strerror or str(error)
