"""`outgate secrets`: the keys that stored passwords and DKIM keys are sealed with."""

import os

import typer

from outgate.commands.command import Here, command
from outgate.commands.output import record, tell

app = typer.Typer(
    no_args_is_help=True, help="The key file: what gateways' passwords and DKIM keys are encrypted with at rest."
)


@command(app, example="outgate secrets status")
def status(here: Here) -> None:
    """Show where the keys come from, their ids and which is in use. Never the keys."""
    from outgate.store import keyfile
    from outgate.wiring import KEY_FILE

    here.place()
    path = here.data / KEY_FILE
    keys = list(keyfile.load(path, os.environ))
    source = keyfile.VARIABLE if os.environ.get(keyfile.VARIABLE) else str(path)
    record(here, {"source": source, "current": keys[-1], "keys": keys, "rotation_unfinished": len(keys) > 1})


@command(app, example="outgate secrets rotate")
def rotate(here: Here) -> None:
    """Make a new key, seal everything anew with it, and remove the old one.

    A server that is running goes on. Codes that wait to be entered lapse: have them sent again (`outgate sendas
    resend`). Safe to interrupt: run it again. Make a new copy of the key file afterwards.
    """
    from outgate.store import rotation
    from outgate.wiring import KEY_FILE

    done = rotation.rotate(here.place().engine, here.data / KEY_FILE)
    value = {"current": done.key_id, "resealed": done.resealed}
    tell(here, value, f"the key is {done.key_id} now; {done.resealed} secrets were sealed anew")
