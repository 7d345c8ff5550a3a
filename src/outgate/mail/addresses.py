"""Mail addresses: the form in which they are compared, and how header fields and SMTP write them.

Knows no account and no list of domains. The reader of address lists (RFC 5322 3.4, RFC 6532) is strict, since it
decides who a message claims to be from: whatever recipients' programs could read in another way is refused rather than
interpreted. So the obsolete syntax (RFC 5322 section 4.4: routes, comments or spaces inside an address, empty list
elements) is, and so are nested comments, addresses in comments, and display names with both an @ and angle brackets.
"""

import binascii
import re
import unicodedata
from collections.abc import Iterator, Sequence
from email.header import Header
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv6Address

import idna

from outgate.frozen import frozen


class AddressError(ValueError):
    """Not an address, or one that programs could read in different ways; the text names what is wrong.

    With `facts`, `text` is a format that names them: so pages say it in the user's language.
    """

    def __init__(self, text: str, /, **facts: object) -> None:
        super().__init__(text.format_map(facts) if facts else text)
        self.text, self.facts = text, facts


_ATEXT = r"A-Za-z0-9!#$%&'*+/=?^_`{|}~\-"
_DOT_ATOM = re.compile(rf"[{_ATEXT}\u0080-\U0010ffff]+(?:\.[{_ATEXT}\u0080-\U0010ffff]+)*")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_QUOTED_PAIR = re.compile(r"\\(.)")
_HOST = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*")
_PLAIN_PHRASE = re.compile(rf"[{_ATEXT}]+(?: [{_ATEXT}]+)*")

# C0 but the tab, C1, and the separators at which programs in some languages break lines.
_CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")

# One mailbox as nearly all mail has it: neither 8-bit nor encoded words, comments, backslashes, quoted local part.
_COMMON = re.compile(
    rb"""(?:(?:"([^"\\<>=\x00-\x1f\x7f-\xff]*)"[ \t]*"""
    rb"""|([A-Za-z0-9!#$%&'*+/?^_`{|}~-][A-Za-z0-9!#$%&'*+/?^_`{|}~. -]*|))<)?"""
    rb"""([A-Za-z0-9!#$%&'*+/?^_`{|}~.-]+@[A-Za-z0-9.-]+)(?(1)>|(?(2)>))"""
)
_TOKEN = re.compile(
    rf"""(?P<space>[ \t]+)|(?P<comment>\((?:[^()\\"@<>])*\))|(?P<quoted>"(?:[^"\\]|\\.)*")"""
    rf"""|(?P<literal>\[[^\[\]\\ \t]*\])|(?P<atom>[{_ATEXT}.\u0080-\U0010ffff]+)|(?P<special>[<>,:;@])"""
)
_ENCODED_WORD = re.compile(r"=\?([^?*\s]+)(?:\*[^?\s]*)?\?([BbQq])\?([^?\s]*)\?=")
_BETWEEN_ENCODED_WORDS = re.compile(r"(?<=\?=)\s+(?==\?)")

# What says that a comma before it is no part of a name.
_QUOTING = re.compile(r'["@:;()>]')

# NFC turns the first three into US-ASCII (";", "`", "K"); NFKC, which some programs apply, the others into "@".
_LOOKALIKE = re.compile("[\u037e\u1fef\u212a\ufe6b\uff20]")


# What ends an address, or begins another, for programs that do not heed quotes.
_SPECIAL = re.compile(r'[@<>,;:()\[\]\\" ]')


@lru_cache(maxsize=8192)
def canonical(address: str) -> str:
    """The compared form: lower case, NFC, needless quotes gone, the domain as A-labels. Raises AddressError."""
    local, domain = split(address)
    return f"{_canonical_local(local)}@{_canonical_literal(domain) if domain[0] == '[' else canonical_domain(domain)}"


@lru_cache(maxsize=8192)
def canonical_domain(name: str) -> str:
    """A domain in lower case as A-labels (UTS #46, non-transitional: RFC 5891). Raises AddressError."""
    if len(name) > 253:
        raise AddressError("the domain is longer than 253 characters")
    lower = name.lower() if name.isascii() else name
    if "xn--" in lower or not lower.isascii():
        try:
            lower = idna.encode(name, uts46=True, std3_rules=True).decode("ascii").lower()
        except (idna.IDNAError, UnicodeError) as error:
            raise AddressError("'{name}' is not a domain: {why}", name=_shown(name), why=_shown(str(error))) from None
    if not _HOST.fullmatch(lower):
        raise AddressError("'{name}' is not a domain", name=_shown(name))
    return lower


def split(address: str) -> tuple[str, str]:
    """Local part and domain as written. The last @ divides: an earlier one can only be within quotes."""
    local, at, domain = address.rpartition("@")
    if not at or not local or not domain:
        raise AddressError("'{address}' is not an address (local-part@domain)", address=_shown(address))
    return local, domain


def without_tag(address: str) -> str | None:
    """The address that one with a `+tag` (in compared form) is a detail of (RFC 5233); None if it has no tag.

    The first plus divides, as where such mail is delivered; quoted local parts have no tags.
    """
    local, _, domain = address.rpartition("@")
    user, _, tag = local.partition("+")
    return f"{user}@{domain}" if tag and _DOT_ATOM.fullmatch(user) else None


def is_role(address: str) -> bool:
    """Whether the address (in compared form) is one that every domain must have (RFC 5321 section 4.5.1, RFC 2142)."""
    return address.rpartition("@")[0] in ("postmaster", "abuse")


def needs_smtputf8(address: str) -> bool:
    """Whether only an SMTPUTF8 server can take the address (RFC 6531): a domain has its A-labels, a local part not."""
    return not split(address)[0].isascii()


def ascii_form(address: str) -> str | None:
    """The address with its domain as A-labels, local part as written; None if that isn't US-ASCII."""
    local, domain = split(address)
    if not local.isascii():
        return None
    return address if domain.isascii() else f"{local}@{canonical_domain(domain)}"


def format_mailbox(name: str, address: str) -> str:
    """`name <address>` for a header field, quoted or as encoded words where needed; raises AddressError on controls."""
    canonical(address)
    if _CONTROL.search(name) or "\t" in name:
        raise AddressError("the name has a line break or another control character")
    if not name:
        return address
    if not name.isascii() or "=?" in name or len(name) > 200:
        # One encoded word is at most 75 characters (RFC 2047 section 2): a long name becomes several, to be folded.
        return f"{' '.join(Header(name, 'utf-8', maxlinelen=75).encode().split())} <{address}>"
    if _PLAIN_PHRASE.fullmatch(name):
        return f"{name} <{address}>"
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}" <{address}>'


@frozen
class Mailbox:
    """One entry of an address list: the display name, decoded for display, and the address as written."""

    display_name: str
    address: str


def parse_mailboxes(value: bytes) -> list[Mailbox]:
    """Read a field's address list, groups flattened; raises AddressError on anything that is open to two readings."""
    value = value.strip(b" \t")
    if match := _COMMON.fullmatch(value):
        quoted, words, address = match.group(1, 2, 3)
        mailbox = Mailbox(" ".join((quoted or words or b"").decode().split()), address.decode())
        canonical(mailbox.address)
        return [mailbox]
    text = _text(value)
    try:
        return list(_read_list(_tokens(text)))
    except AddressError:
        name, bracket, rest = text.partition("<")
        if bracket and "," in name and not _QUOTING.search(name):
            raise _comma_in_name(name.strip(), _shown(rest.partition(">")[0])) from None
        raise


def _comma_in_name(name: str, address: str) -> AddressError:
    """People who are listed by their family name first write it so, and programs that don't know better."""
    if "=?" in name:
        return AddressError(
            "the name before <{address}> has a comma in an encoded word, where it must be written as =2C",
            address=address,
        )
    return AddressError(
        'the name before <{address}> has a comma: put it in quotes, as in "{name}" <{address}>',
        name=_shown(name),
        address=address,
    )


def decode_words(text: str) -> str:
    """Header text with its encoded words decoded (RFC 2047); a word that can't be stays as it is."""
    if "=?" not in text:
        return text
    return _ENCODED_WORD.sub(_decode_word, _BETWEEN_ENCODED_WORDS.sub("", text))


Token = tuple[str, str]  # the kind (a group of _TOKEN, or the special itself) and the text


def _text(value: bytes) -> str:
    try:
        text = value.replace(b"\r\n ", b" ").replace(b"\r\n\t", b"\t").decode()
    except UnicodeDecodeError:
        raise AddressError("the address list is not valid UTF-8") from None
    if _CONTROL.search(text):
        raise AddressError("the address list has a control character or a bare CR or LF")
    return text


def _tokens(text: str) -> list[Token]:
    tokens: list[Token] = []
    position = 0
    while match := _TOKEN.match(text, position):
        kind = match.lastgroup or ""
        tokens.append((match[0] if kind == "special" else kind, match[0]))
        position = match.end()
    if position != len(text):
        raise AddressError("the address list can't be read from '{text}' on", text=_shown(text[position:]))
    return tokens


def _read_list(tokens: Sequence[Token]) -> Iterator[Mailbox]:
    """The mailboxes of an address-list: elements between commas, `name: a, b;` for groups."""
    element: list[Token] = []
    group = closed = False
    for token in tokens:
        match token[0]:
            case ",":
                yield from () if closed else (_read_mailbox(element),)
                element, closed = [], False
            case ":" if not group:
                _check_group_name(element)
                element, group = [], True
            case ";" if group:
                yield from (_read_mailbox(element),) if _trim(element, "space", "comment") else ()
                element, group, closed = [], False, True
            case _ if closed and token[0] != "space":
                raise AddressError("there is text between the end of a group and the next comma")
            case _:
                element.append(token)
    if group:
        raise AddressError("a group of addresses is not closed by a semicolon")
    if not closed:
        yield _read_mailbox(element)


def _check_group_name(element: Sequence[Token]) -> None:
    kinds = {kind for kind, _ in element}
    if not kinds & {"atom", "quoted"} or kinds - {"atom", "quoted", "space"}:
        raise AddressError("a colon follows something that is not the name of a group")
    _read_name(element, "")


def _read_mailbox(element: Sequence[Token]) -> Mailbox:
    core = _trim(element, "space", "comment")
    if not core:
        raise AddressError("an address is missing: the list is empty or has a comma too many")
    kinds = [kind for kind, _ in core]
    if "<" not in kinds:
        return Mailbox(_comments(element), _read_address(core))
    opening = kinds.index("<")
    if kinds[-1] != ">":
        raise AddressError("an angle bracket is not closed, or text follows the address in angle brackets")
    address = _read_address(_trim(core[opening + 1 : -1], "space"))
    return Mailbox(_read_name(core[:opening], address) or _comments(element), address)


def _read_address(tokens: Sequence[Token]) -> str:
    match [kind for kind, _ in tokens]:
        case ["atom" | "quoted", "@", "atom" | "literal"]:
            address = "".join([text for _, text in tokens])
            canonical(address)
            return address
    text = _shown("".join([text for _, text in tokens]))
    raise AddressError("'{text}' is not one address (local-part@domain)", text=text)


def _read_name(tokens: Sequence[Token], address: str) -> str:
    """The display name. Programs differ on one with a bare @, so that may only repeat the address itself."""
    kinds = {kind for kind, _ in tokens}
    if "@" in kinds:
        name = _read_address(_trim(tokens, "space"))
        if canonical(name) != canonical(address):
            raise AddressError(
                "'{name}' before <{address}> is a second address; put it in quotes",
                name=_shown(name),
                address=_shown(address),
            )
        return name
    if kinds - {"atom", "quoted", "space", "comment"}:
        raise AddressError("the display name has a character that must be within quotes")
    if (named := [text for kind, text in tokens if kind in ("atom", "quoted")]) and named[0][0] == ".":
        raise AddressError("the display name begins with a dot; put it in quotes")
    words = [_unquoted(text) if kind == "quoted" else text for kind, text in tokens if kind != "comment"]
    return _decoded(" ".join("".join(words).split()))


def _comments(tokens: Sequence[Token]) -> str:
    """The old way to give a name: `address (name)`."""
    return _decoded(" ".join([text[1:-1].strip() for kind, text in tokens if kind == "comment"]))


def _decoded(name: str) -> str:
    """The name with its encoded words decoded, for display; refused is what some programs would read as an address."""
    name = decode_words(name)
    if _CONTROL.search(name):
        raise AddressError("an encoded word in the display name has a control character")
    if "@" in name and ("<" in name or ">" in name):
        raise AddressError("the display name has an address in angle brackets")
    return name


def _decode_word(match: re.Match[str]) -> str:
    charset, encoding, text = match.groups()
    try:
        if encoding in "Bb":
            return binascii.a2b_base64(text).decode(charset)
        return binascii.a2b_qp(text, header=True).decode(charset)
    except (LookupError, ValueError):
        return match[0]


def _unquoted(text: str) -> str:
    return _QUOTED_PAIR.sub(r"\1", text[1:-1])


def _trim(tokens: Sequence[Token], *kinds: str) -> Sequence[Token]:
    start, end = 0, len(tokens)
    while start < end and tokens[start][0] in kinds:
        start += 1
    while start < end and tokens[end - 1][0] in kinds:
        end -= 1
    return tokens[start:end]


def _canonical_local(local: str) -> str:
    text = _local_text(local)
    if text != text.strip() or not text:
        raise AddressError("the local part is empty, or begins or ends with a space")
    if not text.isprintable() or _LOOKALIKE.search(text):
        raise AddressError(
            "the local part '{local}' has a character that is not allowed in an address", local=_shown(local)
        )
    if match := _SPECIAL.search(text):
        raise AddressError(
            "the local part '{local}' has a '{char}', which programs read differently",
            local=_shown(local),
            char=match[0],
        )
    if "=?" in text and "?=" in text:
        raise AddressError("the local part looks like an encoded word (RFC 2047), which programs read differently")
    text = text.lower() if text.isascii() else unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).lower())
    if len(text.encode()) > 64:
        raise AddressError("the local part is longer than 64 bytes (RFC 5321 4.5.3.1.1)")
    if _DOT_ATOM.fullmatch(text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _local_text(local: str) -> str:
    """What the local part says: a quoted string without its quotes is the same address (RFC 5321 4.1.2)."""
    if _DOT_ATOM.fullmatch(local):
        return local
    if _QUOTED.fullmatch(local):
        return _unquoted(local)
    raise AddressError(
        "the local part '{local}' is neither a dot-atom nor a quoted string (RFC 5321 4.1.2)", local=_shown(local)
    )


def _canonical_literal(domain: str) -> str:
    """An address literal (RFC 5321 4.1.3): `[192.0.2.1]` or `[IPv6:2001:db8::1]`."""
    text = domain[1:-1] if domain.endswith("]") else ""
    try:
        if text[:5].lower() == "ipv6:":
            return f"[ipv6:{IPv6Address(text[5:]).compressed}]"
        return f"[{IPv4Address(text)}]"
    except AddressValueError:
        raise AddressError("'{text}' is not an address literal", text=_shown(domain)) from None


def _shown(text: str) -> str:
    """At most 80 characters, nothing that a terminal or a log would obey."""
    return "".join([char if char.isprintable() else "?" for char in text[:80]])
