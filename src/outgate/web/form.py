"""What was sent with a form, or in the query of an address: fields, and files where the form may have some."""

from collections.abc import Iterable, Mapping
from typing import Final, Self
from urllib.parse import parse_qsl

from starlette.datastructures import UploadFile
from starlette.requests import Request

from outgate.frozen import frozen
from outgate.http.body_limit import body_of
from outgate.printable import without_nul

MAX_FORM: Final = 64 * 1024  # bytes
_MAX_FIELDS: Final = 200
_MAX_FILES: Final = 100
_MAX_FIELD: Final = 4 * 1024 * 1024  # bytes of one field of a form with files: a text, and the same as HTML


@frozen
class SentFile:
    """A file that came with a form; name and type are what the browser says."""

    name: str
    content_type: str
    content: bytes


class Form:
    """The fields by name; of several with one name the last counts."""

    def __init__(self, fields: Iterable[tuple[str, str]], files: Iterable[SentFile] = ()) -> None:
        self._fields: Mapping[str, str] = dict(fields)
        self.files = tuple(files)

    @classmethod
    def sent_with(cls, request: Request) -> Self:
        """Of the body of a POST, which was read before; else of the query. What is no form has no fields."""
        if request.method != "POST":
            return cls(request.query_params.multi_items())
        try:
            return cls(parse_qsl(body_of(request).decode(), keep_blank_values=True, max_num_fields=_MAX_FIELDS))
        except ValueError:  # neither UTF-8 nor few
            return cls(())

    @classmethod
    async def with_files(cls, request: Request) -> Self:
        """Of a POST whose body was not read before (multipart/form-data, RFC 7578). Raises HTTPException (400)."""
        sent = await request.form(max_files=_MAX_FILES, max_fields=_MAX_FIELDS, max_part_size=_MAX_FIELD)
        try:
            fields = [(name, value) for name, value in sent.multi_items() if isinstance(value, str)]
            files = [one for _, one in sent.multi_items() if isinstance(one, UploadFile) and one.filename]
            return cls(fields, [await _read(one) for one in files])
        finally:
            await sent.close()

    def __contains__(self, name: str) -> bool:
        return name in self._fields

    def text(self, name: str, default: str = "") -> str:
        """A field without spaces round it, or NUL."""
        return without_nul(self._fields.get(name, default)).strip()

    def long_text(self, name: str) -> str:
        """A text of several lines, as it was typed but for the line ends and NUL."""
        return without_nul(self._fields.get(name, "")).replace("\r\n", "\n")

    def secret(self, name: str) -> str:
        """A password, just as it was typed."""
        return self._fields.get(name, "")

    def number(self, name: str) -> int | None:
        """A whole number of at least 0; None if it is none."""
        return number_in(self.text(name))

    def ticked(self, name: str) -> bool:
        """Whether a box was ticked: browsers send it only then."""
        return name in self._fields


def number_in(text: str) -> int | None:
    """A whole number of at least 0, of a size that the base knows; None if it is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


async def _read(file: UploadFile) -> SentFile:
    return SentFile(file.filename or "", file.content_type or "", await file.read())
