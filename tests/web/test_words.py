"""The catalogue is whole: every text that a page may say is there in Italian, with the same facts in it."""

import ast
import re
from collections.abc import Iterable
from string import Formatter

import pytest
from babel.messages.pofile import read_po
from tools.catalogue import LOCALES, ROOT, messages

from outgate.directory.errors import Invalid, NotAllowed
from outgate.mail.addresses import AddressError, canonical
from outgate.model import Account, Gateway, Organisation, Policy, Refused, Security, SendAs, WithoutGateway
from outgate.operations import draft_message
from outgate.route import route
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


ERRORS = ROOT / "src" / "outgate"
COMMAND_LINE = (ERRORS / "commands", ERRORS / "cli")  # in English


def told(nodes: Iterable[ast.AST]) -> set[str]:
    """The names of the classes whose errors pages tell in the user's language."""
    classes = (node for node in nodes if isinstance(node, ast.ClassDef))
    bases = {one.name: {ast.unparse(base).rpartition(".")[2] for base in one.bases} for one in classes}
    found = {"DirectoryError", "AddressError", "Phrase"}
    while more := {name for name, of in bases.items() if of & found} - found:
        found |= more
    return found


MADE_OTHERWISE = {"Counted", "Denied", "LinkUsed", "WrongCode"}  # of what their own constructors say
IN_CATALOGUE = {"NOT_ENABLED", "_NOTHING"}
AS_IT_IS_SAID = {"sign_in.py": ["SignInFailed(found.reason)"]}  # by a resolver, a socket or the provider itself


def unknown(nodes: Iterable[ast.AST], classes: set[str]) -> list[str]:
    """Errors whose text is not one that the catalogue can know, as with its facts in it."""
    calls = (node for node in nodes if isinstance(node, ast.Call) and node.args)
    found = [call for call in calls if ast.unparse(call.func).rpartition(".")[2] in classes - MADE_OTHERWISE]
    return [ast.unparse(call) for call in found if not _is_known(call)]


def _is_known(call: ast.Call) -> bool:
    """A text as it is written down, or that of something else, together with its facts."""
    text = ast.unparse(call.args[0])
    if isinstance(call.args[0], ast.Constant) or text in IN_CATALOGUE:
        return True
    given = [ast.unparse(one) for one in (*call.args[1:], *(one.value for one in call.keywords if one.arg is None))]
    return text.endswith(".text") and given == [f"{text.removesuffix('.text')}.facts"]


def test_no_error_that_pages_tell_has_its_facts_in_its_text() -> None:
    nodes = {path: list(ast.walk(ast.parse(path.read_text()))) for path in ERRORS.rglob("*.py")}
    classes = told(node for of_file in nodes.values() for node in of_file)
    assert {"Invalid", "WrongCode", "SignInFailed"} <= classes
    for text in ('f"{address} is wrong"', "refused.reason", "reason", "error.text", "error.text, **other.facts"):
        assert unknown(ast.walk(ast.parse(f"raise errors.Invalid({text})")), classes), text
    on_pages = (path for path in nodes if not any(path.is_relative_to(folder) for folder in COMMAND_LINE))
    found = {path.name: texts for path in on_pages if (texts := unknown(nodes[path], classes))}
    assert found == AS_IT_IS_SAID, 'write the text as a format: Invalid("{address} is wrong", address=address)'


def test_an_error_is_told_in_the_users_language_with_what_it_goes_back_to() -> None:
    italian = words("it")
    assert italian.error(Invalid("{address} has no gateway", address="a@b.example")) == "a@b.example non ha un gateway."
    with pytest.raises(AddressError) as wrong:
        canonical("nobody")
    assert italian.error(wrong.value) == "'nobody' non è un indirizzo (nome@dominio)."
    with pytest.raises(Invalid) as wrong_list:
        draft_message.mailboxes("a, b@c.example")
    assert italian.error(wrong_list.value) == "a, b@c.example: 'a' non è un solo indirizzo (nome@dominio)."


def test_what_policy_forbids_is_told_in_the_users_language_with_the_setting_and_its_place() -> None:
    policy = Policy(without_gateway=WithoutGateway.REFUSE, sources={"allow_external_smtp": "/Sales"})
    gateway = Gateway("7", "smtp.partner.example", 587, Security.STARTTLS)
    address = SendAs("a@partner.example", verified=True, gateway=gateway)
    account = Account(1, "a@b.example", "A", "/Sales", False, policy, {address.address: address})
    refused = route(Organisation(frozenset()), account, address, "c@d.example", reverse_path=address.address)
    assert isinstance(refused, Refused)
    told = words("it").error(NotAllowed(refused.text, **refused.facts))
    assert told.startswith("Funzionalità non attivata. Per inviare")
    assert told.endswith("(allowUsersToUseExternalSmtpServers è disattivata (dall'unità /Sales)).")
