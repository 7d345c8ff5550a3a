"""A renewed certificate is shown from the SIGHUP on, to new sessions at both doors, of whatever kind its key is."""

import asyncio
import smtplib
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from way.place import Site, running

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
KEYS: dict[str, Callable[[], Key]] = {
    "P-256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "P-384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "RSA": lambda: rsa.generate_private_key(65537, 2048),
}


def _put(folder: Path, kind: str) -> bytes:
    """A self-made certificate with its key in `cert.pem` and `key.pem`; returns it as DER."""
    key, name = KEYS[kind](), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=90))
        .sign(key, SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(Encoding.PEM))
    (folder / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return made.public_bytes(Encoding.DER)


def _shown(site: Site, version: ssl.TLSVersion) -> list[bytes | None]:
    """What new sessions are shown: by STARTTLS, and with TLS from the beginning, with and without a name (SNI)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode, context.maximum_version = False, ssl.CERT_NONE, version
    with smtplib.SMTP("localhost", site.starttls, timeout=10) as first:
        first.starttls(context=context)
        assert isinstance(first.sock, ssl.SSLSocket)
        shown = [first.sock.getpeercert(binary_form=True)]
    for host in ("localhost", "127.0.0.1"):  # an address is never a name in SNI (RFC 6066 section 3)
        with smtplib.SMTP_SSL(host, site.tls, timeout=10, context=context) as second:
            assert isinstance(second.sock, ssl.SSLSocket)
            shown.append(second.sock.getpeercert(binary_form=True))
    return shown


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize(
    "kinds", [("P-256", "RSA"), ("RSA", "P-256", "RSA"), ("P-384", "P-256"), ("P-256", "P-256")], ids="-".join
)
async def test_every_new_session_is_shown_the_renewed_certificate(
    site: Site, kinds: tuple[str, ...], version: ssl.TLSVersion
) -> None:
    first = _put(site.data / "tls", kinds[0])
    server = await running(site)
    try:
        assert await asyncio.to_thread(_shown, site, version) == [first] * 3
        for kind in kinds[1:]:
            renewed = _put(site.data / "tls", kind)
            server.reload()
            assert await asyncio.to_thread(_shown, site, version) == [renewed] * 3
    finally:
        await server.stop()


async def test_what_can_not_be_used_leaves_the_former_certificate_in_use(site: Site) -> None:
    first = _put(site.data / "tls", "RSA")
    server = await running(site)
    try:
        key = (site.data / "tls" / "key.pem").read_bytes()
        _put(site.data / "tls", "P-256")
        (site.data / "tls" / "key.pem").write_bytes(key)  # another certificate's
        server.reload()
        assert await asyncio.to_thread(_shown, site, ssl.TLSVersion.TLSv1_3) == [first] * 3
    finally:
        await server.stop()
