"""A server whose own certificate is at its end says so when it starts, and serves all the same."""

from collections.abc import MutableMapping, Sequence
from typing import Any

import pytest
from structlog.testing import capture_logs

from outgate import clock
from outgate.accept.self_signed import VALID_DAYS, self_signed
from way.place import Site, eventually, listens, running

DAY = 86400


@pytest.mark.parametrize(
    ("days", "told"),
    [
        (-30.5, ("the certificate has expired", -31)),
        (-0.5, ("the certificate has expired", -1)),
        (0.5, ("the certificate ends soon", 0)),
        (13.5, ("the certificate ends soon", 13)),
        (15.5, None),
        (300, None),
    ],
)
async def test_a_certificate_that_has_expired_or_soon_will_is_warned_of(
    site: Site, days: float, told: tuple[str, int] | None
) -> None:
    chain, key = self_signed("localhost", clock.now() - (VALID_DAYS - days - 1) * DAY)
    (site.data / "tls" / "cert.pem").write_bytes(chain)
    (site.data / "tls" / "key.pem").write_bytes(key)
    with capture_logs() as lines:
        server = await running(site)
        assert listens(site)
        if told:
            await eventually(lambda: _warnings(lines), "it is warned of")
        await server.stop()
    found = [(line["event"], line["days"]) for line in _warnings(lines)]
    assert found == ([told] if told else [])
    if told:
        (line,) = _warnings(lines)
        assert line["file"].endswith("cert.pem")
        assert "SIGHUP" in line["then"]


def _warnings(lines: Sequence[MutableMapping[str, Any]]) -> list[MutableMapping[str, Any]]:
    """Of the certificate: others are of what this place lacks."""
    return [line for line in lines if line["log_level"] == "warning" and "certificate" in line["event"]]
