"""DANE for SMTP (RFC 7672): TLSA records, and whether a server's certificates fit them. Pure but for the time given.

Knows no DNS and no connection: whether the records are to be trusted was decided where they were found.
"""

import hashlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.verification import Criticality, ExtensionPolicy, PolicyBuilder, Store, VerificationError

from outgate.frozen import frozen

TRUST_ANCHOR: Final = 2  # DANE-TA: the certificate or key of an authority
END_ENTITY: Final = 3  # DANE-EE: the server's own
_USAGES: Final = (TRUST_ANCHOR, END_ENTITY)  # the others mean the Web PKI, which plays no part here (section 3.1.3)
_WHOLE: Final = 0
_DIGESTS: Final = {1: hashlib.sha256, 2: hashlib.sha512}


@frozen
class TlsaRecord:
    """One record, fields as in RFC 6698 section 2.1."""

    usage: int
    selector: int
    matching: int
    data: bytes

    @property
    def is_usable(self) -> bool:
        """Whether a certificate could fit it at all; others are passed over (section 2.2)."""
        if self.usage not in _USAGES or self.selector not in (0, 1):
            return False
        if self.matching in _DIGESTS:
            return len(self.data) == _DIGESTS[self.matching]().digest_size
        return self.matching == _WHOLE and (self.selector == 1 or _certificate(self.data) is not None)

    def fits(self, certificate: x509.Certificate) -> bool:
        """Whether it is this certificate, or its key, that the record names. A key of a kind that is not known here
        fits none.
        """
        if self.selector:
            try:
                key = certificate.public_key()
            except (UnsupportedAlgorithm, ValueError):
                return False
            selected = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        else:
            selected = certificate.public_bytes(Encoding.DER)
        return self.data == (selected if self.matching == _WHOLE else _DIGESTS[self.matching](selected).digest())

    def __str__(self) -> str:
        return f"{self.usage} {self.selector} {self.matching} {self.data.hex()}"


@frozen
class TlsaSet:
    """The records of one server, found by way of DNSSEC.

    `names`: the name that they were found at, to be said in SNI, then what else its certificate may be for where an
    authority vouches for it (section 3.2.2).
    """

    names: tuple[str, ...]
    records: tuple[TlsaRecord, ...]

    @property
    def usable(self) -> tuple[TlsaRecord, ...]:
        """Without any, the connection must be encrypted and nothing can be verified (section 2.2)."""
        return tuple(record for record in self.records if record.is_usable)

    def refuses(self, chain: Sequence[bytes], at: float) -> str | None:
        """Why the certificates that a server has shown (DER, its own first) do not fit; None if they do."""
        certificates = [known for der in chain if (known := _certificate(der))]
        if not certificates:
            return "there is none"
        own = certificates[0]
        # Neither its dates nor its names count (RFC 7671 section 5.1).
        if any(record.fits(own) for record in self.usable if record.usage == END_ENTITY):
            return None
        anchors = list(self._anchors(certificates[1:]))
        if not anchors:
            return "no TLSA record fits it"
        reasons = [_refused(own, certificates[1:], anchor, name, at) for anchor in anchors for name in self.names]
        return None if None in reasons else reasons[0]

    def _anchors(self, shown: Sequence[x509.Certificate]) -> Iterator[x509.Certificate]:
        for record in self.usable:
            if record.usage == TRUST_ANCHOR:
                yield from (certificate for certificate in shown if record.fits(certificate))
                if record.matching == _WHOLE and record.selector == 0 and (known := _certificate(record.data)):
                    yield known


def _refused(
    own: x509.Certificate, others: Sequence[x509.Certificate], anchor: x509.Certificate, name: str, at: float
) -> str | None:
    """Why an authority that a record names does not vouch for the server by this name."""
    builder = PolicyBuilder().store(Store([anchor])).time(datetime.fromtimestamp(at, UTC))
    builder = builder.extension_policies(ca_policy=_AUTHORITY, ee_policy=_SERVER)
    try:
        builder.build_server_verifier(x509.DNSName(name)).verify(own, list(others))
    except (VerificationError, ValueError) as error:
        return f"the authority that a TLSA record names does not vouch for it as {name}: {error}"
    return None


# What authorities on the web must keep to is not asked of one that is named by a record: only that it is one, and that
# the server's certificate has a name.
_AUTHORITY: Final = ExtensionPolicy.permit_all().require_present(x509.BasicConstraints, Criticality.AGNOSTIC, None)
_SERVER: Final = ExtensionPolicy.permit_all().require_present(x509.SubjectAlternativeName, Criticality.AGNOSTIC, None)


def _certificate(der: bytes) -> x509.Certificate | None:
    try:
        return x509.load_der_x509_certificate(der)
    except ValueError:
        return None
