"""What a server engine tells its application. Those called questions pause it until they are answered."""

from dataclasses import field

from outgate.frozen import frozen
from outgate.smtp.commands import MailParams, RcptParams


@frozen
class StartTls:
    """220 is queued: send it, do the handshake, call `tls_established`."""


@frozen
class PasswordOffered:
    """Question: is this the password?"""

    mechanism: str
    username: str
    password: str = field(repr=False)
    authzid: str = ""


@frozen
class TokenOffered:
    """Question: is this an access token of this user? The user name is empty if the token alone says who it is; an
    empty token asks only where tokens are to be had, and is to be refused.
    """

    username: str
    token: str = field(repr=False)
    mechanism: str


@frozen
class ScramStarted:
    """Question, answered by `scram`: what is the verifier of this user?"""

    username: str


@frozen
class ScramProved:
    """Question: the client knows the password; may it log in?"""

    username: str


@frozen
class ScramFailed:
    """The client does not know the password; 535 is queued."""

    username: str


@frozen
class ScramAbandoned:
    """The client has seen the salt of this user and did not go on: it cancelled, sent nonsense, or went away."""

    username: str


@frozen
class Mail:
    """Question: may this be the reverse path?"""

    reverse_path: str
    params: MailParams


@frozen
class Rcpt:
    """Question: is this recipient accepted?"""

    address: str
    params: RcptParams


@frozen
class ClientNamed:
    """A trusted server says as whom its own client has logged in; empty: as nobody."""

    login: str


@frozen
class MessageStarted:
    """Question: may content come now?"""


@frozen
class MessageData:
    """A piece of content, as it was before it went over the wire."""

    data: bytes


@frozen
class MessageEnded:
    """Question: is the message accepted?"""

    size: int
    eight_bit: bool


@frozen
class MessageAborted:
    """What came of the message so far is to be forgotten; the engine has replied."""

    reason: str


@frozen
class Closed:
    """The session is over."""


MessageQuestion = Mail | Rcpt | MessageStarted | MessageEnded
LogInQuestion = PasswordOffered | TokenOffered | ScramStarted | ScramProved
Question = MessageQuestion | LogInQuestion
MESSAGE_QUESTIONS = (Mail, Rcpt, MessageStarted, MessageEnded)
LOG_IN_QUESTIONS = (PasswordOffered, TokenOffered, ScramStarted, ScramProved)
QUESTIONS = MESSAGE_QUESTIONS + LOG_IN_QUESTIONS

ServerEvent = Question | StartTls | ScramFailed | ScramAbandoned | MessageData | MessageAborted | ClientNamed | Closed
