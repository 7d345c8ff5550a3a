"""What is wrong with the server's own certificate is said in words, with what to do."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from outgate.accept.self_signed import self_signed
from outgate.accept.tls import Certificate, CertificateError, facts_of

CHAIN, KEY = self_signed("mail.example.com", 1_800_000_000.0)
OTHER_CHAIN, OTHER_KEY = self_signed("mail.example.com", 1_800_000_000.0)
ENCRYPTED = load_pem_private_key(KEY, None).private_bytes(
    Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
)


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    ("chain", "key", "told"),
    [
        (CHAIN, OTHER_KEY, "the key is not that of the certificate"),
        (b"nonsense", KEY, "both in PEM"),
        (b"", KEY, "both in PEM"),
        (KEY, CHAIN, "both in PEM"),
        (CHAIN, ENCRYPTED, "an unencrypted private key"),
        (None, KEY, "cert.pem does not exist"),
        (CHAIN, None, "key.pem does not exist"),
    ],
)
def test_files_that_can_not_be_used_are_named(
    tmp_path: Path, chain: bytes | None, key: bytes | None, told: str
) -> None:
    for name, content in (("cert.pem", chain), ("key.pem", key)):
        if content is not None:
            (tmp_path / name).write_bytes(content)
    with pytest.raises(CertificateError, match=told) as fault:
        Certificate(tmp_path / "cert.pem", tmp_path / "key.pem")
    assert "_ssl.c" not in str(fault.value)
    assert "Errno" not in str(fault.value)


def test_a_new_certificate_that_can_not_be_used_leaves_the_former_one_in_use(tmp_path: Path) -> None:
    (tmp_path / "cert.pem").write_bytes(CHAIN)
    (tmp_path / "key.pem").write_bytes(KEY)
    certificate = Certificate(tmp_path / "cert.pem", tmp_path / "key.pem")
    context = certificate.context
    (tmp_path / "cert.pem").write_bytes(OTHER_CHAIN)
    with pytest.raises(CertificateError):
        certificate.reload()
    assert certificate.context is context
    (tmp_path / "key.pem").write_bytes(OTHER_KEY)
    certificate.reload()


@pytest.mark.parametrize("content", [b"", b"nonsense", KEY])
def test_what_is_no_certificate_has_no_end(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "cert.pem").write_bytes(content)
    with pytest.raises(CertificateError, match=r"cert\.pem can't be used: it is not a certificate in PEM$"):
        facts_of(tmp_path / "cert.pem")


def test_a_folder_in_its_place_is_told_without_numbers(tmp_path: Path) -> None:
    with pytest.raises(CertificateError, match="can't be read: Is a directory"):
        facts_of(tmp_path)
