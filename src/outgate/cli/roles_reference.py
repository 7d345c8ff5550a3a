"""docs/roles.md and docs/policy.md, made of what the checks themselves are made of: operations and directory."""

import importlib
import pkgutil

from outgate import operations
from outgate.directory.privileges import BUILT_IN, Privilege, Role
from outgate.directory.settings import SETTINGS, in_words
from outgate.operations.operation_table import OPERATIONS, Operation


def all_operations() -> dict[str, Operation]:
    """All operations by name: each is known once its file was imported."""
    for module in pkgutil.iter_modules(operations.__path__):
        importlib.import_module(f"{operations.__name__}.{module.name}")
    return dict(sorted(OPERATIONS.items()))


def roles_page() -> str:
    """Roles, privileges, and the table of operations crossed with roles."""
    names = " | ".join(BUILT_IN)
    rules = "|---" * (len(BUILT_IN) + 2) + "|"
    return f"""\
# Roles

An administrator is a user with a role. A role is a set of privileges; it is given for an organisational unit and holds
there and in all units below (`outgate role assign alice@example.com help-desk --ou /Sales`). Who can read the data
directory and runs `outgate` there may do everything; `outgate --as ADDRESS` acts as an administrator, with that one's
privileges. The check is made at every call, in the transaction that does the work.

- Nobody changes anything about a user who may do more than they may themselves, and nobody gives a role away that has
  more than they have.
- What is about two things (two users, a user and a unit, an address and whoever has it) needs the role for both.
- Whoever makes users come under a grant (into a group, or into a unit, with it or below it) needs the same over
  everybody who has an address that is granted there and new to one of them: as their primary address, or proven by
  them, or given or granted to them alone. Else a super administrator must do it. Who has it only with all of a group or
  unit, and addresses outside the own domains, ask nothing.
- What concerns the whole organisation (unit: `/`) needs the role for the root.
- Users do what is marked *own* to their own account without any role.
- What was done, and who was denied, is in the audit trail (`outgate audit list`).

## Roles that come with Outgate

| role | for | privileges |
|---|---|---|
{_roles()}

`outgate role create` makes others, of these privileges: {", ".join(f"`{one}`" for one in Privilege)}.

## Operations

| operation | | needs | in unit | own | {names} |
{rules}---|---|---|
{_operations()}
"""


def _roles() -> str:
    return "\n".join(
        f"| `{role.name}` | {role.summary} | {', '.join(f'`{one}`' for one in sorted(role.privileges))} |"
        for role in BUILT_IN.values()
    )


def _operations() -> str:
    return "\n".join(_row(one) for one in all_operations().values())


def _row(one: Operation) -> str:
    cells = [f"`{one.name}`", one.summary, f"`{one.needs}`", one.where, "own" if one.own else ""]
    return "| " + " | ".join([*cells, *(_mark(one, role) for role in BUILT_IN.values())]) + " |"


def _mark(one: Operation, role: Role) -> str:
    return "yes" if one.needs in role.privileges else ""


def policy_page() -> str:
    """The settings of policy, with what they may be and their defaults."""
    rows = "\n".join(
        f"| `{one.name}` | `{in_words(one.default) or ' '}` | {one.form} | {one.summary} |" for one in SETTINGS.values()
    )
    return f"""\
# Policy

What users may do, set for an organisational unit: `outgate policy set SETTING VALUE --ou /Sales`. A unit without a
value of its own inherits its parent's; `outgate policy list --ou /Sales` shows each value and where it comes from;
`outgate policy clear` lets a unit inherit again. A change is in force at the next SMTP command on every node, and for
mail that waits. Lists are separated by commas.

| setting | default | may be | |
|---|---|---|---|
{rows}
"""
