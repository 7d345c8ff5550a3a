"""Connections to the LDAP directory: encrypted, verified, with time-outs. Knows no entry and no account.

Knows the library ldap3, whose defaults are not all safe: see docs/decisions/0013-ldap3.md.
"""

import socket
import ssl
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from outgate.config import Config, ConfigError, LdapSettings
from outgate.directory.source import SourceUnavailable
from outgate.extras import extra
from outgate.frozen import frozen
from outgate.secret_file import SecretFileError, read_secret

with warnings.catch_warnings():
    # ldap3 2.9 asks pyasn1 for names that were renamed since; both spellings work.
    warnings.filterwarnings("ignore", "(tagMap|typeMap) is deprecated", DeprecationWarning)
    with extra("ldap"):
        from ldap3 import ANONYMOUS, DEREF_NEVER, NONE, SIMPLE, Connection, Server, Tls
        from ldap3.core.exceptions import LDAPException

__all__ = ["DEREF_NEVER", "Connection", "LdapClient", "LdapUnavailable", "Location", "result_of"]

# Results of a bind that say that this password is not right for this entry, or that the entry may not be used (RFC
# 4511 appendix A.1): constraintViolation, noSuchObject, invalidDNSyntax, inappropriateAuthentication,
# invalidCredentials, insufficientAccessRights, unwillingToPerform. Any other says nothing of the password.
_REFUSED: Final = frozenset({19, 32, 34, 48, 49, 50, 53})


class LdapUnavailable(SourceUnavailable):
    """The directory did not answer, or not as one that can be used; the text says why."""


@frozen
class Location:
    """Where the directory listens: `ldap` is followed by STARTTLS; for `ldapi`, `host` is the socket's path."""

    scheme: str
    host: str
    port: int | None

    @classmethod
    def parse(cls, url: str) -> "Location":
        """Raises ConfigError."""
        parts = urlsplit(url)
        if parts.scheme == "ldapi":
            return cls("ldapi", unquote(url.removeprefix("ldapi://")), None)
        try:
            host, port = parts.hostname, parts.port
        except ValueError:
            host, port = None, None
        if parts.scheme not in ("ldaps", "ldap") or not host or parts.path not in ("", "/"):
            raise ConfigError(f"ldap.url '{url[:80]}' must be ldaps://host[:port], ldap://host[:port] or ldapi://path")
        return cls(parts.scheme, host, port or (636 if parts.scheme == "ldaps" else 389))


class _Verified(Tls):
    """TLS by a context that verifies chain and name: ldap3's own sends no SNI and leaves the name to old code."""

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__(validate=ssl.CERT_REQUIRED)
        self._context = context

    def wrap_socket(self, connection: Any, do_handshake: bool = False) -> None:
        """As ldap3 calls it. The handshake is always made here, in the time-out of the socket."""
        connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # small requests, each waited for
        connection.socket = self._context.wrap_socket(connection.socket, server_hostname=connection.server.host)


class LdapClient:
    """Opens connections as the configuration says. Blocks: call it in a thread. Raises ConfigError when it is made."""

    def __init__(self, config: Config) -> None:
        self.settings: LdapSettings = config.ldap
        self._location = Location.parse(self.settings.url)
        self._password_file = _path(config, self.settings.bind_password_file)
        self._ca_file = _path(config, self.settings.ca_file)
        if self.settings.bind_dn and not self._password_file:
            raise ConfigError("ldap.bind_dn is set: set ldap.bind_password_file to a file with its password, mode 600")
        if not self.settings.base:
            raise ConfigError("set ldap.base to where users are, as in ou=people,dc=example,dc=com")

    @contextmanager
    def connected(self) -> Iterator[Connection]:
        """A connection bound as `bind_dn`, closed at the end. Raises LdapUnavailable, also for what is done with it."""
        try:
            connection = self._made()
            try:
                self._open(connection)
                self._bind(connection)
                yield connection
            finally:
                _close(connection)
        except (LDAPException, OSError) as error:
            raise LdapUnavailable(f"{self.settings.url}: {_told(error)}") from None

    def proves(self, connection: Connection, dn: str, password: bytes) -> bool:
        """Whether the password is that of the entry `dn`, by a simple bind on this connection, which is then its.

        RFC 4513 section 5.1.2: a bind with a name and an empty password succeeds and proves nothing, so none is made.
        Takes bytes, prepared by SASLprep: ldap3 sends them as they are, and prepares text in a way of its own.
        """
        if not dn or not password:
            return False
        if connection.rebind(dn, password, SIMPLE, read_server_info=False):
            return True
        if connection.result["result"] in _REFUSED:
            return False
        raise LdapUnavailable(f"{self.settings.url}: a log-in was answered with {result_of(connection)}")

    def _made(self) -> Connection:
        location, timeout = self._location, self.settings.timeout
        target = f"ldapi://{location.host}" if location.scheme == "ldapi" else location.host
        server = Server(
            target,
            port=location.port,
            use_ssl=location.scheme == "ldaps",
            tls=None if location.scheme == "ldapi" else _Verified(self._context),
            get_info=NONE,
            connect_timeout=timeout,
        )
        # Referrals are not followed: the password would be sent to whatever host the answer names.
        return Connection(
            server,
            auto_referrals=False,
            auto_range=False,
            check_names=False,
            receive_timeout=max(1, round(timeout)),  # whole seconds, as ldap3 packs it
        )

    def _open(self, connection: Connection) -> None:
        connection.open(read_server_info=False)
        if self._location.scheme == "ldap" and not connection.start_tls(read_server_info=False):
            raise LdapUnavailable(f"{self.settings.url}: STARTTLS was refused, and nothing is sent without it")

    def _bind(self, connection: Connection) -> None:
        dn = self.settings.bind_dn
        if dn:
            bound = connection.rebind(dn, self._password(), SIMPLE, read_server_info=False)
        else:
            bound = connection.rebind(authentication=ANONYMOUS, read_server_info=False)
        if not bound:
            raise LdapUnavailable(f"{self.settings.url}: bind as {dn or 'anonymous'}: {result_of(connection)}")

    @cached_property
    def _context(self) -> ssl.SSLContext:
        """Made once: reading the system's authorities takes longer than all the rest of a log-in."""
        context = ssl.create_default_context()
        if self._ca_file:
            try:
                context.load_verify_locations(self._ca_file)
            except OSError as error:
                raise LdapUnavailable(f"ldap.ca_file {self._ca_file}: {error.strerror or 'not PEM'}") from None
        return context

    def _password(self) -> bytes:
        """Read at each connection, so that a new one counts at once."""
        path = self._password_file
        if path is None:
            raise AssertionError("checked when this was made")
        try:
            return read_secret(path, "ldap.bind_password_file")
        except SecretFileError as error:
            raise LdapUnavailable(str(error)) from None


def result_of(connection: Connection) -> str:
    """The last result in words: its name and the server's message."""
    result = connection.result or {}
    told = "".join(char if char.isprintable() else " " for char in str(result.get("message", ""))[:200]).strip()
    return f"{result.get('description', 'no result')} ({result.get('result', '?')}){': ' if told else ''}{told}"


def _close(connection: Connection) -> None:
    """Also what could not be opened, whose socket ldap3 leaves behind."""
    with suppress(LDAPException, OSError):
        connection.unbind()
    if connection.socket:
        connection.socket.close()


def _told(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__


def _path(config: Config, relative: str | None) -> Path | None:
    return config.path(relative) if relative else None
