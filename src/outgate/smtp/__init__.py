"""SMTP without I/O: server engine, client engine, and what they share. Pure: bytes and events, no socket, no clock."""

from outgate.smtp.capabilities import Capabilities
from outgate.smtp.client import AuthNotOffered, Client
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
from outgate.smtp.events import (
    Closed,
    Event,
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
    StartTls,
    TokenOffered,
)
from outgate.smtp.limits import Limits
from outgate.smtp.oauth import TokenIssuer
from outgate.smtp.reply import ProtocolError, Reply
from outgate.smtp.sasl import PasswordCredentials, SaslError, ScramVerifier, TokenCredentials
from outgate.smtp.server import Server, Tls
from outgate.smtp.transaction import Recipient, Transaction, TransactionResult

__all__ = [
    "AuthDone",
    "AuthNotOffered",
    "BodyWanted",
    "Capabilities",
    "Client",
    "ClientEvent",
    "Closed",
    "CommandDone",
    "ConnectionLost",
    "Event",
    "Greeting",
    "HelloDone",
    "Limits",
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
    "Recipient",
    "Reply",
    "SaslError",
    "ScramFailed",
    "ScramProved",
    "ScramStarted",
    "ScramVerifier",
    "Server",
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
