"""What a broken TLS handshake means in the terms of RFC 8460 section 4.3. Pure."""

import ssl
from typing import Final

from outgate.transport_security.tls_session import REASON, ResultType, TlsFault

# verify(1ssl): X509_V_ERR_CERT_HAS_EXPIRED, and that neither a name nor an address fits.
_EXPIRED: Final = 10
_OF_HOST: Final = (62, 64)


def tls_fault(error: OSError) -> TlsFault:
    """By what OpenSSL says; what breaks off without a word is a failure, too, since TLS may be why."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return TlsFault(_of_certificate(error.verify_code), error.verify_message[:REASON])
    if isinstance(error, ssl.SSLError):
        return TlsFault(ResultType.VALIDATION_FAILURE, (error.reason or str(error))[:REASON])
    return TlsFault(ResultType.VALIDATION_FAILURE, "connection lost in the TLS handshake")


def _of_certificate(code: int) -> ResultType:
    if code == _EXPIRED:
        return ResultType.EXPIRED
    return ResultType.HOST_MISMATCH if code in _OF_HOST else ResultType.NOT_TRUSTED
