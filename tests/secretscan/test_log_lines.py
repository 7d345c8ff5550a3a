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


HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202eevil\r\n2026-01-01 info forged"


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_what_others_wrote_is_one_printable_line(log_format: str, capfd: pytest.CaptureFixture[str]) -> None:
    """A user name, the words of a peer, the text of an exception, a name that is logged as what happened."""
    before = structlog.get_config()
    lines = log_lines.configure(log_format)
    log = structlog.get_logger("test")
    try:
        log.info("log-in failed", user=HOSTILE, peer=["192.0.2.1", HOSTILE], reply={"said": HOSTILE})
        log.warning(HOSTILE)
        try:
            raise ValueError(HOSTILE)
        except ValueError:
            log.exception("failed")
    finally:
        structlog.configure(**before)
    lines.flush()
    shown = capfd.readouterr().err
    assert shown.count("owned") >= 5
    assert shown.replace("\n", "").isprintable()
    assert not any(line.startswith("2026-01-01") for line in shown.splitlines())


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_the_lines_of_events_are_as_all_others(
    log_format: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Printable, with the time, the level, and the request that they are about."""
    monkeypatch.setattr("outgate.clock.now", lambda: 1_780_315_200.25)
    before = structlog.get_config()
    lines = log_lines.configure(log_format)
    fields = {"id": "0c8", "reply": HOSTILE, "delay": 0.5, "by": ""}
    try:
        with structlog.contextvars.bound_contextvars(request="r1"):
            structlog.get_logger("mail").info("delivered", **fields)
            log_lines.event_log(lines, log_format)("delivered", fields)
    finally:
        structlog.configure(**before)
    lines.flush()
    usual, event = capfd.readouterr().err.splitlines()
    assert event == usual
    assert "2026-06-01T12:00:00.250000Z" in event


def _fail(password: str) -> None:
    try:
        _ = len(password) / 0
    except ZeroDivisionError:
        structlog.get_logger("test").exception("failed")
