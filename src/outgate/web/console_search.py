"""What the console's search finds: its pages and settings by all of their names, in the user's language and in English.

Pure; people and messages are found by the pages that list them.
"""

import unicodedata
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from outgate.frozen import frozen
from outgate.web.navigation import Entry
from outgate.web.settings_shown import SHOWN

Said = Callable[[str], str]

_MAX_WORDS: Final = 12


@frozen
class Place:
    """Where something is set or shown: its title and the page, which stands under `group`; all in the user's words."""

    title: str
    path: str
    group: str
    means: str = ""


def find(text: str, entries: Sequence[Entry], said: Said) -> list[Place]:
    """The places that have every word of the text in one of their names; those whose title begins so first."""
    words = _plain(text).split()[:_MAX_WORDS]
    if not words:
        return []
    found = [
        place for place, names in _places(entries, said) if all(any(one in name for name in names) for one in words)
    ]
    return sorted(found, key=lambda place: not _plain(place.title).startswith(words[0]))


def _places(entries: Sequence[Entry], said: Said) -> Iterator[tuple[Place, list[str]]]:
    """Each with all its names, as they are compared."""
    for entry in entries:
        place = Place(said(entry.title), entry.path, said(entry.group) if entry.group else "")
        yield place, _names(said, entry.title, entry.group, *entry.also, *_of_reference(entry))
        for one in SHOWN.values():
            if one.path == entry.path:
                group = f"{place.group} › {place.title}"
                setting = Place(said(one.title), f"{one.path}?setting={one.name}", group, said(one.means))
                yield (
                    setting,
                    _names(said, one.title, one.means, one.name, *one.also, entry.title, *_of_reference(entry)),
                )


def _names(said: Said, *texts: str) -> list[str]:
    """In both languages."""
    return [_plain(one) for text in texts for one in (text, said(text) if text else "")]


def _of_reference(entry: Entry) -> tuple[str, ...]:
    """What the reference's console calls the part of it that is here called Mail."""
    return ("Gmail", "Google Workspace") if "/apps/mail/" in entry.path else ()


def _plain(text: str) -> str:
    """Without case and accents."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(char for char in decomposed if not unicodedata.combining(char))
