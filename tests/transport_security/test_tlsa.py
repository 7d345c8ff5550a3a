"""TLSA records against certificates (RFC 7672 section 3): which usages, selectors and digests fit, by which names."""

import hashlib
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from outgate.demo.certificates import Authority
from outgate.demo.network import VirtualHost
from outgate.transport_security.tlsa import TlsaRecord, TlsaSet

MX = "mx.peer.example"
YEAR = 365 * 86400


class Certificates:
    """A server's certificate, and its authority's."""

    def __init__(self, folder: Path) -> None:
        authority = Authority(folder)
        self.server = x509.load_pem_x509_certificate(authority.issue(VirtualHost(MX, "127.0.0.2"))[0].read_bytes())
        self.authority = x509.load_pem_x509_certificate(authority.ca_file.read_bytes())
        self.other = x509.load_pem_x509_certificate(authority.issue(VirtualHost("other", "127.0.0.3"))[0].read_bytes())

    @property
    def chain(self) -> list[bytes]:
        return [self.server.public_bytes(Encoding.DER), self.authority.public_bytes(Encoding.DER)]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


def record(certificate: x509.Certificate, usage: int, selector: int, matching: int) -> TlsaRecord:
    der = certificate.public_bytes(Encoding.DER)
    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    data = key if selector else der
    digests = {0: lambda: data, 1: hashlib.sha256(data).digest, 2: hashlib.sha512(data).digest}
    return TlsaRecord(usage, selector, matching, digests[matching]())


def refused(made: Certificates, *records: TlsaRecord, names: tuple[str, ...] = (MX,), later: float = 0.0) -> str | None:
    return TlsaSet(names, records).refuses(made.chain, time.time() + later)


@pytest.mark.parametrize("selector", [0, 1])
@pytest.mark.parametrize("matching", [0, 1, 2])
def test_the_server_s_own_certificate_or_key_fits_whatever_its_name_and_age(
    made: Certificates, selector: int, matching: int
) -> None:
    own = record(made.server, 3, selector, matching)
    assert refused(made, own, names=("else.example",), later=YEAR) is None
    assert refused(made, record(made.other, 3, selector, matching)) == "no TLSA record fits it"


@pytest.mark.parametrize("selector", [0, 1])
@pytest.mark.parametrize("matching", [0, 1, 2])
def test_an_authority_vouches_for_a_name_for_a_time(made: Certificates, selector: int, matching: int) -> None:
    authority = record(made.authority, 2, selector, matching)
    assert refused(made, authority) is None
    assert refused(made, authority, names=("peer.example", MX)) is None
    assert "does not vouch for it as else.example" in str(refused(made, authority, names=("else.example",)))
    assert "does not vouch" in str(refused(made, authority, later=YEAR))


def test_an_authority_that_is_whole_in_its_record_need_not_be_shown(made: Certificates) -> None:
    whole, digest = record(made.authority, 2, 0, 0), record(made.authority, 2, 0, 1)
    assert TlsaSet((MX,), (whole,)).refuses(made.chain[:1], time.time()) is None
    assert TlsaSet((MX,), (digest,)).refuses(made.chain[:1], time.time()) == "no TLSA record fits it"


def test_the_server_s_own_certificate_is_no_authority(made: Certificates) -> None:
    assert refused(made, record(made.server, 2, 0, 1)) == "no TLSA record fits it"


def test_one_record_that_fits_is_enough(made: Certificates) -> None:
    assert refused(made, record(made.other, 3, 1, 1), record(made.server, 3, 1, 1)) is None


@pytest.mark.parametrize(
    "unusable",
    [
        TlsaRecord(0, 0, 1, bytes(32)),  # of the Web PKI
        TlsaRecord(1, 0, 1, bytes(32)),
        TlsaRecord(4, 0, 1, bytes(32)),
        TlsaRecord(3, 2, 1, bytes(32)),
        TlsaRecord(3, 1, 3, bytes(32)),
        TlsaRecord(3, 1, 1, bytes(31)),
        TlsaRecord(2, 0, 0, b"no certificate"),
    ],
)
def test_what_no_certificate_could_fit_is_not_usable(made: Certificates, unusable: TlsaRecord) -> None:
    assert TlsaSet((MX,), (unusable,)).usable == ()
    assert refused(made, unusable, record(made.server, 3, 1, 1)) is None


def test_a_key_of_an_unknown_kind_fits_no_record_of_keys(made: Certificates) -> None:
    rsa, ec = bytes.fromhex("2a864886f70d010101"), bytes.fromhex("2a8648ce3d0201")
    der = made.server.public_bytes(Encoding.DER)
    strange = der.replace(rsa, rsa[:-1] + b"\x63").replace(ec, ec[:-1] + b"\x63")
    assert strange != der
    whole = TlsaRecord(3, 0, 1, hashlib.sha256(strange).digest())
    assert TlsaSet((MX,), (record(made.server, 3, 1, 1),)).refuses([strange], time.time()) == "no TLSA record fits it"
    assert TlsaSet((MX,), (record(made.server, 3, 1, 1), whole)).refuses([strange], time.time()) is None


def test_a_server_that_shows_nothing_that_can_be_read_fits_nothing(made: Certificates) -> None:
    records = (record(made.server, 3, 1, 1),)
    assert TlsaSet((MX,), records).refuses([], time.time()) == "there is none"
    assert TlsaSet((MX,), records).refuses([b"no certificate"], time.time()) == "there is none"
