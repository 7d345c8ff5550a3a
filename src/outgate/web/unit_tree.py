"""The tree of units at the left of a page: from the tops where somebody may look, each unit with what is said of it.

Pure; what is said of a unit is the page's.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from outgate.directory.policies import up_to_root
from outgate.directory.privileges import Grant, Privilege
from outgate.frozen import frozen


@frozen
class UnitNode:
    """A unit. `tag` is said beside its name, `is_good` that the tag is a good word."""

    path: str
    name: str
    tag: str
    is_good: bool
    below: tuple["UnitNode", ...]


MANY: Final = 150  # units: of more only the way to the one that is shown is opened, and no list is there to choose from

Said = Callable[[str], tuple[str, bool]]  # of a path: tag, is_good


def tops(grants: Iterable[Grant], privilege: Privilege = Privilege.UNITS_READ) -> list[str]:
    """The units from which on somebody may look, none of them below another."""
    held = {grant.unit for grant in grants if privilege in grant.privileges}
    return sorted(unit for unit in held if not any(top in held for top in up_to_root(unit)[1:]))


def tree(top: str, paths: Sequence[str], domain: str, shown: str, said: Said = lambda _path: ("", False)) -> UnitNode:
    """`top` with what is below it of `paths`, each of which comes after its parent; of many what is beside the way to
    the unit `shown`, and what is just below that.
    """
    opened = {top, *up_to_root(shown)}
    below: dict[str, list[str]] = {}
    for path in paths:
        if path != "/" and (len(paths) <= MANY or parent(path) in opened):
            below.setdefault(parent(path), []).append(path)

    def node(path: str) -> UnitNode:
        return UnitNode(path, name(path, domain), *said(path), tuple(node(one) for one in below.get(path, ())))

    return node(top)


def to_choose_from(paths: Sequence[str]) -> tuple[str, ...]:
    """Units as a list to choose one from; none if they are so many that one types its path."""
    return tuple(paths) if len(paths) <= MANY else ()


def parent(path: str) -> str:
    """The unit above; the root's is itself."""
    return path.rpartition("/")[0] or "/"


def name(path: str, domain: str) -> str:
    """A unit by its own name; the root by the organisation's."""
    return path.rpartition("/")[2] or domain or "/"
