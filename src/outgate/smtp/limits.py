"""The limits of a server session, with their reasons, and what is counted against them."""

from outgate.frozen import frozen


@frozen
class SessionLimits:
    """Bytes and counts. Defaults are what RFC 5321 section 4.5.3.1 asks for, or more."""

    command_line: int = 2048  # 512, and what SMTPUTF8, SIZE, AUTH and DSN add to MAIL and RCPT
    auth_line: int = 12288  # RFC 4954 section 4
    max_recipients: int = 1000
    max_line: int = 998  # of content, without CRLF (RFC 5322 section 2.1.1)
    max_errors: int = 10  # since the last message, before a session is closed: whoever errs more is a scanner
    max_idle_commands: int = 100  # since the last message, other than RCPT, DATA and BDAT
    max_auth: int = 3  # failed log-ins in one session

    @property
    def max_refusals(self) -> int:
        """Refused commands since the last message. A program may name ten times the recipients that are allowed, and
        go on with those that were taken (RFC 5321 section 4.5.3.1.10).
        """
        return 10 * self.max_recipients + self.max_idle_commands


class SessionCounts:
    """What a session did since its last message. Each method counts one, and says whether that was one too many."""

    def __init__(self, limits: SessionLimits) -> None:
        self._limits = limits
        self._errors = self._refusals = self._idle_commands = self._failed_log_ins = 0

    def message(self) -> None:
        """A message was taken: this client is one that sends mail."""
        self._errors = self._refusals = self._idle_commands = 0

    def error(self) -> bool:
        """Something that a good client does not say."""
        self._errors += 1
        return self._errors >= self._limits.max_errors

    def refusal(self) -> bool:
        """Something refused that a good client may say as well."""
        self._refusals += 1
        return self._refusals >= self._limits.max_refusals

    def idle_command(self) -> bool:
        """A command that brings no message nearer."""
        self._idle_commands += 1
        return self._idle_commands > self._limits.max_idle_commands

    def failed_log_in(self) -> bool:
        """A log-in that failed."""
        self._failed_log_ins += 1
        return self._failed_log_ins >= self._limits.max_auth
