"""Whether a text contains another one, whatever the case of its letters, as cheaply as each database can tell.

Which letters have a case: those of ASCII on SQLite, those of the database's locale on PostgreSQL. What SQLAlchemy says
for SQLite calls lower() on both for each row, though LIKE there knows no case by itself.
"""

from typing import Any, Final

from sqlalchemy import ColumnElement
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import BindParameter
from sqlalchemy.types import Boolean, Text

from outgate.printable import without_nul

LONGEST: Final = 10_000  # characters that are looked at: no text in a column is as long; SQLite takes 50,000 bytes


class Containing(ColumnElement[bool]):
    """`text` stands somewhere in the column, letter by letter: nothing in it has a meaning."""

    type = Boolean()
    inherit_cache = False
    _is_implicitly_boolean = True  # else SQLAlchemy compares it with 1

    def __init__(self, column: ColumnElement[str], text: str) -> None:
        self.column = column
        escaped = without_nul(text[:LONGEST]).replace("/", "//").replace("%", "/%").replace("_", "/_")
        self.pattern = BindParameter[str](None, f"%{escaped}%", Text(), unique=True)


@compiles(Containing, "sqlite")
def _like(element: Containing, compiler: SQLCompiler, **options: Any) -> str:
    return _compared("LIKE", element, compiler, options)


@compiles(Containing, "postgresql")
def _ilike(element: Containing, compiler: SQLCompiler, **options: Any) -> str:
    return _compared("ILIKE", element, compiler, options)


def _compared(by: str, element: Containing, compiler: SQLCompiler, options: dict[str, Any]) -> str:
    column, pattern = (compiler.process(one, **options) for one in (element.column, element.pattern))
    return f"({column} {by} {pattern} ESCAPE '/')"
