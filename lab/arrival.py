"""A message as it lies in a recipient's Maildir: envelope, header, and what the recipient's checkers say of it."""

import email
import email.policy
import re
from dataclasses import dataclass
from email.message import EmailMessage
from typing import NamedTuple


class Result(NamedTuple):
    """One method's result and the domain that it is about: `pass`, `dominiopartner.example`. Both empty: no result."""

    value: str = ""
    domain: str = ""


@dataclass(frozen=True, slots=True)
class Arrival:
    """`raw` is the message as stored; `server` is the recipient's host, whose header lines alone are believed."""

    raw: bytes
    server: str

    @property
    def header(self) -> EmailMessage:
        """The message, parsed."""
        return email.message_from_bytes(self.raw, policy=email.policy.default)

    @property
    def message_id(self) -> str:
        return str(self.header["Message-ID"]).strip()

    @property
    def author(self) -> str:
        """The address in From."""
        return str(self.header["From"].addresses[0].addr_spec)

    @property
    def sender(self) -> str | None:
        """The address in Sender, if there is one."""
        sender = self.header["Sender"]
        return str(sender.address.addr_spec) if sender else None

    @property
    def reverse_path(self) -> str:
        """MAIL FROM, which the recipient's server notes as Return-Path."""
        return str(self.header["Return-Path"]).strip("<> ")

    @property
    def client(self) -> str:
        """The address that the recipient's server got it from."""
        received = " ".join(str(self.header.get_all("Received", [])[0]).split())
        found = re.search(rf"\[([0-9.]+)\]\) .*\bby {re.escape(self.server)}\b", received)
        assert found, received
        return found[1]

    @property
    def spf(self) -> Result:
        return self._result("spf", r"smtp\.mailfrom=(?:[^\s;@]*@)?([^\s;]+)")

    @property
    def dkim(self) -> Result:
        return self._result("dkim", r"header\.d=([^\s;]+)")

    @property
    def dmarc(self) -> Result:
        return self._result("dmarc", r"header\.from=([^\s;]+)")

    def _result(self, method: str, checked: str) -> Result:
        """From the Authentication-Results of the recipient's server (RFC 8601)."""
        for line in self.header.get_all("Authentication-Results", []):
            text = re.sub(r"\([^()]*\)", "", str(line))  # comments, in which semicolons mean nothing
            server, _, results = " ".join(text.split()).partition(";")
            if server == self.server and (found := re.search(rf"\b{method}=(\w+)([^;]*)", results)):
                domain = re.search(checked, found[2])
                return Result(found[1].lower(), domain[1] if domain else "")
        return Result()
