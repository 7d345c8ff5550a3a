"""The listeners' certificate. Read from files, read again on SIGHUP; sessions that are open keep the old one."""

import getpass
import os
import ssl
from pathlib import Path
from typing import Final

from cryptography import x509

from outgate.frozen import frozen

# OpenSSL wipes what it has deciphered from its own buffers once we have it (SSL_CTX_set_options(3); Python has no name
# for it): else passwords of users lie there until the next session overwrites them.
CLEANSE_PLAINTEXT = 1 << 1
# Of TLS 1.2 what is also in TLS 1.3: keys that are used once, and no CBC.
TLS_1_2_SUITES = "ECDHE+AESGCM:ECDHE+CHACHA20"


SOON: Final = 14 * 86400.0  # seconds before its end from which on a certificate is warned of


class CertificateError(Exception):
    """The certificate or its key can't be used; the text names the file and what to do."""


@frozen
class CertificateFacts:
    """What is said in the first certificate of a chain: when it ends, in seconds since the epoch; the DNS names that it
    is for; and whether it was issued by itself, so that nobody trusts it.
    """

    ends: float
    names: tuple[str, ...]
    is_own_issuer: bool

    def covers(self, host: str) -> bool:
        """Whether it is for this host; a star stands for one label (RFC 9525 section 6.3)."""
        return any(name in (host, f"*.{host.partition('.')[2]}") for name in self.names)


def facts_of(chain: Path) -> CertificateFacts:
    """Of a PEM file. Raises CertificateError."""
    try:
        first = x509.load_pem_x509_certificate(chain.read_bytes())
        return CertificateFacts(first.not_valid_after_utc.timestamp(), _names(first), first.issuer == first.subject)
    except FileNotFoundError:
        raise CertificateError(f"{chain} does not exist; set submission.certificate and private_key") from None
    except PermissionError:
        raise CertificateError(_may_not_read(chain)) from None
    except ValueError:
        raise CertificateError(f"{chain} can't be used: it is not a certificate in PEM") from None
    except OSError as error:
        raise CertificateError(f"{chain} can't be read: {error.strerror}") from None


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(name.lower() for name in names.get_values_for_type(x509.DNSName))


def _may_not_read(path: Path) -> str:
    user = getpass.getuser()
    return (
        f"{path} may not be read by the server's user {user}; run: chown {user} {path}, or let whatever renews the"
        f" certificate put a copy there that {user} may read"
    )


def _fault(error: ssl.SSLError) -> str:
    if error.reason == "KEY_VALUES_MISMATCH":
        return "the key is not that of the certificate; put both there as they were issued together"
    return "they must be a chain of certificates and an unencrypted private key, both in PEM"


class Certificate:
    """The server-side TLS context, made from two PEM files. Listeners hold on to `context`. `ends` is when what is in
    use ends, in seconds since the epoch."""

    def __init__(self, chain: Path, private_key: Path) -> None:
        self.chain, self._private_key = chain, private_key
        self.context = self._newest = self._load()
        self.ends = facts_of(chain).ends
        self.context.sni_callback = self._show_newest

    def reload(self) -> None:
        """Read the files again; on CertificateError the former certificate stays in use.

        The new one gets a context of its own. Put into the former one it would stand beside the old one if its key is
        of another kind (RSA, EC), and most clients would choose the old one.
        """
        self._newest = self._load()
        self.ends = facts_of(self.chain).ends

    def _show_newest(self, session: ssl.SSLSocket | ssl.SSLObject, _name: str | None, _asked: ssl.SSLContext) -> None:
        """At the begin of each handshake, whether or not the client names a host."""
        session.context = self._newest

    def _load(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2  # RFC 8314 section 4.1, RFC 8996
        context.options |= CLEANSE_PLAINTEXT
        context.set_ciphers(TLS_1_2_SUITES)
        try:
            # Without a password OpenSSL would ask for one on the terminal, if the key is encrypted.
            context.load_cert_chain(self.chain, self._private_key, password="")
        except FileNotFoundError:
            missing = next(path for path in (self.chain, self._private_key) if not path.exists())
            raise CertificateError(f"{missing} does not exist; set submission.certificate and private_key") from None
        except PermissionError:
            unread = next((one for one in (self.chain, self._private_key) if not os.access(one, os.R_OK)), self.chain)
            raise CertificateError(_may_not_read(unread)) from None
        except ssl.SSLError as error:
            raise CertificateError(f"{self.chain} can't be used with {self._private_key}: {_fault(error)}") from None
        except OSError as error:
            raise CertificateError(f"{self.chain} or {self._private_key} can't be read: {error.strerror}") from None
        return context
