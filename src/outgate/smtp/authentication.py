"""The server's half of one AUTH command (RFC 4954): responses in, challenges and questions out.

Knows no base64 and says no reply; the engine does.
"""

from outgate.smtp.oauth import oauthbearer_message, xoauth2_message
from outgate.smtp.reply import Reply
from outgate.smtp.sasl import SaslError, ScramServer, ScramVerifier, plain_message, utf8
from outgate.smtp.server_events import PasswordOffered, ScramFailed, ScramProved, ScramStarted, TokenOffered

Step = bytes | PasswordOffered | TokenOffered | ScramStarted | ScramProved | ScramFailed


class Authentication:
    """One exchange. `respond` gives a challenge (bytes) or an event; raises SaslError on what can't be understood.

    `refusal` is set once a token is refused: the reply for when the client has answered the challenge that says why.
    `unproved` while a client has seen a user's salt and not shown yet what it knows of the password.
    """

    def __init__(self, mechanism: str) -> None:
        self.mechanism = mechanism
        self.refusal: Reply | None = None
        self.username = ""
        self.unproved = False
        self.first_challenge = b"Username:" if mechanism == "LOGIN" else b""
        self._respond = {
            "PLAIN": self._plain,
            "LOGIN": self._login_name,
            "SCRAM-SHA-256": self._scram_first,
            "OAUTHBEARER": self._oauthbearer,
            "XOAUTH2": self._xoauth2,
        }[mechanism]
        self._scram: ScramServer

    def respond(self, message: bytes) -> Step:
        """Take the client's next message."""
        return self._respond(message)

    def scram_challenge(self, verifier: ScramVerifier) -> bytes:
        """The challenge after ScramStarted."""
        self._respond, self.unproved = self._scram_final, True
        return self._scram.challenge(verifier)

    def _plain(self, message: bytes) -> Step:
        authzid, username, password = plain_message(message)
        return PasswordOffered("PLAIN", username, password, authzid)

    def _login_name(self, message: bytes) -> Step:
        self.username = utf8(message)
        self._respond = self._login_password
        return b"Password:"

    def _login_password(self, message: bytes) -> Step:
        return PasswordOffered("LOGIN", self.username, utf8(message))

    def _oauthbearer(self, message: bytes) -> Step:
        return TokenOffered(*oauthbearer_message(message), "OAUTHBEARER")

    def _xoauth2(self, message: bytes) -> Step:
        return TokenOffered(*xoauth2_message(message), "XOAUTH2")

    def _scram_first(self, message: bytes) -> Step:
        self._scram = ScramServer(message)
        self.username = self._scram.username
        return ScramStarted(self.username)

    def _scram_final(self, message: bytes) -> Step:
        self.unproved = False
        try:
            final = self._scram.final(message)
        except SaslError:
            return ScramFailed(self.username)
        self._respond = self._scram_acknowledged
        return final

    def _scram_acknowledged(self, message: bytes) -> Step:
        """The client has seen our proof; RFC 4954 section 4 has no place for it in the 235."""
        return ScramProved(self.username)
