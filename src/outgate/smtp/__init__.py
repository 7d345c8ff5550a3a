"""SMTP without I/O: server engine, client engine, and what they share. Pure: bytes and events, no socket, no clock.

Two engines hold the whole state of a connection each, and neither ever reads a socket, waits, or looks at a clock:

    SmtpServer    takes a client's bytes, gives events, and says the replies       (docs: RFC 5321, 6409)
    SmtpClient    takes actions, gives the commands to send, and events of replies (docs: RFC 5321, LMTP by RFC 2033)

A shell (accept/session.py, deliver/connection.py) moves bytes between engine and socket. For both engines it does the
same three things, the trio:

    engine.receive_data(data)          bytes came; receive_eof() when the other side is gone
    while event := engine.next_event():
        ...                            act on it
    socket.write(engine.data_to_send())

The bytes may be cut anywhere: any split of them gives the same events. What comes of them is never looked for twice,
and what nobody reads takes no memory without bound.

The server
----------
A session is at a `SessionStage`, which decides what commands are in order (smtp/session_commands.py has the table):

    START --EHLO--> HELLO --MAIL--> MAIL --RCPT--> RCPT --DATA, or BDAT ... LAST--> HELLO
                     |  ^            |               |
                STARTTLS, AUTH       +---- RSET -----+          BDAT without LAST: stage BDAT until the last chunk

What the bytes are at the moment is the *mode* (smtp/server_modes.py): lines, content with dots, a chunk, or nothing
while TLS is being made. A mode takes bytes off the buffer and calls whom it was made for; that one puts the next mode
in its place. So no command is ever looked for in content, and a chunk's bytes leave the stream whatever is said to it.

Some events are *questions* (`server_events.Question`): may this be the sender, is this the password, is the message
accepted. After a question the engine is `paused`: it gives no more events and reads nothing until `accept`, `reject` or
`scram` has answered. Replies therefore leave in the order of the commands, and a client may pipeline (RFC 2920) however
long an answer takes. Bytes that come meanwhile lie in its buffer, so the shell stops reading the
socket. The engine never acknowledges a message by itself: 250 to the end
of the content is said by `accept` alone.

Parts: `Dialogue` has what all share (replies to send, events, stage, mode, counts); `SessionCommands` takes the lines,
`Receipt` the transaction, `AuthCommand` the log-in. An extension is a row in smtp/extensions.py: its keyword, when it
is offered, its parameters.

Everything refused is counted. An error is what a good client does not say: ten of them since the last message end the
session. What a client that pipelines may say before it hears of a refusal has a limit that a long list of recipients
fits into. Commands that bring no message nearer, and failed log-ins, have limits of their own (smtp/limits.py).

The client
----------
One action at a time (`hello`, `starttls`, `auth`, `try_sender`, `send`, `quit`), each of which ends with its event.
`Conversation` keeps a line of those who wait for replies, in the order of what was sent; a reply is given to the first,
and only if it can be the answer to what was asked. A transaction (`Handover`) sends all that the peer lets it: with
PIPELINING and CHUNKING envelope and content leave in one write. Three rules keep mail from being lost or doubled:

- content flows after 354 alone, and only an answer to the end of a content that was sent whole is a delivery;
- whatever came before a transaction was begun, or is one answer too many, makes the connection unusable (ProtocolError,
  at each call from then on): the replies after it would be taken for others than they are;
- the grammar of replies is read generously: first three characters, last line, no limit but for what is kept. A refusal
  in bad form is a refusal.

When the connection is gone, `ConnectionLost` says what is known: replies so far, a farewell (421), and whether the peer
may have the message already.

A log-in tries the best mechanism; one that fails is not tried again, so `auth` may be called until `mechanisms` are
used up. A peer that can't prove what it should know (SCRAM) is told nothing more.

TLS and early bytes
-------------------
After STARTTLS both engines start anew, and what was said in the clear is forgotten (RFC 3207 section 4.2). What came in
the clear *behind* STARTTLS or its 220 may have been put there by somebody else (CVE-2011-0411): the server ends the
session, the client gives the connection up. Bytes of the handshake's end that came by TLS are the shell's to hold until
it has called `tls_established`. AUTH is offered and taken under TLS only.

Smuggling
---------
Two servers that read one stream differently let a sender put words into another's mouth (CVE-2023-51764). So a line
ends with CRLF and nothing else: a bare LF or CR never begins a command, nor does it end content; content ends at
CRLF.CRLF, or where BDAT says; content with a bare CR or LF, a NUL or a line over 998 bytes is refused, by DATA and BDAT
alike. What leaves by the client was checked so when it came; no address and no name can bring a line end along.
"""

from outgate.smtp.capabilities import Capabilities
from outgate.smtp.client import SmtpClient
from outgate.smtp.client_events import (
    AuthDone,
    BodyWanted,
    ClientEvent,
    ConnectionLost,
    Greeting,
    HelloDone,
    QuitDone,
    SenderDone,
    StartTlsDone,
    TransactionDone,
)
from outgate.smtp.client_log_in import AuthNotOffered
from outgate.smtp.commands import MailParams, RcptParams
from outgate.smtp.extensions import Tls
from outgate.smtp.limits import SessionLimits
from outgate.smtp.oauth import TokenIssuer
from outgate.smtp.reply import ProtocolError, Reply
from outgate.smtp.sasl import (
    Credentials,
    KeyDerivation,
    PasswordCredentials,
    SaslError,
    ScramVerifier,
    TokenCredentials,
)
from outgate.smtp.server import SmtpServer
from outgate.smtp.server_events import (
    ClientNamed,
    Closed,
    Mail,
    MessageAborted,
    MessageData,
    MessageEnded,
    MessageStarted,
    PasswordOffered,
    Rcpt,
    ScramAbandoned,
    ScramFailed,
    ScramProved,
    ScramStarted,
    ServerEvent,
    StartTls,
    TokenOffered,
)
from outgate.smtp.transaction import Addressee, Transaction, TransactionResult

__all__ = [
    "Addressee",
    "AuthDone",
    "AuthNotOffered",
    "BodyWanted",
    "Capabilities",
    "ClientEvent",
    "ClientNamed",
    "Closed",
    "ConnectionLost",
    "Credentials",
    "Greeting",
    "HelloDone",
    "KeyDerivation",
    "Mail",
    "MailParams",
    "MessageAborted",
    "MessageData",
    "MessageEnded",
    "MessageStarted",
    "PasswordCredentials",
    "PasswordOffered",
    "ProtocolError",
    "QuitDone",
    "Rcpt",
    "RcptParams",
    "Reply",
    "SaslError",
    "ScramAbandoned",
    "ScramFailed",
    "ScramProved",
    "ScramStarted",
    "ScramVerifier",
    "SenderDone",
    "ServerEvent",
    "SessionLimits",
    "SmtpClient",
    "SmtpServer",
    "StartTls",
    "StartTlsDone",
    "Tls",
    "TokenCredentials",
    "TokenIssuer",
    "TokenOffered",
    "Transaction",
    "TransactionDone",
    "TransactionResult",
]
