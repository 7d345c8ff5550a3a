"""The watch on the certificate's end: what is in use counts, not what lies in the file; and who is told."""

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from outgate.accept.certificate_watch import DAY, CertificateWatch
from outgate.accept.self_signed import VALID_DAYS, self_signed
from outgate.accept.tls import SOON, Certificate

NOW = 1_800_000_000.0


def _put(folder: Path, left: float) -> Path:
    """A certificate that ends `left` seconds after NOW."""
    chain, key = self_signed("mail.example.com", NOW + left - (VALID_DAYS - 1) * DAY)
    (folder / "cert.pem").write_bytes(chain)
    (folder / "key.pem").write_bytes(key)
    return folder / "cert.pem"


def _certificate(folder: Path, left: float) -> Certificate:
    return Certificate(_put(folder, left), folder / "key.pem")


@pytest.mark.parametrize(
    ("left", "told"),
    [
        (SOON + 60, []),
        (SOON - 60, ["The certificate ends in 13 days"]),
        (3600, ["The certificate ends in 0 days"]),
        (-60, ["The certificate has expired"]),
    ],
)
async def test_the_administrator_is_told_when_the_end_is_near(tmp_path: Path, left: float, told: list[str]) -> None:
    subjects: list[str] = []

    async def tell(subject: str, text: str) -> None:
        assert str(tmp_path / "cert.pem") in text
        subjects.append(subject)

    with capture_logs() as lines:
        await CertificateWatch(_certificate(tmp_path, left), lambda: NOW, tell).look()
    assert subjects == told
    assert len(lines) == len(told)


async def test_without_an_address_for_notices_the_log_tells(tmp_path: Path) -> None:
    with capture_logs() as lines:
        await CertificateWatch(_certificate(tmp_path, -60), lambda: NOW).look()
    assert [(line["event"], line["log_level"]) for line in lines] == [("the certificate has expired", "warning")]


async def test_a_renewed_certificate_counts_once_the_server_has_read_it(tmp_path: Path) -> None:
    certificate = _certificate(tmp_path, -60)
    _put(tmp_path, 90 * DAY)
    watch = CertificateWatch(certificate, lambda: NOW)
    with capture_logs() as lines:
        await watch.look()
        certificate.reload()
        await watch.look()
    assert len(lines) == 1
