"""A command that is loaded when it is called. What a group's help says of it costs nothing."""

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from typer.core import TyperCommand, TyperGroup
from typer.main import get_group

from outgate.cli.options import CommonOptions


class LazyCommand(TyperCommand):
    """Stands for a command, or for a group of commands, until somebody calls it or asks for its own help.

    The module, in commands/, has a Typer `app`, which has the command of this name or else is the group. `more` are
    commands of the group from other modules, behind its own.
    """

    def __init__(self, name: str, module: str, summary: str, more: "Sequence[LazyCommand]" = ()) -> None:
        super().__init__(name, short_help=summary)
        self.module = module
        self.more = more

    def load(self) -> TyperCommand | TyperGroup:
        """The command itself."""
        app = import_module(f"outgate.commands.{self.module}").app
        app.rich_markup_mode = None  # as the program's
        group = get_group(app)
        for command in self.more:
            group.add_command(command)
        found = group.commands.get(str(self.name), group)
        assert isinstance(found, TyperCommand | TyperGroup)
        return found

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Click's step from a name to a command: from here the real one goes on, since the context names it."""
        return self._load_or_fail(args, parent).make_context(info_name, args, parent, **extra)

    def _load_or_fail(self, args: list[str], parent: Any) -> TyperCommand | TyperGroup:
        common = (parent and parent.find_object(CommonOptions)) or CommonOptions()
        try:
            return self.load()
        except Exception as error:  # a package that is not installed, say: told as all errors are
            if common.traceback:
                raise
            from outgate.cli.failure import fail  # noqa: PLC0415  # it knows many rooms, and is not needed for --help

            fail(error, as_json=common.json or "--json" in args)
