"""The whole lab: starts all parties, and says in the words of the story what happens in it."""

import contextlib
import email.utils
import re
import secrets
from dataclasses import replace
from email.message import EmailMessage
from pathlib import Path

from lab.clients import Submission
from lab.dns import NameServer
from lab.namespaces import Network
from lab.organisation import STARTTLS_PORT, Outgate
from lab.parties import Partner, Recipient, Relay
from lab.plan import (
    ALICE,
    CAROL,
    CLIENT_HOST,
    LUIGI,
    MARIO,
    NAMESERVER,
    OUTGATE_HOST,
    PARTNER_HOST,
    RECIPIENT_HOST,
    RELAY_HOST,
)
from lab.polling import wait_for
from outgate.demo.certificates import Authority

SWITCH = "allowUsersToUseExternalSmtpServers"


class Lab:
    """All parties, running while the context lasts.

    Alice has proven that MARIO is her address too, and entered the partner's server for it.
    """

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self._own_servers = False  # as Outgate begins
        self._domain_gateway = False
        self.passwords = {address: secrets.token_hex(12) for address in (ALICE, MARIO, LUIGI)}

    def __enter__(self) -> "Lab":
        with self._stack:
            self._start(self._stack.enter_context(Network()))
            self._stack = self._stack.pop_all()  # from here on, __exit__ ends it
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _start(self, network: Network) -> None:
        self._folder = network.folder
        certificates = network.folder / "certificates"
        certificates.mkdir()
        self.authority = Authority(certificates)
        self.desk = network.add("client", CLIENT_HOST)
        self.outgate_machine = network.add("outgate", OUTGATE_HOST)
        at_partner = {address: self.passwords[address] for address in (MARIO, LUIGI)}
        self.outgate = Outgate(self.outgate_machine, self.authority, self.passwords[ALICE])
        self.partner = Partner(network.add("partner", PARTNER_HOST), self.authority, at_partner)
        self.recipient = Recipient(network.add("recipient", RECIPIENT_HOST), self.authority)
        self.relay = Relay(network.add("relay", RELAY_HOST), self.authority)
        for party in (self.partner, self.recipient, self.relay):  # they start while Outgate is set up
            party.start()
        keys = self.outgate.set_up() + self.partner.key.record
        NameServer(network.add("dns", NAMESERVER), keys).start()
        self.outgate.start()
        network.wait_until_ready()
        self._prove_address()
        self.arrange(own_servers=True)
        self.set_gateway()

    def _prove_address(self) -> None:
        """As the user does: ask for the address, read the code in its mailbox, enter it."""
        self.outgate.command("sendas", "add", ALICE, MARIO)
        postfix = self.partner.postfix
        message = wait_for("the message with the code", lambda: postfix.messages(MARIO), log=postfix.log_tail)[0]
        code = re.search(rb"\b\d{9}\b", message)
        assert code, message
        self.outgate.command("sendas", "verify", ALICE, MARIO, code[0].decode())

    def arrange(self, *, own_servers: bool, domain_gateway: bool = False) -> None:
        """The administrator allows users their own servers or not, and has the organisation's mail pass the relay or
        not. Only what is not so already takes a command.
        """
        if own_servers != self._own_servers:
            self.outgate.command("policy", "set", SWITCH, "on" if own_servers else "off")
            self._own_servers = own_servers
        if domain_gateway != self._domain_gateway:
            relay = ("set", RELAY_HOST.name, "--port", "25", "--security", "starttls")
            self.outgate.command("domain-gateway", *(relay if domain_gateway else ("clear",)))
            self._domain_gateway = domain_gateway

    def set_gateway(self, host: str = PARTNER_HOST.name) -> None:
        """Alice enters the partner's server for her address there; allowed only with `own_servers`."""
        self.outgate.command(
            *("sendas", "gateway", "set", ALICE, MARIO, "--host", host, "--username", "mario", "--password-stdin"),
            stdin=self.passwords[MARIO],
        )

    def message(self, author: str, *recipients: str) -> tuple[str, Path]:
        """Write a message; returns its Message-ID and its file."""
        message = EmailMessage()
        message["From"] = author
        message["To"] = ", ".join(recipients or (CAROL,))
        message["Subject"] = "The figures for Thursday"
        message["Date"] = email.utils.localtime()
        message["Message-ID"] = email.utils.make_msgid(domain=author.rpartition("@")[2])
        message.set_content("Here they are.\n")
        file = self._folder / f"{secrets.token_hex(8)}.eml"
        file.write_bytes(bytes(message))
        return str(message["Message-ID"]), file

    def to_outgate(self, message: Path, sender: str, *recipients: str, port: int = STARTTLS_PORT) -> Submission:
        """A submission by alice, logged in to Outgate."""
        return Submission(
            message=message,
            sender=sender,
            recipients=recipients or (CAROL,),
            server=OUTGATE_HOST.name,
            port=port,
            username=ALICE,
            password=self.passwords[ALICE],
            ca_file=self.authority.ca_file,
        )

    def to_partner(self, message: Path, sender: str, *recipients: str, port: int = STARTTLS_PORT) -> Submission:
        """A submission by mario, logged in to the partner's server."""
        submission = self.to_outgate(message, sender, *recipients, port=port)
        return replace(submission, server=PARTNER_HOST.name, username="mario", password=self.passwords[MARIO])
