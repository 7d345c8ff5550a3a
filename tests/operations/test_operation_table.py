"""The one table of operations, compared with what the command line offers and with docs/roles.md."""

import ast
import inspect
import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from types import FunctionType
from typing import Final

import pytest
from typer.core import TyperGroup
from typer.main import get_group

from outgate.api.api_method import ApiMethod
from outgate.api.own_surface import OWN
from outgate.api.surfaces import SURFACES
from outgate.cli.lazy_command import LazyCommand
from outgate.cli.program import app
from outgate.cli.roles_reference import all_operations
from outgate.operations.operation_table import Operation

ROOT: Final = Path(__file__).parents[2]
SOURCE: Final = ROOT / "src" / "outgate"

# Commands that neither show nor change anything that is kept, or that nobody could be asked about.
NO_OPERATION: Final = {
    "serve": "is the server",
    "metrics": "shows what the server has counted, of nobody in particular",
    "demo": "has installations of its own",
    "sendas discover": "asks the DNS and the web alone",
    "systemd-unit": "prints a text that nobody need keep",
    "ldap check": "asks the LDAP directory alone",
}
# Operations that no command calls.
NO_COMMAND: Final[Mapping[str, str]] = {
    "gateway.census": "what a chart shows; `outgate gateway list` has each gateway",
    "log.traffic": "what charts show; `outgate metrics` has the same counts since the server's start",
    "log.routes": "what a page shows beside each message; `outgate log ID` says it of one",
    "policy.reach": "what the page says before it saves; a command waits until it is in force",
    "unit.tree": "numbers are for programs, by the API",
    "draft.list": "drafts are written and read on their pages",
    "draft.show": "the same",
    "draft.raw": "what the API tells of a draft",
    "draft.save": "drafts are written and read on their pages",
    "draft.attach": "the same",
    "draft.detach": "the same",
    "draft.delete": "the same",
    "upload.add": "what programs do by JMAP",
    "upload.read": "the same",
    "upload.take": "the same",
    "upload.messages": "the same",
    "upload.note": "the same",
    "upload.delete": "the same",
    "submission.send": "the same; `outgate send` sends what it is given",
    "submission.list": "the same; `outgate log` has all",
    "submission.headings": "the same",
    "submission.before": "the same",
    "submission.position": "the same",
    "submission.changes": "the same",
    "submission.cancel": "the same; `outgate queue delete` stops any message",
    "submission.forget": "the same",
    "log.own": "what a program asks that acts for a user; `outgate log ID` says it of all",
    "log.own-list": "the same; `outgate log`",
    "consent.give": "a page asks the user",
    "mail.write": "sends a draft of the pages; `outgate send` sends what it is given",
    "mail.check": "what a page says while one types; `outgate explain` says more",
    "mail.recall": "makes a draft of the pages of it again; `outgate queue delete` stops any message",
    "sent.list": "what a user has sent from the pages; `outgate log` has all",
    "sent.trouble": "the same",
    "sent.show": "the same",
    "sent.retry": "what users do on their pages; administrators have `outgate queue retry`",
    "sent.again": "the same",
    "sent.past-gateway": "the same; administrators have `outgate queue move`",
    "sent.give-up": "the same; administrators have `outgate queue delete`",
    "send-as.last-used": "what a page shows beside each address; `outgate log --from` has all",
    "send-as.signatures": "what is written below messages of the pages",
    "send-as.sign": "the same",
    "send-as.overview": "what a page shows; `outgate sendas list` and `outgate queue list` say the same",
    "session.list": "browsers are told apart on the page that lists them",
    "session.end": "the same; all of a user's end by `outgate user log-out`",
    "setup.show": "what the console's home looks at; `outgate status` and `outgate domain show` say the same",
    "send-as.search": "page by page, as a page shows them; `outgate sendas list` lists all",
    "address-grant.search": "page by page, as a page shows them; `outgate address-grant list` lists all",
    "group.search": "page by page and by conditions, as programs ask; `outgate group list` lists all",
    "provisioning.search": "what an identity provider asks for by SCIM; `outgate user list` lists all",
    "provisioning.show": "the same; `outgate user show` shows more",
    "provisioning.name": "what an identity provider says by SCIM; an administrator has `outgate user edit`",
    "user.search": "page by page, as a page shows them; `outgate user list` lists all",
    "second-factor.show": "what each user sees on their page, with a command to reset it",
    "second-factor.begin": "an app scans it from the page",
    "second-factor.enrolment": "the same",
    "second-factor.confirm": "the same",
    "second-factor.codes": "shown to their user alone, on the page",
    "second-factor.remove": "the user's own doing; an administrator has `outgate user reset-second-factor`",
    "passkey.add": "a browser makes them",
    "passkey.remove": "the user's own doing; an administrator has `outgate user reset-second-factor`",
    "user.prefer": "what users choose on their pages; an administrator has `outgate user edit`",
}
# Operations that neither Outgate's own API nor Google's calls.
NO_API: Final[Mapping[str, str]] = {
    # What begins as these do.
    "address-grant.search": "what a page shows; the list has all",
    "app-password.": "credentials: had and ended where somebody shows who they are, on pages and by commands",
    "second-factor.": "the same",
    "passkey.": "the same",
    "session.": "the same",
    "user.link": "the same",
    "user.log-in-link": "the same",
    "service-account.": "no program lets programs in, or gives itself more",
    "program.": "the same",
    "consent.": "the same",
    "scim-token.": "the same",
    "secrets.": "keys of the vault: by commands, where its files are",
    "audit.verify": "reads the whole trail while nobody else writes: by a command; the Reports API tells it",
    "domain-proof.check": "the server asks the DNS by itself",
    "domain.check-keys": "the same",
    "group.search": "by conditions, as SCIM asks",
    "provisioning.": "by SCIM",
    "upload.": "by JMAP",
    "submission.": "the same",
    "sent.": "what the pages show of messages written there; the log has all of them",
    "mail.recall": "the same",
    "mail.check": "what a page says while one types; `mail.explain` says more",
    "log.routes": "what a page shows beside each message; `log.show` says it of one",
    "policy.reach": "what a page says before it saves",
    "setup.show": "what the console's home looks at",
    "user.prefer": "what users choose on their pages",
    "user.list": "all at once, for a command; the Directory API has pages of them",
    "unit.list": "the same",
    "send-as.list-all": "the same; Gmail's form has a user's",
    "send-as.search": "pages of the console; Gmail's form has a user's",
    "send-as.overview": "what a page shows; the parts are in Gmail's form and in `queue.list`",
    "send-as.last-used": "what a page shows beside each address; the log has all",
}
# Commands that read or write rows past the operations, and why.
PAST_THE_OPERATIONS: Final = {
    "init": "there is no organisation yet",
    "secrets": "rotates the keys in transactions of its own, which secret_operations.rotate calls",
}

Node = tuple[str, str]  # module, name at its top

_COMMANDS: Final = ("outgate.commands.", "outgate.operations.")
_APIS: Final = ("outgate.api.", "outgate.operations.")
_ROOMS: Final = ("directory", "sendas", "queue", "record", "store", "submit")


def commands() -> dict[str, Node]:
    """The function of each command, by the words after `outgate`."""
    return dict(_commands(get_group(app), ""))


def _commands(group: TyperGroup, path: str) -> Iterator[tuple[str, Node]]:
    for name, entry in group.commands.items():
        found = entry.load() if isinstance(entry, LazyCommand) else entry
        if isinstance(found, TyperGroup):
            yield from _commands(found, f"{path}{name} ")
        else:
            body = inspect.unwrap(found.callback or (lambda: None))
            yield f"{path}{name}", (body.__module__, body.__name__)


@cache
def _references(module: str) -> dict[str, set[Node]]:
    """What each function, class and constant of a module uses of this and of others."""
    path = SOURCE.joinpath(*module.split(".")[1:]).with_suffix(".py")
    if not path.exists():  # it is a name in a module
        return {}
    tree = ast.parse(path.read_text())
    known = dict(_imported(tree)) | {name: (module, name) for node in tree.body for name in _names(node)}
    return {name: set(_used(node, known)) for node in tree.body for name in _names(node)}


def _imported(tree: ast.Module) -> Iterator[tuple[str, Node]]:
    for node in ast.walk(tree):  # some imports are still within functions
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("outgate"):
            for name in node.names:
                yield name.asname or name.name, (str(node.module), name.name)


def _names(node: ast.stmt) -> list[str]:
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return [name]
        case ast.Assign(targets=targets):
            return [target.id for target in targets if isinstance(target, ast.Name)]
        case ast.AnnAssign(target=ast.Name(id=name)):
            return [name]
    return []


def _used(tree: ast.AST, known: Mapping[str, Node]) -> Iterator[Node]:
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id=name), attr=attribute) if name in known:
                yield f"{known[name][0]}.{known[name][1]}", attribute
            case ast.Name(id=name) if name in known:
                yield known[name]


def reached(start: Node, within: tuple[str, ...] = _COMMANDS) -> set[Node]:
    """All that a function uses, whatever lies between, in a face and operations/."""
    seen: set[Node] = set()
    ahead = [start]
    while ahead:
        node = ahead.pop()
        if node not in seen and node[0].startswith(within):
            seen.add(node)
            ahead += _references(node[0]).get(node[1], ())
    return seen


def _node(operation: Operation) -> Node:
    body = operation.body
    assert isinstance(body, FunctionType)
    return body.__module__, body.__name__


def test_every_command_calls_an_operation_or_there_is_a_reason() -> None:
    operations = {_node(operation) for operation in all_operations().values()}
    without = {name for name, node in commands().items() if not reached(node) & operations}
    assert without == set(NO_OPERATION)


def test_every_operation_is_offered_by_a_command_or_there_is_a_reason() -> None:
    offered = set().union(*(reached(node) for node in commands().values()))
    missing = {name for name, operation in all_operations().items() if _node(operation) not in offered}
    assert missing == set(NO_COMMAND)


def test_every_operation_is_offered_by_an_api_or_there_is_a_reason() -> None:
    """By Outgate's own, or by Google's form of it."""
    operations = {_node(operation): name for name, operation in all_operations().items()}
    offered = {method.id for method in OWN.methods} | {
        operations[node]
        for surface in SURFACES
        for method in surface.methods
        for node in reached(_start(method), _APIS) & operations.keys()
    }
    missing = {name for name in operations.values() if not any(f"{one}.".startswith(f"{name}.") for one in offered)}
    excused = {name: {begin for begin in NO_API if name.startswith(begin)} for name in missing}
    assert [name for name, begins in excused.items() if not begins] == []
    assert set(NO_API) == set().union(*excused.values())


def _start(method: ApiMethod) -> Node:
    """The function at its module's top that answers, or that makes what does."""
    return method.answer.__module__, method.answer.__qualname__.partition(".")[0]


def test_the_table_is_what_the_docs_say() -> None:
    page = (ROOT / "docs" / "roles.md").read_text().partition("## Operations")[2]
    rows = re.findall(r"^\| `([\w.-]+)` \| (.*?) \| `([\w-]+)` \| (.*?) \| (own)? ?\|", page, re.MULTILINE)
    told = {name: (summary, needs, where, own == "own") for name, summary, needs, where, own in rows}
    assert told == {
        name: (operation.summary, str(operation.needs), operation.where, operation.own)
        for name, operation in all_operations().items()
    }


def test_all_that_a_caller_gives_is_typed() -> None:
    for operation in all_operations().values():
        for parameter in operation.parameters:
            assert "Any" not in str(parameter.type), (operation.name, parameter.name)
        names = {parameter.name for parameter in operation.parameters}
        assert operation.services.isdisjoint(names)
        assert operation.services <= set(inspect.signature(operation.body).parameters)
        assert {name for finder in operation.targets for name in finder.parameters} <= names


@pytest.mark.parametrize("path", sorted((SOURCE / "commands").glob("*.py")), ids=lambda path: path.stem)
def test_commands_read_and_write_no_row_themselves(path: Path) -> None:
    past = sorted({name for name in _row_functions(path) if path.stem not in PAST_THE_OPERATIONS})
    assert past == []


def test_whoever_goes_past_the_operations_does() -> None:
    """A reason that holds no more is taken from the list."""
    for name in PAST_THE_OPERATIONS:
        assert list(_row_functions(SOURCE / "commands" / f"{name}.py")), name


def _row_functions(path: Path) -> Iterator[str]:
    """What a file uses of those rooms that takes a connection or an engine; and the connection of an operation."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr == "connection":
            yield ".connection"
    known = {name: node for name, node in _imported(tree) if node[0].split(".")[1:2] and node[0] != "outgate.commands"}
    for module, name in set(_used(tree, known)):
        if module.split(".")[1] in _ROOMS and _takes_rows(module, name):
            yield f"{module}.{name}"


def _takes_rows(module: str, name: str) -> bool:
    try:
        found = getattr(import_module(module), name, None)
    except ModuleNotFoundError:  # an attribute of something that is no module
        return False
    if not isinstance(found, FunctionType):
        return False
    hints = [str(parameter.annotation) for parameter in inspect.signature(found).parameters.values()]
    return any("Connection" in hint or "Engine" in hint for hint in hints)
