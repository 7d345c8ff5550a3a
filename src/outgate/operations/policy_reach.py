"""Whom a change of policy in a unit would concern, and how far the last one has come."""

from collections.abc import Iterator
from typing import Final

from outgate.directory import accounts, nodes, policies, users
from outgate.directory.policies import Policies, up_to_root
from outgate.directory.privileges import Privilege
from outgate.directory.settings import Setting
from outgate.frozen import frozen
from outgate.operations import targets
from outgate.operations.context import OperationContext
from outgate.operations.operation import operation
from outgate.operations.unit_operations import paths_below
from outgate.sendas import gateways

MOST: Final = 1_000  # gateways: more are not counted, which would take longer than the page


@frozen
class PolicyReach:
    """`units` are those that take the value of this one, itself first; `gateways` how many addresses of their users
    have one, MOST + 1 standing for any number above MOST. `changed_at` is when the unit got its own value (seconds
    since the epoch), None if it has none. `nodes` deliver now, and `behind` of them do not go by the newest state of
    the directory yet.
    """

    units: tuple[str, ...]
    users: int
    gateways: int
    changed_at: float | None
    nodes: int
    behind: tuple[str, ...]


@operation("policy.reach", Privilege.UNITS_READ, targets.unit("unit"), changes=False)
def reach(op: OperationContext, unit: str, setting: Setting) -> PolicyReach:
    """See whom a change of policy in a unit would concern, and whether the last one is in force."""
    paths = paths_below(op, unit)
    concerned = tuple(_takers(policies.load(op.connection), setting, paths[0], paths))
    behind = nodes.behind(op.connection, accounts.directory_version(op.connection), op.now)
    return PolicyReach(
        concerned,
        users.count(op.connection, concerned),
        gateways.count(op.connection, concerned, MOST),
        policies.changed_at(op.connection, paths[0], setting),
        len(nodes.live(op.connection, op.now)),
        tuple(behind),
    )


def _takers(known: Policies, setting: Setting, top: str, paths: tuple[str, ...]) -> Iterator[str]:
    """The units between which and `top` none has a value of its own."""
    for path in paths:
        chain = up_to_root(path)
        if not any(setting.name in known.own.get(one, ()) for one in chain[: chain.index(top)]):
            yield path
