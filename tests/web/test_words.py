"""The catalogue is whole: every text that a page may say is there in Italian, with the same facts in it."""

import re
from string import Formatter

import pytest
from babel.messages.pofile import read_po
from tools.catalogue import LOCALES, messages

from outgate.web.language import LANGUAGES
from outgate.web.words import words

TRANSLATED = [language for language in LANGUAGES if language != "en"]


def facts(text: str) -> set[str]:
    """The names that are filled in, in either of the two forms."""
    braces = {name for _, name, _, _ in Formatter().parse(text.replace("%(", "(")) if name}
    return set(re.findall(r"%\((\w+)\)", text)) | braces


@pytest.mark.parametrize("language", TRANSLATED)
def test_every_text_is_translated_and_no_other(language: str) -> None:
    with (LOCALES / f"{language}.po").open("rb") as file:
        catalogue = read_po(file, locale=language)
    there = {message.id: message.string for message in catalogue if message.id}
    assert set(there) == {text for text, _ in messages()}, "run tools/catalogue.py"
    for text, said in there.items():
        forms = [said] if isinstance(said, str) else list(said or [""])
        assert all(forms), f"not translated yet: {text}"
        assert all(facts(form) == facts(text if isinstance(text, str) else text[1]) for form in forms), text


def test_what_the_reference_says_is_said_in_its_own_words() -> None:
    italian = words("it")
    assert italian("Allow per-user outbound gateways") == "Consenti gateway in uscita per utente"
    assert italian("End User Access") == "Accesso utente finale"


@pytest.mark.parametrize(
    ("size", "english"),
    [(0, "0 byte"), (999, "999 byte"), (1000, "1 kB"), (412_300, "412 kB"), (36_700_160, "36.7 MB"), (5e9, "5,000 MB")],
)
def test_a_size_has_few_digits(size: float, english: str) -> None:
    assert words("en").size(size) == english
    assert words("it").size(36_700_160) == "36,7 MB"
