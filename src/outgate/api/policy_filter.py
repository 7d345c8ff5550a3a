"""The filter of the Policy API's list: clauses of CEL, as tools for Google Workspace write them. Pure.

`setting.type.matches('…')`, `setting.type == '…'` and `customer == '…'`, joined by `&&`, `||` and brackets. Of a
regular expression's words those are known that can't take long: characters, `.`, `.*`, `.+`, `^` and `$`.
"""

import re
from collections.abc import Callable
from typing import Final

CUSTOMER: Final = "customers/my_customer"
_LONGEST: Final = 2000  # characters
_DEEPEST: Final = 20  # brackets
_MOST_STARS: Final = 4  # of one expression: each costs as much as the type is long

_TOKEN: Final = re.compile(
    r"""\s*(?:(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(?P<word>setting\.type(?:\.matches)?|customer|&&|\|\||==|[()]))"""
)
_PIECE: Final = re.compile(r"\\[^\w\s]|\.[*+]|[\w/.-]", re.ASCII)

Filter = Callable[[str], bool]  # by a setting's type


class BadFilter(ValueError):
    """It can't be read; the text says where."""


def parse(text: str) -> Filter:
    """Raises BadFilter."""
    if len(text) > _LONGEST:
        raise BadFilter(f"it has more than {_LONGEST} characters")
    reader = _FilterReader(_tokens(text))
    found = reader.any_of(0)
    reader.expect("")
    return found


def _tokens(text: str) -> list[str]:
    found, position, text = list[str](), 0, text.strip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise BadFilter(f"'{text[position : position + 40]}' is not known here")
        found.append(match["text"] or match["word"])
        position = match.end()
    return found


class _FilterReader:
    def __init__(self, tokens: list[str]) -> None:
        self._tokens = [*tokens, ""]

    def expect(self, *words: str) -> str:
        """The next token, which must be one of these."""
        if self._tokens[0] not in words:
            wanted, found = " or ".join(words) or "the end", self._tokens[0][:40] or "the end"
            raise BadFilter(f"there must be {wanted} where it has {found}")
        return self._take()

    def any_of(self, depth: int) -> Filter:
        """Clauses joined by ||."""
        found = [self._all_of(depth)]
        while self._tokens[0] == "||":
            self._take()
            found.append(self._all_of(depth))
        return lambda name: any(one(name) for one in found)

    def _all_of(self, depth: int) -> Filter:
        found = [self._clause(depth)]
        while self._tokens[0] == "&&":
            self._take()
            found.append(self._clause(depth))
        return lambda name: all(one(name) for one in found)

    def _clause(self, depth: int) -> Filter:
        match self.expect("(", "customer", "setting.type", "setting.type.matches"):
            case "(":
                if depth == _DEEPEST:
                    raise BadFilter(f"it has more than {_DEEPEST} brackets within each other")
                found = self.any_of(depth + 1)
                self.expect(")")
                return found
            case "customer":
                is_ours = self._compared() == CUSTOMER
                return lambda _name: is_ours
            case "setting.type":
                wanted = self._compared()
                return lambda name: name == wanted
        self.expect("(")
        pattern = _pattern(self._text())
        self.expect(")")
        return lambda name: pattern.search(name) is not None

    def _compared(self) -> str:
        self.expect("==")
        return self._text()

    def _text(self) -> str:
        token = self._take()
        if token[:1] not in ("'", '"'):
            raise BadFilter(f"there must be a text in quotes where it has {token[:40] or 'the end'}")
        return token[1:-1].replace("\\\\", "\\")

    def _take(self) -> str:
        return self._tokens.pop(0) if self._tokens[0] else ""


def _pattern(text: str) -> re.Pattern[str]:
    body = text.removeprefix("^").removesuffix("$")
    pieces = _PIECE.findall(body)
    if "".join(pieces) != body or sum(one in (".*", ".+") for one in pieces) > _MOST_STARS:
        raise BadFilter(f"'{text[:80]}': of regular expressions only characters, ., .*, .+, ^ and $ are known here")
    return re.compile(text)
