"""What was sent with a form, or in the query of an address. Pure."""

from collections.abc import Iterable, Mapping
from typing import Final, Self
from urllib.parse import parse_qsl

from starlette.requests import Request

from outgate.http.body_limit import body_of

MAX_FORM: Final = 64 * 1024  # bytes
_MAX_FIELDS: Final = 200


class Form:
    """The fields by name; of several with one name the last counts."""

    def __init__(self, fields: Iterable[tuple[str, str]]) -> None:
        self._fields: Mapping[str, str] = dict(fields)

    @classmethod
    def sent_with(cls, request: Request) -> Self:
        """Of the body of a POST, which was read before; else of the query. What is no form has no fields."""
        if request.method != "POST":
            return cls(request.query_params.multi_items())
        try:
            return cls(parse_qsl(body_of(request).decode(), keep_blank_values=True, max_num_fields=_MAX_FIELDS))
        except ValueError:  # neither UTF-8 nor few
            return cls(())

    def __contains__(self, name: str) -> bool:
        return name in self._fields

    def text(self, name: str, default: str = "") -> str:
        """A field without spaces round it."""
        return self._fields.get(name, default).strip()

    def secret(self, name: str) -> str:
        """A password, just as it was typed."""
        return self._fields.get(name, "")

    def number(self, name: str) -> int | None:
        """A whole number of at least 0; None if it is none."""
        text = self.text(name)
        return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None

    def ticked(self, name: str) -> bool:
        """Whether a box was ticked: browsers send it only then."""
        return name in self._fields
