"""Signed specimens (S/MIME, PGP, a third party's DKIM) and their verification by openssl, gpgv and dkimpy.

None of these share code with Outgate. The S/MIME certificate and the DKIM key are made once per process; the PGP
signatures are kept as files (see pgp/make.sh).
"""

import re
import subprocess
import tempfile
from base64 import b64encode
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import dkim
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat, pkcs7
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from corpus.specimen import Draft, base64_entity, entity, letter, lines, multipart, prose, seeded, specimen

PGP = Path(__file__).parent / "pgp"
DETACHED = [pkcs7.PKCS7Options.Binary, pkcs7.PKCS7Options.DetachedSignature]
LIST_DOMAIN = "list.example"  # signs with DKIM before the message gets to us


@specimen
def smime_signed(sender: str) -> Draft:
    """Detached, RFC 8551 3.5.3."""
    return Draft(_smime_detached(sender, "S/MIME", _signed_text()), check=verify_smime)


@specimen
def smime_signed_within_a_multipart(sender: str) -> Draft:
    """As a list's footer leaves it: the signature is over one part only. Dots, blank lines, 8-bit bytes within."""
    content = entity(
        "text/plain; charset=utf-8", lines("È firmato.", ".", "..", "", ""), "Content-Transfer-Encoding: 8bit"
    )
    inner = _smime_entity(content)
    footer = entity("text/plain", lines("-- ", "gardens mailing list"))
    head = letter(sender, "S/MIME within", 'Content-Type: multipart/mixed; boundary="outer"')
    return Draft(head + b"\r\n" + multipart("outer", inner, footer), check=_verify_inner_smime)


@specimen
def smime_opaque(sender: str) -> Draft:
    """The content is within the signature, in base64 (RFC 8551 3.5.2)."""
    blob = _smime_signature(_signed_text(), [pkcs7.PKCS7Options.Binary])
    part = base64_entity('application/pkcs7-mime; smime-type=signed-data; name="smime.p7m"', blob, "smime.p7m")
    return Draft(letter(sender, "S/MIME opaque") + part, check=verify_smime)


@specimen
def pgp_mime_signed(sender: str) -> Draft:
    """RFC 3156."""
    signature = entity(
        'application/pgp-signature; name="signature.asc"',
        _crlf((PGP / "part.asc").read_bytes()),
        "Content-Description: OpenPGP digital signature",
    )
    head = letter(
        sender,
        "PGP/MIME",
        'Content-Type: multipart/signed; micalg=pgp-sha512;\r\n\tprotocol="application/pgp-signature"; boundary="pgp+"',
    )
    content = (PGP / "part.mime").read_bytes()
    return Draft(
        head + b"\r\n" + multipart("pgp+", content, signature, preamble=lines("OpenPGP")), check=verify_pgp_mime
    )


@specimen
def pgp_signed_in_the_clear(sender: str) -> Draft:
    body = _crlf((PGP / "clear.asc").read_bytes())
    return Draft(letter(sender, "PGP inline") + b"\r\n" + body, check=verify_pgp_clear)


@specimen
def dkim_signed_by_a_list(sender: str) -> Draft:
    """Simple canonicalisation of header and body: one changed space would break it."""
    return _dkim_signed(
        sender, "List, simple", (b"simple", b"simple"), prose("dkim simple", 5) + b"odd  space \t\r\n\r\n\r\n"
    )


@specimen
def dkim_signed_relaxed(sender: str) -> Draft:
    return _dkim_signed(sender, "List, relaxed", (b"relaxed", b"relaxed"), prose("dkim relaxed", 5) + lines(".", "..x"))


# --- verification ----------------------------------------------------------------------------------------------------


def verify_smime(received: bytes) -> list[str]:
    """What openssl says against the S/MIME signature of the message."""
    with tempfile.NamedTemporaryFile(suffix=".pem") as authority:
        authority.write(_certificate().public_bytes(Encoding.PEM))
        authority.flush()
        command = ["openssl", "cms", "-verify", "-purpose", "any", "-CAfile", authority.name, "-out", "/dev/null"]
        return _run(command, received)


def verify_pgp_mime(received: bytes) -> list[str]:
    """What gpgv says against the PGP/MIME signature of the message; cut out by its boundary, not re-serialised."""
    match = re.search(rb"\r\n--pgp\+\r\n(.*)\r\n--pgp\+\r\n.*?\r\n\r\n(.*)\r\n--pgp\+--\r\n", received, re.DOTALL)
    if not match:
        return ["the parts of the multipart/signed are not to be found"]
    with tempfile.NamedTemporaryFile(suffix=".asc") as signature:
        signature.write(match[2])
        signature.flush()
        return _run(["gpgv", "--keyring", str(PGP / "key.gpg"), signature.name, "-"], match[1])


def verify_pgp_clear(received: bytes) -> list[str]:
    """What gpgv says against the clear-signed body."""
    return _run(["gpgv", "--keyring", str(PGP / "key.gpg"), "-"], received.partition(b"\r\n\r\n")[2])


def verify_dkim(received: bytes, domain: str, records: dict[str, bytes]) -> list[str]:
    """What dkimpy says against `domain`'s signature, wherever in the header it is; `records` are the TXT records."""
    signatures = re.findall(
        rb"^DKIM-Signature:[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*",
        received.partition(b"\r\n\r\n")[0] + b"\r\n",
        re.M | re.I,
    )
    tag = re.compile(rb"[;:\s]d\s*=\s*%b\s*(?:;|$)" % re.escape(domain.encode()))
    indices = [index for index, signature in enumerate(signatures) if tag.search(signature)]
    if not indices:
        return [f"no DKIM signature of {domain}"]

    def lookup(name: bytes, timeout: int = 5) -> bytes | None:
        return records.get(name.decode().rstrip("."))

    try:
        verified = [bool(dkim.DKIM(received).verify(index, dnsfunc=lookup)) for index in indices]
    except dkim.DKIMException as error:
        return [f"DKIM of {domain}: {error}"]
    return [] if all(verified) else [f"a DKIM signature of {domain} does not verify"]


def _verify_list_dkim(received: bytes) -> list[str]:
    key = _dkim_key().public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return verify_dkim(received, LIST_DOMAIN, {f"s1._domainkey.{LIST_DOMAIN}": b"v=DKIM1; k=rsa; p=" + b64encode(key)})


def _verify_inner_smime(received: bytes) -> list[str]:
    match = re.search(rb"\r\n--outer\r\n(.*)\r\n--outer\r\n", received, re.DOTALL)
    return verify_smime(match[1]) if match else ["the signed part is not to be found"]


def _run(command: list[str], data: bytes) -> list[str]:
    done = subprocess.run(command, input=data, capture_output=True, check=False)
    return [] if done.returncode == 0 else [f"{command[0]}: {done.stderr.decode(errors='replace').strip()}"]


# --- making ----------------------------------------------------------------------------------------------------------


def _signed_text() -> bytes:
    text = entity("text/plain; charset=us-ascii; format=flowed", prose("signed", 6) + lines(".", "..", "", ""))
    attached = base64_entity("application/pdf", seeded("signed").randbytes(5000), "contract.pdf")
    return entity('multipart/mixed; boundary="inner"', multipart("inner", text, attached))


def _smime_detached(sender: str, subject: str, content: bytes) -> bytes:
    return letter(sender, subject) + _smime_entity(content)


def _smime_entity(content: bytes) -> bytes:
    kind = 'multipart/signed; protocol="application/pkcs7-signature"; micalg=sha-256;\r\n boundary="----=_smime"'
    signature = base64_entity(
        "application/pkcs7-signature; name=smime.p7s", _smime_signature(content, DETACHED), "smime.p7s"
    )
    return entity(
        kind, multipart("----=_smime", content, signature, preamble=lines("This is an S/MIME signed message", ""))
    )


def _smime_signature(content: bytes, options: list[pkcs7.PKCS7Options]) -> bytes:
    builder = pkcs7.PKCS7SignatureBuilder().set_data(content)
    return builder.add_signer(_certificate(), _smime_key(), SHA256()).sign(Encoding.DER, options)


@cache
def _smime_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@cache
def _certificate() -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Alice (throw-away certificate of the tests)")])
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(_smime_key().public_key())
        .serial_number(1)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2120, 1, 1, tzinfo=UTC))
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
        .sign(_smime_key(), SHA256())
    )


def _dkim_signed(sender: str, subject: str, canonicalize: tuple[bytes, bytes], body: bytes) -> Draft:
    message = (
        letter(sender, subject, "List-Id: <gardens.list.example>", "X-Odd:  two  spaces\r\n\tand a fold ")
        + b"\r\n"
        + body
    )
    pem = _dkim_key().private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    names = [b"from", b"to", b"subject", b"date", b"message-id", b"list-id", b"x-odd", b"from"]
    signature = dkim.sign(message, b"s1", LIST_DOMAIN.encode(), pem, canonicalize=canonicalize, include_headers=names)
    return Draft(signature + message, check=_verify_list_dkim)


@cache
def _dkim_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def _crlf(text: bytes) -> bytes:
    return text.replace(b"\n", b"\r\n")
