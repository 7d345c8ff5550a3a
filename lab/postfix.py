"""One Postfix instance with a configuration, queue and log of its own; /etc/postfix is not touched."""

import os
import pwd
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from lab.namespaces import Namespace

# Nothing is chrooted: the queue has neither resolv.conf nor certificates.
_SERVICES = """
pickup     unix       n - n 60  1 pickup
cleanup    unix       n - n -   0 cleanup
qmgr       unix       n - n 300 1 qmgr
tlsmgr     unix       - - n 1000? 1 tlsmgr
rewrite    unix       - - n -   - trivial-rewrite
bounce     unix       - - n -   0 bounce
defer      unix       - - n -   0 bounce
trace      unix       - - n -   0 bounce
verify     unix       - - n -   1 verify
flush      unix       n - n 1000? 0 flush
proxymap   unix       - - n -   - proxymap
smtp       unix       - - n -   - smtp
showq      unix       n - n -   - showq
error      unix       - - n -   - error
retry      unix       - - n -   - error
virtual    unix       - n n -   - virtual
anvil      unix       - - n -   1 anvil
scache     unix       - - n -   1 scache
postlog    unix-dgram n - n -   1 postlogd
"""
_MAIL_USER = "nobody"  # owns the Maildirs


class Handover(NamedTuple):
    """One recipient of one message, and the server that took it for them: `mx.example[198.51.100.20]:25`."""

    recipient: str
    server: str


class Postfix:
    """`listeners` are lines of master.cf, `settings` go to main.cf, `mailboxes` are the addresses with a Maildir."""

    def __init__(
        self, namespace: Namespace, listeners: str, settings: Mapping[str, str], mailboxes: tuple[str, ...] = ()
    ) -> None:
        self._namespace = namespace
        self._folder = namespace.folder / "postfix"
        self._mail = namespace.folder / "mail"
        self.log = namespace.folder / "mail.log"
        self._listeners = listeners
        self._settings = {**self._common(), **_mailboxes(self._mail, mailboxes), **settings}

    def start(self, *ports: int) -> None:
        """Start it; it is ready when it listens on all ports."""
        self._folder.mkdir()
        user = pwd.getpwnam(_MAIL_USER)
        self._mail.mkdir()
        os.chown(self._mail, user.pw_uid, user.pw_gid)
        for owned in ("data", "queue"):
            (self._folder / owned).mkdir()
        os.chown(self._folder / "data", pwd.getpwnam("postfix").pw_uid, -1)
        (self._folder / "main.cf").write_text("".join(f"{key} = {value}\n" for key, value in self._settings.items()))
        (self._folder / "master.cf").write_text(self._listeners.lstrip() + _SERVICES.lstrip())
        command = ("postfix", "-c", str(self._folder), "start-fg")
        self._namespace.start(*command, ready=lambda: self._namespace.listens(*ports), log=self.log)

    def messages(self, address: str) -> list[bytes]:
        """The messages in an address's Maildir."""
        return [path.read_bytes() for path in sorted((self._mail / address / "new").glob("*"))]

    def sent(self, message_id: str) -> list[Handover]:
        """What the log says of the message with this Message-ID; empty if it was never here, or is not sent yet."""
        text = self.log.read_text(errors="replace")
        found = []
        for queue_id in self.queue_ids(message_id):
            entries = rf" {queue_id}: to=<([^>]*)>, (?:orig_to=<[^>]*>, )?relay=([^,]*), .* status=sent "
            found += [Handover(*entry.groups()) for entry in re.finditer(entries, text)]
        return found

    def queue_ids(self, message_id: str) -> list[str]:
        """The queue ids that the log has for the message with this Message-ID."""
        return re.findall(
            rf" (\w+): message-id={re.escape(message_id)}$", self.log.read_text(errors="replace"), re.MULTILINE
        )

    def log_tail(self) -> str:
        """The end of the log, to explain a failure."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-30:])

    def _common(self) -> dict[str, str]:
        return {
            "compatibility_level": "3.6",
            "queue_directory": str(self._folder / "queue"),
            "data_directory": str(self._folder / "data"),
            "maillog_file": str(self.log),
            "maillog_file_prefixes": str(self._namespace.folder),
            "myhostname": self._namespace.host.name,
            "inet_protocols": "ipv4",
            "mynetworks": "127.0.0.1",
            "mydestination": "",
            "alias_maps": "",
            "smtputf8_enable": "yes",
            "smtpd_error_sleep_time": "0",
            "smtp_tls_security_level": "may",
            "smtpd_relay_restrictions": "permit_mynetworks, permit_sasl_authenticated, reject_unauth_destination",
        }


def tls(certificate: Path, key: Path) -> dict[str, str]:
    """Settings of a server that offers STARTTLS."""
    return {"smtpd_tls_security_level": "may", "smtpd_tls_chain_files": f"{key}, {certificate}"}


def _mailboxes(folder: Path, addresses: tuple[str, ...]) -> dict[str, str]:
    """Settings for a Maildir for each address."""
    user = pwd.getpwnam(_MAIL_USER)
    entries = ", ".join(f"{{ {address} = {address}/ }}" for address in addresses)
    domains = dict.fromkeys(address.rpartition("@")[2] for address in addresses)
    return {
        "virtual_mailbox_domains": ", ".join(domains),
        "virtual_mailbox_maps": f"inline:{{ {entries} }}" if entries else "",
        "virtual_mailbox_base": str(folder),
        "virtual_uid_maps": f"static:{user.pw_uid}",
        "virtual_gid_maps": f"static:{user.pw_gid}",
    }
