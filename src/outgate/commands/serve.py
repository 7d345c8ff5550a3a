"""`outgate serve`: the server."""

import errno

import typer

from outgate.commands.command import Here, command


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, example="outgate --data /var/lib/outgate serve")(serve)


def serve(here: Here) -> None:
    """Run the server: take submissions on ports 587 and 465, deliver, and record, until SIGTERM or Ctrl-C.

    SIGHUP has it read its certificate again. Changes by other commands are in force at once, without a restart. It logs
    to standard error.
    """
    import uvloop

    from outgate import wiring

    try:
        uvloop.run(wiring.serve(here.place()))
    except OSError as error:
        raise wiring.PlaceError(_advice(here, error)) from None


def _advice(here: Here, error: OSError) -> str:
    submission = here.place().config.submission
    where = f"{submission.address}, port {submission.starttls_port} or {submission.tls_port}"
    match error.errno:
        case errno.EACCES | errno.EPERM:
            return (
                f"not allowed to listen on {where}: ports below 1024 need root, or: setcap cap_net_bind_service=+ep,"
                " or systemd's AmbientCapabilities=CAP_NET_BIND_SERVICE; or set other ports in outgate.toml"
            )
        case errno.EADDRINUSE:
            return f"another program listens on {where}: stop it, or set other ports in outgate.toml"
        case errno.EADDRNOTAVAIL:
            return f"{submission.address} is not an address of this machine: set submission.address in outgate.toml"
    return str(error)
