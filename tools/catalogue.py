"""Makes the catalogue of the pages' words anew: every text of templates and code, with the translations there are.

    .venv/bin/python tools/catalogue.py

A text that is not translated yet stands there with an empty translation; tests/web/test_words.py says which.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from babel.messages import Catalog
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.pofile import read_po, write_po

from outgate.api.surfaces import SURFACES
from outgate.directory.privileges import BUILT_IN, IN_WORDS
from outgate.directory.reply_rules import shipped
from outgate.discovery import presets
from outgate.route import NOT_ENABLED
from outgate.sendas.verification import WRONG, WRONG_BUT_MORE

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "outgate"
LOCALES = SOURCE / "web" / "locales"

# Errors that users meet on pages are translated, too; those of files that no page leads to need not be.
_ERRORS = (
    "authorise.py",
    "directory/*.py",
    "mail/addresses.py",
    "mailbox/*.py",
    "model.py",
    "oauth/sign_in.py",
    "openid/provider_log_in.py",
    "operations/*.py",
    "route.py",
    "sendas/*.py",
    "submit/*.py",
    "webhooks/endpoints.py",
    "writing/drafts.py",
)
_METHODS = [*((pattern, "python") for pattern in ("web/**.py", *_ERRORS)), ("web/templates/**.html", "jinja2")]
_RAISED = (
    "AddressError",
    "Invalid",
    "NotFound",
    "NotAllowed",
    "AlreadyExists",
    "CodeExpired",
    "MailboxUnavailable",
    "NoMailbox",
    "Phrase",
    "Refused",
    "SignInFailed",
    "ProviderLogInFailed",
    "ProviderUnreachable",
    "TooMuchMail",
)
_KEYWORDS = {**DEFAULT_KEYWORDS, "several": (1, 2), **dict.fromkeys(("N_", "said", "words", *_RAISED))}
# Written down where no catalogue is known.
_HINTS = {preset.hint for preset in presets.shipped().all if preset.hint}
_RULES = {rule.meaning for rule in shipped().all}
_ROLES = {role.summary for role in BUILT_IN.values()}
_SCOPES = {text for surface in SURFACES for text in surface.scopes.values()} | set(IN_WORDS.values())
_CONSTANTS = (NOT_ENABLED, WRONG_BUT_MORE, *WRONG.values(), *_HINTS, *_RULES, *_ROLES, *_SCOPES)


def messages() -> Iterator[tuple[str | tuple[str, ...], str]]:
    """All texts that pages may say, and the file that each is in."""
    found = extract_from_dir(SOURCE, _METHODS, {"**.html": {"trimmed": "true"}}, _KEYWORDS)
    for file, _line, text, _comments, _context in found:
        yield text, file
    for text in _CONSTANTS:
        yield text, "constants"


def made_anew(language: str, of: Iterable[tuple[str | tuple[str, ...], str]]) -> Catalog:
    """The catalogue of a language with these texts, and the translations that it has had."""
    path = LOCALES / f"{language}.po"
    with path.open("rb") as file:
        before = read_po(file, locale=language)
    catalogue = Catalog(language, charset="utf-8")
    for text, place in of:
        catalogue.add(text, locations=[(place, 0)])
    for message in catalogue:
        known = before.get(message.id)
        if message.id and known:
            message.string = known.string
    return catalogue


def main() -> None:
    """Write the files."""
    for path in LOCALES.glob("*.po"):
        catalogue = made_anew(path.stem, messages())
        with path.open("wb") as file:
            write_po(file, catalogue, width=120, no_location=True, sort_output=True, omit_header=True)


if __name__ == "__main__":
    main()
