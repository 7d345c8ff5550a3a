"""`outgate metrics`: what the running server has counted."""

import typer

from outgate import clock
from outgate.cli.output import tell
from outgate.cli.shell import CommandContext, command
from outgate.directory.errors import NotFound
from outgate.record import metrics

app = typer.Typer()


@command(app, example="outgate metrics", name="metrics")
def show(ctx: CommandContext) -> None:
    """Print what the server of this data directory has counted, in Prometheus' text format.

    Each process writes its counts every 5 seconds, with the label `process`. docs/metrics.md says what they mean.
    """
    counted = metrics.exposition(ctx.data / metrics.FOLDER, clock.now())
    if not counted:
        raise NotFound("no server is running on this data directory; start it with: outgate serve")
    tell(ctx, {"metrics": counted.decode()}, counted.decode().rstrip())
