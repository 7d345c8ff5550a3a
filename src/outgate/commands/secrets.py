"""`outgate secrets`: the keys that stored passwords and DKIM keys are sealed with."""

import typer

from outgate.commands.command import Here, command
from outgate.commands.output import record, tell

app = typer.Typer(
    no_args_is_help=True, help="The key file: what gateways' passwords and DKIM keys are encrypted with at rest."
)


@command(app, example="outgate secrets status")
def status(here: Here) -> None:
    """Show where the keys come from, their ids, which is in use, and how much each has sealed. Never the keys."""
    from outgate.store import keysource, sealed
    from outgate.store.engine import read
    from outgate.wiring import KEY_FILE

    place = here.place()
    source = keysource.source(here.data / KEY_FILE, command=place.config.secret_key_command)
    keys = list(source.read())
    with read(place.engine) as connection:
        counted = sealed.count_by_key(connection)
    record(
        here,
        {
            "source": source.name,
            "current": keys[-1],
            "keys": keys,
            "rotation_unfinished": len(keys) > 1,
            "sealed_by_key": {key_id: counted.pop(key_id, 0) for key_id in keys} | counted,
        },
    )


@command(app, example="outgate secrets rotate")
def rotate(here: Here) -> None:
    """Make a new key, seal everything anew with it, and remove the old one.

    Keys that come from the environment or a command are yours to change: with two of them, everything is sealed anew
    with the last one. A server that is running goes on. Codes that wait to be entered lapse: have them sent again
    (`outgate sendas resend`). Safe to interrupt: run it again. Make a new copy of the key file afterwards.
    """
    from outgate.store import rotation
    from outgate.wiring import KEY_FILE

    place = here.place()
    done = rotation.rotate(place.engine, here.data / KEY_FILE, command=place.config.secret_key_command)
    value = {"current": done.key_id, "resealed": done.resealed}
    tell(here, value, f"the key is {done.key_id} now; {done.resealed} secrets were sealed anew")
