"""Reads Content-Type and Content-Disposition strictly (RFC 2045, 2231): what can be read in two ways is refused.

Recipients' programs repair what is written badly, each in its own way; who decides by a name or a type must not guess
which. Unquoted values that hold no white space are read as all programs do.
"""

import codecs
import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote_to_bytes

from outgate.frozen import frozen
from outgate.mail.addresses import decode_words

# Others of Python's codecs are no character sets of mail, and some of them take quadratic time.
CHARSET: Final = re.compile(
    r"utf-[78]|ascii|iso8859-\d+|cp\d+|koi8-[rtu]|gb2312|gbk|gb18030|hz|big5(hkscs)?|shift_jis\w*|euc_\w+|iso2022_\w+"
    r"|mac-\w+|tis-620|johab|kz1048|ptcp154"
)

_ATOM: Final = r"[!#$%&'*+\-.0-9A-Z^_`a-z{|}~]+"
_ESSENCE: Final = re.compile(rf"\s*({_ATOM}(?:/{_ATOM})?)\s*(?:;|$)")
_PARAMETER: Final = re.compile(rf'\s*({_ATOM})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s";()\\]+))\s*(?:;|$)')
_NOTHING: Final = re.compile(r"[\s;]*$")
_SECTION: Final = re.compile(r"([^*]+)(?:\*(\d{1,3}))?(\*)?")
_EXTENDED: Final = re.compile(r"([^']*)'[^']*'(.*)", re.DOTALL)
_QUOTED_PAIR: Final = re.compile(r"\\(.)", re.DOTALL)


class TwoReadings(ValueError):
    """Programs could read the field in different ways; the text says why."""


@frozen
class MimeField:
    """A value in lower case, as `text/plain` or `attachment`, and for each parameter all its spellings, decoded."""

    essence: str
    parameters: Mapping[str, tuple[str, ...]]

    def one(self, name: str) -> str:
        """The parameter that must not have two values; empty if there is none. Raises TwoReadings."""
        spellings = self.parameters.get(name, ())
        if len(set(spellings)) > 1:
            raise TwoReadings(f"its parameter {name} is there in two spellings")
        return spellings[0] if spellings else ""


def read_mime_field(text: str) -> MimeField:
    """Read an unfolded value. Raises TwoReadings."""
    essence = _ESSENCE.match(text)
    if not essence:
        raise TwoReadings("its value can't be read in one way")
    raw: dict[str, str] = {}
    position = essence.end()
    while not _NOTHING.match(text, position):
        parameter = _PARAMETER.match(text, position)
        if not parameter:
            raise TwoReadings("a parameter can't be read in one way; put its value in quotes")
        name = parameter[1].lower()
        if name in raw:
            raise TwoReadings(f"its parameter {name[:40]} is there twice")
        raw[name] = parameter[3] or _QUOTED_PAIR.sub(r"\1", parameter[2] or "")
        position = parameter.end()
    return MimeField(essence[1].lower(), _decoded(raw))


def _decoded(raw: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    spellings: dict[str, list[str]] = {}
    sections: dict[str, dict[int, tuple[str, bool]]] = {}
    for written, text in raw.items():
        match = _SECTION.fullmatch(written)
        if not match:
            raise TwoReadings("the name of a parameter can't be read")
        name, number, extended = match.groups()
        if number is None:
            spellings.setdefault(name, []).append(_extended(text) if extended else _words(text))
        elif sections.setdefault(name, {}).setdefault(int(number), (text, bool(extended))) != (text, bool(extended)):
            raise TwoReadings(f"its parameter {name[:40]} is there twice")
    for name, parts in sections.items():
        spellings.setdefault(name, []).append(_joined(name, parts))
    return {name: tuple(found) for name, found in spellings.items()}


def _joined(name: str, parts: Mapping[int, tuple[str, bool]]) -> str:
    """The sections of RFC 2231 section 3, of which the first names the character set if any is encoded."""
    if sorted(parts) != list(range(len(parts))):
        raise TwoReadings(f"a section of its parameter {name[:40]} is missing")
    ordered = [parts[number] for number in range(len(parts))]
    if not any(extended for _, extended in ordered):
        return _words("".join([text for text, _ in ordered]))
    if not ordered[0][1]:
        raise TwoReadings(f"its parameter {name[:40]} has no character set")
    return _extended("".join([text if extended else text.replace("%", "%25") for text, extended in ordered]))


def _extended(text: str) -> str:
    match = _EXTENDED.fullmatch(text)
    if not match:
        raise TwoReadings("a parameter has no character set (RFC 2231)")
    return _in_charset(unquote_to_bytes(match[2]), match[1])


def _words(text: str) -> str:
    """Encoded words are not allowed here (RFC 2047 section 5), but programs write and read them."""
    decoded = decode_words(text)
    if "=?" in decoded:
        raise TwoReadings("a parameter has an encoded word in an unknown character set, or a part of one")
    return decoded


def _in_charset(data: bytes, charset: str) -> str:
    try:
        if not CHARSET.fullmatch(codecs.lookup(charset).name):
            raise LookupError
        return data.decode(charset)
    except (LookupError, ValueError):
        raise TwoReadings("a parameter is in an unknown character set, or not in the one that it names") from None
