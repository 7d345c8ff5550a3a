"""Postfix, well configured for this work, with Dovecot for the submission's log-in; everything of it in one folder.

`default` is Postfix as its documentation sets up sender-dependent relay hosts, with process limits that don't bind;
`tuned` also keeps authenticated TLS connections for reuse and lets more deliveries run at once.
"""

import shutil
import subprocess
from pathlib import Path

from bench import population, processes
from bench.product import Work

_MAIN = {
    "compatibility_level": "3.6",
    "myhostname": "mail.example.com",
    "mydestination": "",
    "mynetworks": "127.0.0.0/8",
    "inet_interfaces": "127.0.0.1",
    "inet_protocols": "ipv4",
    "alias_maps": "",
    "alias_database": "",
    "local_recipient_maps": "",
    "smtp_dns_support_level": "disabled",
    "smtp_host_lookup": "native",
    "maillog_file_compressor": "gzip",
    "biff": "no",
    # Limits that a busy server raises.
    "default_process_limit": "200",
    "default_destination_concurrency_limit": "50",
    "initial_destination_concurrency": "20",
    "smtpd_client_connection_count_limit": "0",
    # Submission: implicit TLS, log-in by Dovecot, From only of the account (RFC 6409).
    "smtpd_tls_wrappermode": "yes",
    "smtpd_tls_security_level": "encrypt",
    "smtpd_sasl_auth_enable": "yes",
    "smtpd_sasl_type": "dovecot",
    "smtpd_sasl_security_options": "noanonymous",
    "smtpd_relay_restrictions": "permit_sasl_authenticated, reject",
    "smtpd_recipient_restrictions": "",
    "smtpd_sender_restrictions": "reject_sender_login_mismatch",
}
_GATEWAY = {
    "smtp_sasl_auth_enable": "yes",
    "smtp_sasl_security_options": "noanonymous",
    "smtp_sasl_mechanism_filter": "plain",
    "smtp_sender_dependent_authentication": "yes",
    "smtp_tls_security_level": "secure",
    "smtp_tls_secure_cert_match": "hostname",
}
_TUNED = {
    "in_flow_delay": "0",
    "smtp_tls_connection_reuse": "yes",
    "smtp_connection_reuse_time_limit": "300s",
    "smtp_connection_cache_time_limit": "30s",
    "connection_cache_ttl_limit": "30s",
    "default_destination_concurrency_limit": "100",
    "initial_destination_concurrency": "50",
}
_MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
postlog   unix-dgram n - n - 1 postlogd
pickup    unix  n - n 60 1 pickup
cleanup   unix  n - n - 0 cleanup
qmgr      unix  n - n 300 1 qmgr
tlsmgr    unix  - - n 1000? 1 tlsmgr
tlsproxy  unix  - - n - 0 tlsproxy
rewrite   unix  - - n - - trivial-rewrite
bounce    unix  - - n - 0 bounce
defer     unix  - - n - 0 bounce
trace     unix  - - n - 0 bounce
proxymap  unix  - - n - - proxymap
smtp      unix  - - n - - smtp
error     unix  - - n - - error
retry     unix  - - n - - error
discard   unix  - - n - - discard
anvil     unix  - - n - 1 anvil
scache    unix  - - n - 1 scache
"""
_DOVECOT = """\
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/dovecot.log
protocols =
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain
passdb {{
  driver = passwd-file
  args = scheme=PLAIN {folder}/users
}}
userdb {{
  driver = static
  args = uid=65534 gid=65534 home=/nonexistent
}}
service auth {{
  unix_listener {folder}/auth {{
    mode = 0666
  }}
}}
service stats {{
  unix_listener stats-writer {{
    mode = 0666
  }}
}}
"""


class Postfix:
    """An instance of its own, apart from the machine's."""

    durability = "fsync of the queue file before 250"

    def __init__(self, folder: Path, work: Work, *, tuned: bool) -> None:
        self.name = "postfix-tuned" if tuned else "postfix"
        self.version = f"Postfix {_output('postconf', '-dh', 'mail_version')}, Dovecot {_output('dovecot', '--version')}"
        self.port = processes.free_port("127.0.0.1")
        self._folder, self._work = folder, work
        self._config = folder / "config"
        self._children: list[subprocess.Popen[bytes]] = []
        self._write(tuned)

    @property
    def pid(self) -> int:
        return self._children[-1].pid

    def cpu_seconds(self) -> float:
        return processes.cpu_seconds(self._children)

    def start(self) -> None:
        log = self._folder / "start.log"
        self._children = [processes.start(["dovecot", "-F", "-c", str(self._folder / "dovecot.conf")], log)]
        self._children.append(processes.start(["postfix", "-c", str(self._config), "start-fg"], log))
        try:
            processes.wait_for_port("127.0.0.1", self.port, self._children[-1], log)
        except processes.Unready:
            self.stop()
            raise

    def stop(self) -> None:
        if self._children:
            subprocess.run(["postfix", "-c", str(self._config), "stop"], capture_output=True, check=False, timeout=30)
        for child in reversed(self._children):
            processes.stop(child)
        self._children = []

    def _write(self, tuned: bool) -> None:
        self._config.mkdir(parents=True)
        for name in ("queue", "data"):
            (self._folder / name).mkdir()
        shutil.chown(self._folder / "data", "postfix")
        settings = _MAIN | self._places() | (self._by_sender() if self._work.gateway else self._by_smart_host())
        if tuned:
            settings |= _TUNED | {"smtp_connection_cache_destinations": self._next_hop()}
        lines = (f"{name} = {value}\n" for name, value in settings.items())
        (self._config / "main.cf").write_text("".join(lines))
        (self._config / "master.cf").write_text(_MASTER.format(port=self.port))
        (self._folder / "dovecot.conf").write_text(_DOVECOT.format(folder=self._folder))
        users = (f"{account.primary}:{account.password}\n" for account in population.accounts())
        (self._folder / "users").write_text("".join(users))

    def _places(self) -> dict[str, str]:
        return {
            "queue_directory": f"{self._folder}/queue",
            "data_directory": f"{self._folder}/data",
            "maillog_file": f"{self._folder}/mail.log",
            "maillog_file_prefixes": str(self._folder),
            "smtpd_tls_chain_files": f"{self._work.certificates}/localhost.key, {self._work.certificates}/localhost.pem",
            "smtpd_sasl_path": f"{self._folder}/auth",
            "smtpd_sender_login_maps": self._map("logins", _owners()),
            "smtp_tls_CAfile": str(self._work.ca),
        }

    def _by_sender(self) -> dict[str, str]:
        senders = [sender for account in population.accounts() for sender in account.senders]
        return _GATEWAY | {
            "sender_dependent_relayhost_maps": self._map("hosts", {s.address: self._next_hop() for s in senders}),
            "smtp_sasl_password_maps": self._map("passwords", {s.address: f"{s.address}:{s.password}" for s in senders}),
            "smtp_tls_session_cache_database": f"btree:{self._folder}/data/smtp_scache",
        }

    def _by_smart_host(self) -> dict[str, str]:
        return {"relayhost": self._next_hop(), "smtp_tls_security_level": "none"}

    def _next_hop(self) -> str:
        return f"[{self._work.host}]:{self._work.port}"

    def _map(self, name: str, entries: dict[str, str]) -> str:
        path = self._config / name
        path.write_text("".join(f"{key} {value}\n" for key, value in entries.items()))
        subprocess.run(["postmap", "-c", str(self._config), f"hash:{path}"], check=True)
        return f"hash:{path}"


def _owners() -> dict[str, str]:
    """Who may send as which address."""
    accounts = population.accounts()
    own = {account.primary: account.primary for account in accounts}
    return own | {sender.address: account.primary for account in accounts for sender in account.senders}


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
