"""What the pages say, by language: a catalogue of translations, dates as they are written there, errors in words.

The English text is the key (gettext). locales/it.po is read when it is first needed, so nothing is compiled beforehand.
Knows no page.
"""

import gettext
from collections.abc import Mapping
from datetime import datetime, tzinfo
from functools import cache
from importlib.resources import files
from io import BytesIO
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from babel.dates import format_date, format_datetime, format_skeleton, format_time
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal
from babel.units import format_unit
from markupsafe import Markup

from outgate.directory.errors import DirectoryError
from outgate.mail.addresses import AddressError
from outgate.model import Phrase
from outgate.operations.error_codes import text_of

_MAX_ZONE: Final = 64
_THOUSAND: Final = 1000
_TIMES: Final = ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))
_BYTES: Final = ("digital-byte", "digital-kilobyte", "digital-megabyte")


def N_(text: str) -> str:  # noqa: N802  # gettext's own name for a text that is translated later
    """Marks a text for the catalogue where it is written down, not yet shown."""
    return text


class Words:
    """All that is said in one language."""

    def __init__(self, language: str, translations: gettext.NullTranslations) -> None:
        self.language, self.translations = language, translations

    def __call__(self, text: str, /, **facts: object) -> str:
        """A text of the catalogue, with its %(facts)s."""
        said = self.translations.gettext(text)
        return said % facts if facts else said

    def several(self, one: str, many: str, number: int, /, **facts: object) -> str:
        """A text that depends on a number, which it has as %(num)s."""
        return self.translations.ngettext(one, many, number) % {"num": self.number(number), **facts}

    def error(self, error: Exception) -> str:
        """Why something can't be done, in a sentence that begins and ends as one; a name stays as it is."""
        form, facts = self._form(error)
        if not form.startswith("{"):
            form = form[:1].upper() + form[1:]
        said = form.format_map(facts) if facts else form
        return said if said.endswith((".", "!", "?")) else f"{said}."

    def _form(self, error: Exception | Phrase) -> tuple[str, Mapping[str, object]]:
        """What an error goes back to is said in this language, too."""
        if not isinstance(error, DirectoryError | AddressError | Phrase):
            return self(text_of(error)), {}
        return self(error.text), {name: self._fact(value) for name, value in error.facts.items()}

    def _fact(self, value: object) -> object:
        return self.phrase(value) if isinstance(value, Exception | Phrase) else value

    def phrase(self, value: Exception | Phrase) -> str:
        """As it stands in the middle of a sentence."""
        form, facts = self._form(value)
        return form.format_map(facts) if facts else form

    def moment(self, at: float, zone: tzinfo, now: float) -> Markup:
        """A time as short as it is still understood, with the full instant on hover."""
        then, today = datetime.fromtimestamp(at, zone), datetime.fromtimestamp(now, zone)
        clock = format_time(then, "short", locale=self.language)
        if then.date() == today.date():
            short = clock
        else:
            day = format_skeleton("MMMd" if then.year == today.year else "yMMMd", then, locale=self.language)
            short = f"{day} {clock}"
        full = format_datetime(then, "full", locale=self.language)
        return Markup('<time datetime="{}" title="{}">{}</time>').format(then.isoformat(), full, short)

    def long_moment(self, at: float, zone: tzinfo) -> str:
        """A time as it is written in a text that others read."""
        return format_datetime(datetime.fromtimestamp(at, zone), "long", locale=self.language)

    def clock(self, at: float, zone: tzinfo) -> str:
        """The time of day."""
        return format_time(datetime.fromtimestamp(at, zone), "short", locale=self.language)

    def instant(self, at: float, zone: tzinfo) -> Markup:
        """The time of day to the millisecond, with the full instant on hover."""
        then = datetime.fromtimestamp(at, zone)
        full = format_datetime(then, "full", locale=self.language)
        clock = f"{then:%H:%M:%S}.{then.microsecond // _THOUSAND:03}"
        return Markup('<time datetime="{}" title="{}">{}</time>').format(then.isoformat(), full, clock)

    def day(self, at: float, zone: tzinfo) -> str:
        """The date alone."""
        return format_date(datetime.fromtimestamp(at, zone), "medium", locale=self.language)

    def milliseconds(self, seconds: float) -> str:
        """How long something took."""
        return format_unit(round(seconds * _THOUSAND), "duration-millisecond", "short", locale=self.language)

    def duration(self, seconds: float) -> str:
        """In the longest unit of which it is a whole number."""
        whole = round(seconds)
        number, unit = next((whole // each, unit) for each, unit in _TIMES if not whole % each)
        return format_unit(number, f"duration-{unit}", locale=self.language)

    def size(self, value: float) -> str:
        """Bytes, in the unit that leaves the fewest digits."""
        unit = min(len(f"{value:.0f}") - 1, 3 * len(_BYTES) - 1) // 3
        return format_unit(round(value / _THOUSAND**unit, int(unit > 1)), _BYTES[unit], "short", locale=self.language)

    def number(self, value: float, pattern: str = "#,##0.##") -> str:
        """As it is written there."""
        return format_decimal(value, pattern, locale=self.language)


@cache
def words(language: str) -> Words:
    """What is said in a language of language.LANGUAGES."""
    return Words(language, _translations(language))


def zone_of(name: str) -> tzinfo:
    """The time zone that a browser names; the server's own if there is none of that name."""
    try:
        return ZoneInfo(name) if 0 < len(name) <= _MAX_ZONE else _local_zone()
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return _local_zone()


def _local_zone() -> tzinfo:
    zone = datetime.now().astimezone().tzinfo  # asked for the zone, not the time
    assert zone
    return zone


def _translations(language: str) -> gettext.NullTranslations:
    source = files("outgate.web") / "locales" / f"{language}.po"
    if not source.is_file():
        return gettext.NullTranslations()
    compiled = BytesIO()
    with source.open("rb") as file:
        write_mo(compiled, read_po(file, locale=language))
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)
