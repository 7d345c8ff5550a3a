"""What Outlook asks a domain for, and is answered: Autodiscover as plain XML (MS-OXDSCLI), and its second version,
which only says where the first is.

A request is anybody's: a parser without document types and entities reads it. The answer echoes the address that was
asked for, whoever's it is, so nobody learns from it who exists. Knows no list of domains.
"""

from typing import Final
from xml.etree.ElementTree import Element, ParseError, SubElement, tostring

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from outgate.mail_program.program_servers import ProgramServer, ProgramServers
from outgate.model import Security

MAX_REQUEST: Final = 8 * 1024  # bytes; Outlook's has some 400

_REQUEST: Final = "http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006"
_RESPONSE: Final = "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a"
_ENVELOPE: Final = "http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006"
_ENCRYPTION: Final = {Security.SSL: "SSL", Security.STARTTLS: "TLS"}


class NotAnswered(ValueError):
    """The request can't be met. `code` is the protocol's (MS-OXDSCLI 2.2.4.1.1.2.2), the text its message."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


def address_asked_for(request: bytes) -> str:
    """The address as the request has it, to be judged by the caller. Raises NotAnswered."""
    try:
        root = fromstring(request, forbid_dtd=True)
    except (DefusedXmlException, ParseError, ValueError, LookupError):
        raise invalid() from None
    if root.tag != f"{{{_REQUEST}}}Autodiscover":
        raise NotAnswered(601, "Provider is not available")  # of phones (ActiveSync), say
    wanted = _said(root, "AcceptableResponseSchema")
    if wanted and wanted != _RESPONSE:
        raise NotAnswered(601, "Provider is not available")
    if address := _said(root, "EMailAddress"):
        return address
    raise invalid()


def invalid() -> NotAnswered:
    """It is no request, or of nobody here."""
    return NotAnswered(600, "Invalid Request")


def settings(servers: ProgramServers, address: str) -> bytes:
    """For an address in its compared form."""
    root, response = _answer(_RESPONSE)
    account = SubElement(response, "Account")
    _fill(account, AccountType="email", Action="settings")
    if servers.incoming:
        _fill(SubElement(account, "Protocol"), **_facts("IMAP", servers.incoming, address))
    for server in servers.outgoing[:1]:  # of several of a kind, which one is used is nowhere said
        facts = _facts("SMTP", server, address)
        _fill(SubElement(account, "Protocol"), **facts, UsePOPAuth="off", SMTPLast="off")
    return _document(root)


def refusal(error: NotAnswered) -> bytes:
    """The answer that says so."""
    root, response = _answer(_ENVELOPE)
    _fill(SubElement(response, "Error"), ErrorCode=str(error.code), Message=str(error))
    return _document(root)


def place(servers: ProgramServers, protocol: str) -> tuple[int, dict[str, str]]:
    """Status and JSON of the second version: where the first is, if that is asked for."""
    if protocol.lower() == "autodiscoverv1":
        return 200, {"Protocol": "AutodiscoverV1", "Url": f"{servers.pages}/autodiscover/autodiscover.xml"}
    return 400, {"ErrorCode": "InvalidProtocol", "ErrorMessage": "Supported values of Protocol are 'AutodiscoverV1'"}


def _facts(kind: str, server: ProgramServer, address: str) -> dict[str, str]:
    return {
        "Type": kind,
        "Server": server.host,
        "Port": str(server.port),
        "DomainRequired": "off",
        "LoginName": address,
        "SPA": "off",
        "SSL": "on",
        "Encryption": _ENCRYPTION[server.security],
        "AuthRequired": "on",
    }


def _answer(schema: str) -> tuple[Element, Element]:
    """The document, and its Response, in the form that all servers use: Outlook need not know prefixes."""
    root = Element("Autodiscover", xmlns=_ENVELOPE)
    return root, SubElement(root, "Response", xmlns=schema)


def _fill(parent: Element, **texts: str) -> None:
    for name, text in texts.items():
        SubElement(parent, name).text = text


def _said(root: Element, name: str) -> str:
    return (root.findtext(f"{{{_REQUEST}}}Request/{{{_REQUEST}}}{name}") or "").strip()


def _document(root: Element) -> bytes:
    document: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return document
