"""The document in which a domain tells Thunderbird and others its servers (autoconfig, clientConfig 1.1).

It is the same for everybody in a domain: programs fill in the address, so nobody learns from it who exists.
discovery/autoconfig.py reads those of others.
"""

from typing import Final
from xml.etree.ElementTree import Element, SubElement, tostring

from outgate.mail_program.program_servers import ProgramServer, ProgramServers
from outgate.model import Security

_SOCKET: Final = {Security.SSL: "SSL", Security.STARTTLS: "STARTTLS"}


def client_config(servers: ProgramServers, domain: str) -> bytes:
    """For a domain in its compared form. Thunderbird accepts none without an incoming server."""
    root = Element("clientConfig", version="1.1")
    provider = SubElement(root, "emailProvider", id=domain)
    _text(provider, "domain", domain)
    _text(provider, "displayName", domain)
    _text(provider, "displayShortName", domain)
    if servers.incoming:
        _server(provider, "incomingServer", "imap", servers.incoming)
    for server in servers.outgoing:
        _server(provider, "outgoingServer", "smtp", server)
    if servers.pages:
        manual = SubElement(provider, "documentation", url=f"{servers.pages}/settings/mail-program")
        _text(manual, "descr", "How to set up a mail program", lang="en")
    document: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return document


def _server(provider: Element, name: str, kind: str, server: ProgramServer) -> None:
    element = SubElement(provider, name, type=kind)
    _text(element, "hostname", server.host)
    _text(element, "port", str(server.port))
    _text(element, "socketType", _SOCKET[server.security])
    _text(element, "authentication", "password-cleartext")  # within TLS
    _text(element, "username", "%EMAILADDRESS%")


def _text(parent: Element, name: str, text: str, **attributes: str) -> None:
    SubElement(parent, name, attributes).text = text
