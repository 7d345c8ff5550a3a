"""The mail programs that users submit with: swaks, msmtp, curl and Python's smtplib, each by its own command line.

All of them want TLS and check the server's certificate against the lab's authority.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lab.namespaces import Namespace

_IMPLICIT_TLS = 465


@dataclass(frozen=True, slots=True)
class Submission:
    """A message (a file with LF line ends), its envelope, and where and as whom to submit it."""

    message: Path
    sender: str
    recipients: tuple[str, ...]
    server: str
    port: int
    username: str
    password: str
    ca_file: Path

    @property
    def implicit_tls(self) -> bool:
        return self.port == _IMPLICIT_TLS


Program = Callable[[Namespace, Submission], subprocess.CompletedProcess[str]]


def swaks(desk: Namespace, it: Submission) -> subprocess.CompletedProcess[str]:
    """Swiss Army Knife for SMTP, in Perl."""
    return desk.run(
        *("swaks", "--server", it.server, "--port", str(it.port), "--ehlo", desk.host.name),
        *("--tls-on-connect" if it.implicit_tls else "--tls", "--tls-verify", "--tls-ca-path", str(it.ca_file)),
        *("--auth", "PLAIN", "--auth-user", it.username, "--auth-password", it.password),
        *("--from", it.sender, "--to", ",".join(it.recipients), "--data", f"@{it.message}"),
        check=False,
    )


def msmtp(desk: Namespace, it: Submission) -> subprocess.CompletedProcess[str]:
    """A sendmail for one user, in C."""
    return desk.run(
        *("msmtp", f"--host={it.server}", f"--port={it.port}", f"--domain={desk.host.name}", f"--from={it.sender}"),
        *("--tls=on", f"--tls-starttls={'off' if it.implicit_tls else 'on'}", f"--tls-trust-file={it.ca_file}"),
        *("--auth=plain", f"--user={it.username}", f"--passwordeval=printf %s '{it.password}'", "--"),
        *it.recipients,
        stdin=it.message.read_bytes(),
        check=False,
    )


def curl(desk: Namespace, it: Submission) -> subprocess.CompletedProcess[str]:
    """libcurl's smtp:// and smtps://."""
    recipients = [part for recipient in it.recipients for part in ("--mail-rcpt", recipient)]
    scheme = "smtps" if it.implicit_tls else "smtp"
    return desk.run(
        *("curl", "--silent", "--show-error", "--ssl-reqd", "--cacert", str(it.ca_file), "--crlf"),
        *("--url", f"{scheme}://{it.server}:{it.port}/{desk.host.name}", "--user", f"{it.username}:{it.password}"),
        *("--mail-from", it.sender, *recipients, "--upload-file", str(it.message)),
        check=False,
    )


def smtplib(desk: Namespace, it: Submission) -> subprocess.CompletedProcess[str]:
    """Python's own; see smtplib_client.py."""
    fields = {
        "server": it.server,
        "port": it.port,
        "implicit_tls": it.implicit_tls,
        "ehlo": desk.host.name,
        "ca_file": str(it.ca_file),
        "username": it.username,
        "password": it.password,
        "sender": it.sender,
        "recipients": it.recipients,
        "message": str(it.message),
    }
    program = Path(__file__).with_name("smtplib_client.py")
    return desk.run(sys.executable, str(program), stdin=json.dumps(fields), check=False)


PROGRAMS: dict[str, Program] = {"swaks": swaks, "msmtp": msmtp, "curl": curl, "smtplib": smtplib}
