"""`outgate serve`: the server."""

import errno
import socket

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
    from outgate import wiring

    place = here.place()
    submission = place.config.submission
    for port in (submission.starttls_port, submission.tls_port):
        _check_port(submission.address, port)
    place.engine.dispose()
    wiring.serve(place.config.data)


def _check_port(address: str, port: int) -> None:
    """Before anything is started: what is wrong with this port, and what to do."""
    from outgate.wiring import PlaceError

    try:
        socket.create_server((address, port), family=socket.AF_INET6 if ":" in address else socket.AF_INET).close()
    except OSError as error:
        raise PlaceError(f"can't listen on {address}, port {port}: {_advice(error)}") from None


def _advice(error: OSError) -> str:
    match error.errno:
        case errno.EACCES | errno.EPERM:
            return (
                "ports below 1024 need root, or systemd's AmbientCapabilities=CAP_NET_BIND_SERVICE; or set other ports"
                " in outgate.toml (submission.starttls_port, submission.tls_port)"
            )
        case errno.EADDRINUSE:
            return "another program listens there: stop it, or set other ports in outgate.toml"
        case errno.EADDRNOTAVAIL | socket.EAI_NONAME:
            return "that is not an address of this machine: set submission.address in outgate.toml"
    return error.strerror or str(error)
