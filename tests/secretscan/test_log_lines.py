"""Log lines of an exception show where it happened, and no variable."""

import pytest
import structlog

from outgate import log_lines


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_logged_exception_shows_no_local_variable(log_format: str, capfd: pytest.CaptureFixture[str]) -> None:
    before = structlog.get_config()
    lines = log_lines.configure(log_format)
    try:
        _fail("-".join(("local", "secret")))
    finally:
        structlog.configure(**before)
    lines.flush()
    shown = capfd.readouterr().err
    assert "ZeroDivisionError" in shown
    assert "_fail" in shown
    assert "local-secret" not in shown


def _fail(password: str) -> None:
    try:
        _ = len(password) / 0
    except ZeroDivisionError:
        structlog.get_logger("test").exception("failed")
