"""The organisation's side: Outgate as a process in its namespace, set up by its command line as users do it."""

import json
import os
import sys
from typing import Any

from lab.dns import key_record
from lab.namespaces import Namespace
from lab.plan import ALICE, NETWORK, ORGANISATION
from outgate.demo.certificates import Authority

STARTTLS_PORT = 587
TLS_PORT = 465
# Settings of another Outgate; and a command takes four times as long if Python may not keep what it compiled.
_NOT_INHERITED = ("OUTGATE_", "PYTHONDONTWRITEBYTECODE")


class Outgate:
    """One installation with its user alice. `password` is hers."""

    def __init__(self, namespace: Namespace, authority: Authority, password: str) -> None:
        self.password = password
        self._namespace = namespace
        data = namespace.folder / "data"
        own = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_INHERITED)}
        self._environment = {**own, "OUTGATE_DATA": str(data)}
        certificate, key = authority.issue(namespace.host)
        self._settings = {
            "submission.certificate": str(certificate),
            "submission.private_key": str(key),
            "delivery.ca_file": str(authority.ca_file),
            "egress.allowed_networks": f'{{lab = "{NETWORK}"}}',
        }

    def set_up(self) -> str:
        """Make the organisation and its user; returns the record of its DKIM key."""
        settings = [part for key, value in self._settings.items() for part in ("--set", f"{key}={value}")]
        self.command("init", ORGANISATION, "--hostname", self._namespace.host.name, *settings)
        self.command("user", "add", ALICE, "--password-stdin", stdin=self.password)
        domain = self.command("domain", "show", ORGANISATION)
        return key_record(ORGANISATION, domain["dkim_selector"], domain["dkim_record"])

    def start(self) -> None:
        """Start `outgate serve`."""
        command = (sys.executable, "-m", "outgate", "serve")
        self._namespace.start(*command, ready=self._listens, environment=self._environment)

    def _listens(self) -> bool:
        return self._namespace.listens(STARTTLS_PORT, TLS_PORT)

    def command(self, *arguments: str, stdin: str = "") -> Any:
        """Run an `outgate` command; returns what it printed as JSON. Raises LabError with its words if it fails."""
        command = (sys.executable, "-m", "outgate", "--json", *arguments)
        output = self._namespace.run(*command, stdin=stdin, environment=self._environment).stdout
        return json.loads(output) if output.strip() else None
