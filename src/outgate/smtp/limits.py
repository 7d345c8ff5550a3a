"""The limits of a server session, with their reasons."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """Bytes and counts. Defaults are what RFC 5321 section 4.5.3.1 asks for, or more."""

    command_line: int = 2048  # 512, and what SMTPUTF8, SIZE, AUTH and DSN add to MAIL and RCPT
    auth_line: int = 12288  # RFC 4954 section 4
    max_recipients: int = 1000
    max_line: int = 998  # of content, without CRLF (RFC 5322 section 2.1.1)
    max_errors: int = 10  # since the last message, before a session is closed: whoever errs more is a scanner
    max_idle_commands: int = 100  # since the last message, other than RCPT, DATA and BDAT
    max_auth: int = 3  # failed log-ins in one session
