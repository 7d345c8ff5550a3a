"""Packages that only some installations use. Knows how to ask for them, and not what they are for."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path


class MissingExtra(Exception):
    """A feature is used whose packages are not installed; the text says how to install them."""


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Stands round the import of packages that the extra `name` brings; raises MissingExtra where they are missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == __package__:
            raise  # our own module: a fault, not an installation's choice
        raise MissingExtra(
            f"this needs the package {error.name}, which is not installed; install it with: "
            f"{Path(sys.prefix, 'bin', 'pip')} install 'outgate[{name}]'"
        ) from error


def require(name: str, package: str) -> None:
    """For whoever makes what only that package can use. Raises MissingExtra."""
    with extra(name):
        import_module(package)
