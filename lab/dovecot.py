"""Dovecot as the SASL server of a Postfix: it knows users and passwords, and nothing else. No mailboxes."""

from collections.abc import Mapping
from pathlib import Path

from lab.namespaces import Namespace


class Dovecot:
    """`users` maps log-in names to passwords. Postfix asks at `socket`."""

    def __init__(self, namespace: Namespace, users: Mapping[str, str]) -> None:
        self._namespace = namespace
        self._folder = namespace.folder / "dovecot"
        self._users = users
        self.socket = self._folder / "postfix-auth"

    def start(self) -> None:
        """Start it; it is ready when its socket is there."""
        self._folder.mkdir()
        users = self._folder / "users"
        users.write_text("".join(f"{name}:{{PLAIN}}{password}\n" for name, password in self._users.items()))
        configuration, log = self._folder / "dovecot.conf", self._folder / "log"
        configuration.write_text(self._configuration(users, log))
        self._namespace.start("dovecot", "-F", "-c", str(configuration), ready=self.socket.exists, log=log)

    def _configuration(self, users: Path, log: Path) -> str:
        return f"""
base_dir = {self._folder}/run
state_dir = {self._folder}/state
log_path = {log}
protocols =
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain login
# A wrong password delays neither its own answer nor later log-ins from that address: the tests need not wait.
auth_failure_delay = 0
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
passdb {{
  driver = passwd-file
  args = username_format=%u {users}
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home=/nonexistent
}}
service auth {{
  user = root
  unix_listener {self.socket} {{
    mode = 0600
    user = postfix
  }}
}}
"""

    def settings(self) -> dict[str, str]:
        """What Postfix needs to ask it."""
        return {
            "smtpd_sasl_type": "dovecot",
            "smtpd_sasl_path": str(self.socket),
            "smtpd_sasl_security_options": "noanonymous",
        }
