"""The parameter `fields`, by which a program says which parts of an answer it wants. Pure.

As in `sendAs(sendAsEmail,smtpMsa/host)`: names parted by commas, what is within one in brackets or after a slash, `*`
for all. Of a list every element is meant.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

Mask = Mapping[str, "Mask | None"]  # what is wanted of a name; None: all of it

_TOKEN: Final = re.compile(r"[A-Za-z0-9_.$-]+|[*,()/]")
_LONGEST: Final = 4000  # characters; each name costs as much as what is behind it
_DEEPEST: Final = 10


class BadMask(ValueError):
    """It can't be read; the text is the mask."""


def parse(text: str) -> Mask:
    """Raises BadMask."""
    if len(text) > _LONGEST:
        raise BadMask(text)
    tokens = _TOKEN.findall(text)
    if "".join(tokens) != text.replace(" ", ""):
        raise BadMask(text)
    try:
        mask, rest = _names(tokens, 0)
    except IndexError:
        raise BadMask(text) from None
    if rest:
        raise BadMask(text)
    return mask


def select(value: Any, mask: Mask) -> Any:
    """The parts of a value (as JSON has it) that are wanted."""
    if isinstance(value, list):
        return [select(one, mask) for one in value]
    if not isinstance(value, Mapping) or "*" in mask:
        return value
    found: dict[str, Any] = {}
    for name in value:
        if name in mask:
            within = mask[name]
            found[name] = value[name] if within is None else select(value[name], within)
    return found


def _names(tokens: list[str], depth: int) -> tuple[Mask, list[str]]:
    if depth > _DEEPEST:
        raise BadMask("".join(tokens))
    mask: dict[str, Mask | None] = {}
    while True:
        name, tokens = tokens[0], tokens[1:]
        if name in ",()/":
            raise BadMask(name)
        mask[name], tokens = _within(tokens, depth)
        if not tokens or tokens[0] != ",":
            return mask, tokens
        tokens = tokens[1:]


def _within(tokens: list[str], depth: int) -> tuple[Mask | None, list[str]]:
    if tokens and tokens[0] == "/":
        name = tokens[1]
        if name in ",()/" or depth > _DEEPEST:
            raise BadMask(name)
        within, rest = _within(tokens[2:], depth + 1)
        return {name: within}, rest
    if tokens and tokens[0] == "(":
        mask, rest = _names(tokens[1:], depth + 1)
        if rest[0] != ")":
            raise BadMask(rest[0])
        return mask, rest[1:]
    return None, tokens
