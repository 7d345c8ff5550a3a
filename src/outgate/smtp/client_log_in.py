"""The client's log-ins (RFC 4954): which mechanism is worth a try, and the messages of one exchange.

Knows no connection; that only verified TLS may carry a credential is for the application to see to.
"""

import re
from dataclasses import replace
from typing import Final

from outgate.smtp.client_events import AuthDone
from outgate.smtp.conversation import Conversation
from outgate.smtp.reply import Reply
from outgate.smtp.sasl import (
    CHALLENGES_DUE,
    PASSWORD_MECHANISMS,
    SECRET_ITSELF,
    TOKEN_MECHANISMS,
    Credentials,
    Exchange,
    KeyDerivation,
    PasswordCredentials,
    ProofFailed,
    SaslError,
    Step,
    decode,
    encode,
    exchange,
)

_CUT: Final = "[cut]"
_SHORTEST: Final = 8  # characters, as in _ENCODED; what is shorter is in other words by chance
_SHORTEST_SECRET: Final = 4
_ENCODED: Final = re.compile(r"[A-Za-z0-9+/=]{8,}")


class AuthNotOffered(Exception):
    """The peer offers no mechanism that can carry these credentials, or none that is worth another try."""


class ClientLogIn:
    """All log-ins of one connection, one exchange at a time."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self._spent: set[str] = set()  # mechanisms that need not be tried again
        self._mechanism = ""
        self._exchange: Exchange | None = None
        self._initial = b""  # the initial response, until the peer has answered it
        self._challenges_due = 0
        self._said: list[str] = []  # messages of the exchange under way, encoded
        self._secret = ""  # what they are about

    @property
    def under_way(self) -> bool:
        """An exchange has begun."""
        return self._exchange is not None

    def mechanisms(self, credentials: Credentials, offered: frozenset[str]) -> tuple[str, ...]:
        """Those that are worth a try, best first."""
        fitting = PASSWORD_MECHANISMS if isinstance(credentials, PasswordCredentials) else TOKEN_MECHANISMS
        return tuple(name for name in fitting if name in offered and name not in self._spent)

    def begin(self, credentials: Credentials, offered: frozenset[str], mechanism: str | None) -> None:
        """Log in by `mechanism`, or by the best one. Raises AuthNotOffered."""
        for name in self.mechanisms(credentials, offered):
            if mechanism in (None, name) and self._begin(name, credentials):
                return
        raise AuthNotOffered

    def _begin(self, mechanism: str, credentials: Credentials) -> bool:
        """False if this mechanism can't carry these credentials."""
        steps = exchange(mechanism, credentials)
        try:
            initial = next(steps)
        except SaslError:
            return False
        assert not isinstance(initial, KeyDerivation)  # that follows a challenge
        self._mechanism, self._exchange, self._initial = mechanism, steps, initial or b""
        self._challenges_due = CHALLENGES_DUE[mechanism]
        self._secret = credentials.password if isinstance(credentials, PasswordCredentials) else credentials.token
        self._remember(encode(self._secret.encode()).decode())
        # "=" stands for an initial response that is empty (RFC 4954 section 4).
        text = "" if initial is None else (encode(initial) or b"=").decode()
        self._remember(text)
        self._say(f"AUTH {mechanism} {text}".rstrip(" "))
        return True

    def without_secrets(self, reply: Reply) -> Reply:
        """The reply without what was said in this exchange: peers quote it, and replies are recorded."""
        if not self._said or not any(self._quoted(line) for line in reply.lines):
            return reply
        return replace(reply, lines=tuple(self._cut(line) for line in reply.lines))

    def _quoted(self, line: str) -> bool:
        return self._is_in(line) or any(self._was_said(word) for word in _ENCODED.findall(line))

    def _is_in(self, line: str) -> bool:
        return len(self._secret) >= _SHORTEST_SECRET and self._secret in line

    def _cut(self, line: str) -> str:
        if self._is_in(line):
            line = line.replace(self._secret, _CUT)
        return _ENCODED.sub(lambda word: _CUT if self._was_said(word[0]) else word[0], line)

    def _was_said(self, word: str) -> bool:
        """As a whole, a part of it, or with something about it."""
        return any(word in text or text in word for text in self._said)

    def derived(self, salted: bytes) -> None:
        """What KeyDerivation asked for."""
        if self._exchange is None:
            raise RuntimeError("no exchange is under way")
        self._answer(self._exchange.send(salted))

    def _take(self, reply: Reply) -> None:
        if not reply.intermediate or self._exchange is None:
            self._end(reply)
            return
        try:
            step = self._respond(self._exchange, decode(reply.lines[0].strip().encode()))
        except (SaslError, StopIteration) as error:
            self._cancel(distrusted=isinstance(error, ProofFailed))
        else:
            self._answer(step)

    def _respond(self, steps: Exchange, challenge: bytes) -> Step:
        initial, self._initial = self._initial, b""
        if initial and not challenge:
            return initial  # the peer takes it only in a line of its own
        step = steps.send(challenge)
        self._challenges_due -= 1
        return step

    def _answer(self, step: Step) -> None:
        if isinstance(step, KeyDerivation):
            self._conversation.events.append(step)
        else:
            text = encode(step or b"").decode()
            self._remember(text)
            self._say(text)

    def _remember(self, text: str) -> None:
        if len(text) >= _SHORTEST:
            self._said.append(text)

    def _cancel(self, *, distrusted: bool) -> None:
        """Give the exchange up (RFC 4954 section 4); the reply is the end. A peer that can't prove that it knows the
        password is not told it by another mechanism.
        """
        self._exchange, self._initial, self._challenges_due = None, b"", 1
        if distrusted:
            self._spent.update(PASSWORD_MECHANISMS)
        self._say("*")

    def _say(self, text: str) -> None:
        self._conversation.command(text, self._take, continues=True)

    def _end(self, reply: Reply) -> None:
        # Nothing of the credential stays for as long as the connection.
        self._exchange, self._initial, self._secret = None, b"", ""
        self._said.clear()
        if not reply.positive:
            self._spend(reply)
        elif self._challenges_due > 0:
            self._conversation.fault("the peer ended the log-in before its proof")
        self._conversation.events.append(AuthDone(reply))

    def _spend(self, reply: Reply) -> None:
        """A user may have no SCRAM verifier and yet a password; but who has seen the password or the token itself has
        judged it, and what is not possible now is so by all mechanisms.
        """
        judged = reply.code == 535 and self._mechanism in SECRET_ITSELF
        if judged or reply.transient:
            self._spent.update(PASSWORD_MECHANISMS, TOKEN_MECHANISMS)
        self._spent.add(self._mechanism)
