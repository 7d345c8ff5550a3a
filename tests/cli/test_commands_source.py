"""Commands say at the top of their file what they use, and types say what it is."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "outgate"
COMMANDS = [pytest.param(path, id=path.stem) for path in sorted((SOURCE / "commands").glob("*.py"))]


def _late_imports(tree: ast.Module) -> Iterator[int]:
    """Lines of imports in functions, and under a condition."""
    top = {id(node) for node in tree.body}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom) and id(node) not in top:
            yield node.lineno


def _uses_of_any(tree: ast.Module) -> Iterator[int]:
    for node in ast.walk(tree):
        match node:
            case ast.Name(id="Any") | ast.Attribute(attr="Any"):
                yield node.lineno
            case ast.ImportFrom(names=names) if any(name.name == "Any" for name in names):
                yield node.lineno


@pytest.mark.parametrize("path", COMMANDS)
def test_a_command_imports_at_the_top_of_its_file(path: Path) -> None:
    """It is loaded only when it is called: there is nothing to put off."""
    assert not list(_late_imports(ast.parse(path.read_text())))


@pytest.mark.parametrize("path", COMMANDS)
def test_a_command_is_typed_throughout(path: Path) -> None:
    assert not list(_uses_of_any(ast.parse(path.read_text())))
