"""Command lines: which commands there are and when each is in order; and those that belong to no transaction.

MAIL to BDAT are taken by smtp/receipt.py, AUTH by smtp/auth_command.py.
"""

import re
from collections.abc import Callable

from outgate.frozen import frozen
from outgate.smtp.auth_command import AuthCommand
from outgate.smtp.commands import BadArgument
from outgate.smtp.dialogue import Dialogue, SessionStage
from outgate.smtp.extensions import OfferState, Tls, offers
from outgate.smtp.limits import SessionLimits
from outgate.smtp.lines import TOO_LONG, Inbound
from outgate.smtp.receipt import OUT_OF_ORDER, SYNTAX, Receipt
from outgate.smtp.reply import Reply
from outgate.smtp.server_events import ClientNamed, StartTls
from outgate.smtp.server_modes import Handshake
from outgate.smtp.xclient import xclient_login


def greeting(hostname: str) -> Reply:
    """What a session begins with."""
    return Reply(220, "", (f"{hostname} ESMTP Outgate",))


_OK = Reply(250, "2.0.0", ("Ok",))
_BYE = Reply(221, "2.0.0", ("Bye",))
_HELP = Reply(214, "2.0.0", ("EHLO HELO MAIL RCPT DATA BDAT RSET NOOP VRFY AUTH STARTTLS QUIT",))
_VRFY = Reply(252, "2.5.2", ("Cannot VRFY user, but will accept a message",))
_UNKNOWN = Reply(500, "5.5.1", ("Command not recognised",))
_NOT_UTF8 = Reply(501, "5.5.2", ("A command must be valid UTF-8",))
_NAMELESS = Reply(501, "5.5.4", ("Say who you are: EHLO your.host.name",))
_NO_TLS = Reply(503, "5.5.1", ("TLS is not available here, or in force already",))
_READY_FOR_TLS = Reply(220, "2.0.0", ("Ready to start TLS",))
BEHIND_STARTTLS = Reply(421, "4.7.0", ("Commands behind STARTTLS; closing the connection",))

# Computers have names in all scripts and code pages, and nothing here depends on the name.
_HELLO_NAME = re.compile(r"[^\x00-\x1f\x7f]{1,255}")

_ANY = frozenset(SessionStage)
_NEVER = frozenset[SessionStage]()
_HELLO = frozenset({SessionStage.HELLO})
_MAIL_OR_RCPT = frozenset({SessionStage.MAIL, SessionStage.RCPT})
_TRANSACTION = frozenset({b"RCPT", b"DATA", b"BDAT"})  # these bring a message nearer


@frozen
class CommandRow:
    """Who takes a command, and the stages in which it is in order (RFC 5321 section 4.1.4, RFC 3030 section 2)."""

    take: Callable[[str], None]
    stages: frozenset[SessionStage] = _ANY


class SessionCommands:
    """Takes one line after the other."""

    def __init__(
        self,
        dialogue: Dialogue,
        inbound: Inbound,
        receipt: Receipt,
        auth: AuthCommand,
        limits: SessionLimits,
        *,
        hostname: str,
        max_size: int,
        max_hold: str = "",
        xclient: bool = False,
    ) -> None:
        self._dialogue, self._inbound, self._receipt, self._auth = dialogue, inbound, receipt, auth
        self._limit, self._hostname, self._max_size = limits.command_line, hostname, max_size
        self._max_hold, self._xclient_taken = max_hold, xclient
        self._commands = {
            b"EHLO": CommandRow(self._ehlo),
            b"HELO": CommandRow(self._helo),
            b"NOOP": CommandRow(self._noop),
            b"HELP": CommandRow(self._help),
            b"VRFY": CommandRow(self._vrfy),
            b"RSET": CommandRow(self._rset),
            b"QUIT": CommandRow(self._quit),
            b"STARTTLS": CommandRow(self._starttls, _HELLO),
            b"AUTH": CommandRow(auth.auth, _HELLO),
            b"MAIL": CommandRow(receipt.mail, _HELLO),
            b"RCPT": CommandRow(receipt.rcpt, _MAIL_OR_RCPT),
            b"DATA": CommandRow(receipt.data, _MAIL_OR_RCPT),
            b"BDAT": CommandRow(receipt.bdat),  # its bytes follow whatever the reply
        }
        if xclient:
            self._commands[b"XCLIENT"] = CommandRow(self._xclient, _HELLO)
        self._unknown = CommandRow(lambda argument: dialogue.fault(_UNKNOWN))

    def take(self, line: bytes) -> None:
        """One command line without its CRLF."""
        verb, _, argument = line.partition(b" ")
        verb = verb.upper()
        command = self._commands.get(verb, self._unknown)
        if len(line) + 2 > self._limit and verb != b"AUTH":
            self._refuse_line(verb, TOO_LONG)
        elif self._dialogue.stage not in command.stages:
            self._out_of_order(verb)
        elif verb in _TRANSACTION or self._dialogue.idle_command():
            try:
                command.take(argument.decode(errors=_DECODING.get(verb, "strict")).rstrip(" "))
            except UnicodeDecodeError:
                self._refuse_line(verb, _NOT_UTF8)

    def _refuse_line(self, verb: bytes, reply: Reply) -> None:
        if verb == b"BDAT":
            self._dialogue.shut_down(reply)  # how many bytes follow can't be known
        else:
            self._dialogue.fault(reply)

    def _out_of_order(self, verb: bytes) -> None:
        if verb in _TRANSACTION:
            self._receipt.out_of_order(verb)
        else:
            self._dialogue.fault(OUT_OF_ORDER)

    def _ehlo(self, argument: str) -> None:
        if self._hello(argument):
            state = OfferState(
                self._dialogue.tls, self._max_size, self._auth.mechanisms, self._max_hold, self._xclient_taken
            )
            self._dialogue.say(Reply(250, "", (self._hostname, *offers(state))))

    def _helo(self, argument: str) -> None:
        if self._hello(argument):
            self._dialogue.say(Reply(250, "", (self._hostname,)))

    def _hello(self, argument: str) -> bool:
        if not _HELLO_NAME.fullmatch(argument):
            self._dialogue.fault(_NAMELESS)
            return False
        self._receipt.abort("a new greeting")
        self._dialogue.stage = SessionStage.HELLO
        return True

    def _noop(self, argument: str) -> None:
        self._dialogue.say(_OK)

    def _help(self, argument: str) -> None:
        self._dialogue.say(_HELP)

    def _vrfy(self, argument: str) -> None:
        self._dialogue.say(_VRFY)

    def _rset(self, argument: str) -> None:
        self._receipt.abort("the client reset the transaction")
        self._receipt.refused = False
        self._dialogue.say(_OK)

    def _quit(self, argument: str) -> None:
        self._receipt.abort("the client quit")
        self._dialogue.shut_down(_BYE)

    def _xclient(self, argument: str) -> None:
        """The session begins anew, with its greeting, and is that client's: a proxy passes on what the client says, so
        another XCLIENT would be the client's own word.
        """
        try:
            login = xclient_login(argument)
        except BadArgument as error:
            self._dialogue.fault(error.reply)
            return
        self._xclient_taken = False
        self._commands[b"XCLIENT"] = CommandRow(self._xclient, _NEVER)
        self._dialogue.events.append(ClientNamed(login))
        self._dialogue.stage = SessionStage.START
        self._dialogue.say(greeting(self._hostname))

    def _starttls(self, argument: str) -> None:
        dialogue = self._dialogue
        if argument:
            dialogue.fault(SYNTAX)
        elif dialogue.tls is not Tls.AVAILABLE:
            dialogue.fault(_NO_TLS)
        elif self._inbound:
            # What came behind STARTTLS came in the clear: somebody may have put it there (CVE-2011-0411).
            dialogue.shut_down(BEHIND_STARTTLS)
        else:
            dialogue.mode = Handshake()
            dialogue.say(_READY_FOR_TLS)
            dialogue.events.append(StartTls())


# What of a command need not be UTF-8.
_DECODING = {b"EHLO": "backslashreplace", b"HELO": "backslashreplace"}
