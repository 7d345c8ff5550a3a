"""What is declared of a method of Outgate's own API: a row of the operation table, and where it is asked for.

Name, description and scope are the operation's: each privilege is a scope of its own, which a program needs beside the
privilege of the user that it acts for. Knows no single operation.
"""

import re
from typing import Final, Protocol

from outgate.api.api_call import ApiCall
from outgate.api.api_method import Answer, ApiMethod, ApiParameter, Resource, Verb
from outgate.api.google_error import ApiError, invalid
from outgate.directory.privileges import IN_WORDS, Privilege
from outgate.operations.operation_table import Operation

MOST: Final = 1000  # entries of a page
USUAL: Final = 100

LIMIT: Final = ApiParameter(
    "limit", f"At most so many, {MOST} in any case.", "query", "integer", "int32", default=str(USUAL)
)
CURSOR: Final = ApiParameter("cursor", "The page that an answer's `nextCursor` names.", "query")


class Declared(Protocol):
    """A function that is an operation."""

    @property
    def operation(self) -> Operation:
        """Its row in the table."""


def scope_of(privilege: Privilege) -> str:
    """The scope without which a program does nothing that needs the privilege."""
    return f"outgate.{privilege}"


def scopes(methods: tuple[ApiMethod, ...]) -> dict[str, str]:
    """All that these methods need, in words."""
    needed = {one for method in methods for one in (*method.scopes, *method.and_scopes)}
    return {scope_of(one): text for one, text in IN_WORDS.items() if scope_of(one) in needed}


def own_method(
    operation: Declared,
    verb: Verb,
    path: str,
    answer: Answer,
    *parameters: ApiParameter,
    name: str = "",
    says: str = "",
    takes: type[Resource] | None = None,
    gives: type[Resource] | None = None,
    besides: tuple[Declared, ...] = (),
    guarded_by: tuple[Declared, ...] = (),
) -> ApiMethod:
    """A method that does this operation. `besides` are others that it calls; `name` tells apart two ways to the same
    one. `guarded_by` are those that read the state that If-Match names; without any it is not looked at.
    """
    row = operation.operation
    return ApiMethod(
        id=row.name + (f".{name}" if name else ""),
        verb=verb,
        path=path,
        description=f"{row.summary} {says}".strip(),
        scopes=(scope_of(row.needs),),
        answer=answer,
        parameters=(*(one for one in parameters if one.location == "path"), *_queried(parameters)),
        takes=takes,
        gives=gives,
        and_scopes=tuple(one for one in _scopes_of(besides) if one != scope_of(row.needs)),
        match_scopes=_scopes_of(guarded_by),
    )


def _scopes_of(operations: tuple[Declared, ...]) -> tuple[str, ...]:
    return tuple(sorted({scope_of(one.operation.needs) for one in operations}))


def _queried(parameters: tuple[ApiParameter, ...]) -> list[ApiParameter]:
    return [one for one in parameters if one.location == "query"]


def limit_of(call: ApiCall) -> int:
    """How many entries a page is to have."""
    return min(int(call.parameters.get("limit", USUAL)) or USUAL, MOST)


def cursor_of(call: ApiCall, form: str) -> tuple[str, ...]:
    """The parts of the cursor, which has this form (a regular expression); none at the begin. Raises ApiError."""
    text = call.parameters.get("cursor", "")
    found = re.fullmatch(form, text, re.ASCII)
    if text and not found:
        raise no_cursor()
    return found.groups() if found else ()


def no_cursor() -> ApiError:
    """No answer has had such a cursor."""
    return invalid("Invalid value for cursor: it must be the nextCursor of an answer to the same question.")
