"""Postfix under test, with Dovecot for its users' log-in: instances of their own, well configured, on loopback.

`default` is what the documentation of per-sender relays shows, with process limits that fit the load; `tuned` also
keeps and shares outgoing TLS connections. Postfix syncs its queue file before the 250.
"""

import os
import pwd
import subprocess
from pathlib import Path

import psutil

from bench import population
from bench.product import Work, cpu_of
from bench.scratch import Scratch, free_port, listens, until

_MAIN = """\
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {folder}/log/mail.log
maillog_file_prefixes = {folder}
myhostname = mail.example.com
mydestination =
mynetworks =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
local_recipient_maps =
smtpd_tls_security_level = may
smtpd_tls_chain_files = {key}, {certificate}
smtpd_tls_auth_only = yes
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = {folder}/dovecot/auth
smtpd_relay_restrictions = permit_sasl_authenticated, reject
smtpd_recipient_restrictions =
smtpd_client_connection_count_limit = 0
smtpd_peername_lookup = no
disable_dns_lookups = yes
smtp_host_lookup = native
default_process_limit = 200
smtp_tls_CAfile = {ca}
smtp_tls_loglevel = 0
qmgr_message_active_limit = 40000
"""

_GATEWAY = """\
sender_dependent_relayhost_maps = hash:{folder}/relayhosts
smtp_sender_dependent_authentication = yes
smtp_sasl_auth_enable = yes
smtp_sasl_password_maps = hash:{folder}/passwords
smtp_sasl_security_options = noanonymous
smtp_tls_security_level = secure
smtp_tls_session_cache_database = btree:{folder}/data/smtp_scache
"""

_RELAY = "relayhost = [127.0.0.1]:{sink}\nsmtp_tls_security_level = none\n"

_TUNED = """\
smtp_tls_connection_reuse = yes
smtp_connection_cache_on_demand = yes
smtp_connection_cache_time_limit = 30s
smtp_connection_reuse_time_limit = 300s
smtp_destination_concurrency_limit = 50
initial_destination_concurrency = 20
in_flow_delay = 0
"""

_MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd -o smtpd_tls_wrappermode=yes
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
tlsproxy unix - - n - 0 tlsproxy
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""

_DOVECOT = """\
base_dir = {folder}/dovecot
state_dir = {folder}/dovecot
log_path = {folder}/dovecot.log
protocols =
ssl = no
listen = 127.0.0.1
auth_mechanisms = plain login
default_internal_user = dovecot
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {folder}/users
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home=/nonexistent
}}
service auth {{
  unix_listener auth {{
    mode = 0660
    user = postfix
  }}
}}
service anvil {{
  chroot =
}}
"""


class Postfix:
    """One instance for one work."""

    def __init__(self, scratch: Scratch, work: Work, number: int, *, tuned: bool) -> None:
        self.name = "postfix tuned" if tuned else "postfix"
        self.port = free_port()
        self._folder = scratch.folder / f"postfix-{number}"
        self._scratch = scratch
        self._ended_cpu = 0.0
        self._configure(work, tuned=tuned)

    def start(self) -> None:
        """Dovecot first, Postfix asks it at each log-in."""
        self._run("dovecot", "-c", str(self._folder / "dovecot.conf"))
        self._scratch.on_exit.callback(self._stop_quietly)
        until((self._folder / "dovecot" / "auth").exists, "dovecot's start")
        self._run("postfix", "-c", str(self._folder), "start")
        until(lambda: listens(self.port), "postfix's start")

    def stop(self) -> None:
        """Stop both."""
        self._stop_quietly()

    def cpu_seconds(self) -> float:
        """Of Postfix's processes; of Dovecot's too, which does a part of the submission's work."""
        pids = [self._folder / "queue/pid/master.pid", self._folder / "dovecot/master.pid"]
        return sum(cpu_of(int(path.read_text())) for path in pids)

    def _stop_quietly(self) -> None:
        self._run("postfix", "-c", str(self._folder), "stop", check=False)
        self._run("doveadm", "-c", str(self._folder / "dovecot.conf"), "stop", check=False)

    def _run(self, *command: str, check: bool = True) -> None:
        """Into a file, since daemons that are started keep a pipe open."""
        with (self._folder / "commands.log").open("a") as log:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=60, check=False)
        if check and done.returncode:
            raise RuntimeError(f"{command[0]} failed: {(self._folder / 'commands.log').read_text()[-2000:]}")

    def _configure(self, work: Work, *, tuned: bool) -> None:
        for name in ("", "queue", "data", "log", "dovecot"):
            (self._folder / name).mkdir()
        os.chown(self._folder / "data", pwd.getpwnam("postfix").pw_uid, -1)
        values = {
            "folder": self._folder,
            "key": self._scratch.key,
            "certificate": self._scratch.certificate,
            "ca": self._scratch.ca,
            "sink": work.sink_port,
        }
        main = _MAIN + (_GATEWAY if work.name == "gateway" else _RELAY) + (_TUNED if tuned else "")
        (self._folder / "main.cf").write_text(main.format(**values))
        (self._folder / "master.cf").write_text(_MASTER.format(port=self.port))
        (self._folder / "dovecot.conf").write_text(_DOVECOT.format(**values))
        self._maps(work)

    def _maps(self, work: Work) -> None:
        accounts = population.accounts()
        _write(self._folder / "users", [f"{one.primary}:{{PLAIN}}{one.password}" for one in accounts])
        senders = [sender for one in accounts for sender in one.senders]
        _write(self._folder / "relayhosts", [f"{one.address} [localhost]:{work.sink_port}" for one in senders])
        _write(self._folder / "passwords", [f"{one.address} {one.address}:{one.password}" for one in senders])
        for name in ("relayhosts", "passwords"):
            subprocess.run(["postmap", "-c", self._folder, f"hash:{self._folder / name}"], check=True)


def leftovers(folder: Path) -> list[int]:
    """Processes that still run from below a folder: there must be none at the end."""
    return [one.pid for one in psutil.process_iter(["cmdline"]) if str(folder) in " ".join(one.info["cmdline"] or [])]


def _write(path: Path, lines: list[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines))
