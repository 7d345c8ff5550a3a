"""SMTP without I/O: server engine, client engine, and what they share. Pure: bytes and events, no socket, no clock."""

from outgate.smtp.capabilities import Capabilities
from outgate.smtp.client import AuthNotOffered, SmtpClient
from outgate.smtp.client_events import (
    AuthDone,
    BodyWanted,
    ClientEvent,
    CommandDone,
    ConnectionLost,
    Greeting,
    HelloDone,
    StartTlsDone,
    TransactionDone,
)
from outgate.smtp.commands import MailParams, RcptParams
from outgate.smtp.limits import SessionLimits
from outgate.smtp.oauth import TokenIssuer
from outgate.smtp.reply import ProtocolError, Reply
from outgate.smtp.sasl import PasswordCredentials, SaslError, ScramVerifier, TokenCredentials
from outgate.smtp.server import SmtpServer, Tls
from outgate.smtp.server_events import (
    Closed,
    Mail,
    MessageAborted,
    MessageData,
    MessageEnded,
    MessageStarted,
    PasswordOffered,
    Rcpt,
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
    "Closed",
    "CommandDone",
    "ConnectionLost",
    "Greeting",
    "HelloDone",
    "Mail",
    "MailParams",
    "MessageAborted",
    "MessageData",
    "MessageEnded",
    "MessageStarted",
    "PasswordCredentials",
    "PasswordOffered",
    "ProtocolError",
    "Rcpt",
    "RcptParams",
    "Reply",
    "SaslError",
    "ScramFailed",
    "ScramProved",
    "ScramStarted",
    "ScramVerifier",
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
