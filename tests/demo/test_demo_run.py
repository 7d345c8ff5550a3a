"""`outgate demo` as its users run it: what it prints, and that it leaves nothing behind."""

import json
import os
import re
import signal
import smtplib
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from pathlib import Path

import httpx2
import psutil
import pytest
from bench.scratch import until

pytestmark = pytest.mark.usefixtures("untraced")

SECONDS = 110


@contextmanager
def _demo(tmp_path: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """The command, with a folder of its own for temporary files; ended if the test doesn't end it."""
    with (tmp_path / "steps").open("w") as steps:
        process = subprocess.Popen(
            [sys.executable, "-m", "outgate", "demo", *options],
            stdout=subprocess.PIPE,
            stderr=steps,
            text=True,
            env={**os.environ, "TMPDIR": str(_folder(tmp_path))},
        )
    with process:
        try:
            yield process
        finally:
            process.terminate()


def _folder(tmp_path: Path) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    return folder


def _left_behind(tmp_path: Path) -> list[str]:
    """Temporary files, and processes that know of them."""
    folder = tmp_path / "temporary"
    processes = [
        str(each.info["cmdline"])
        for each in psutil.process_iter(["environ", "cmdline"])
        if (each.info["environ"] or {}).get("TMPDIR") == str(folder)
    ]
    return [str(path) for path in folder.iterdir()] + processes


@pytest.mark.slow
def test_each_message_is_as_the_reference_says_in_json(tmp_path: Path) -> None:
    with _demo(tmp_path, "--once", "--json") as process:
        output, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, (tmp_path / "steps").read_text()
    rows = {row["case"]: row for row in map(json.loads, output.splitlines())}
    assert list(rows) == ["switch-off", "switch-on", "domain-gateway", "primary"]
    alice, partner = "alice@example.com", "alice@dominiopartner.example"
    facts = ("header_from", "sender", "envelope_from", "delivered_by", "spf", "dkim", "dmarc")
    got = {case: [row[fact] for fact in facts] for case, row in rows.items()}
    by_partner = [partner, None, partner, "smtp.dominiopartner.example", "pass", "pass", "pass"]
    assert got == {
        "switch-off": [partner, alice, alice, "mail.example.com", "pass", "pass", "fail"],
        "switch-on": by_partner,
        "domain-gateway": by_partner,
        "primary": [alice, None, alice, "relay.example.com", "pass", "pass", "pass"],
    }
    assert [row["shown_as"] for row in rows.values()] == [f"{partner} on behalf of {alice}", partner, partner, alice]
    assert _left_behind(tmp_path) == []


@pytest.mark.slow
def test_it_takes_ones_own_mail_until_ctrl_c_and_leaves_nothing(tmp_path: Path) -> None:
    with _demo(tmp_path) as process:
        assert process.stdout
        shown = ""
        for line in process.stdout:
            shown += line
            if "Ctrl-C" in line:
                break
        _send(shown)
        for line in process.stdout:
            if "A later word" in line:
                break
        else:
            pytest.fail((tmp_path / "steps").read_text())
        seen = _seen_by_recipients(shown)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=SECONDS)
    assert process.returncode == 0, (tmp_path / "steps").read_text()
    assert shown.count("on behalf of") >= 1
    assert "alice@dominiopartner.example</bdi> <strong>on behalf of</strong> <bdi>alice@example.com" in seen
    assert "A later word &lt;script&gt;alert(1)&lt;/script&gt;" in seen
    assert "The figures for Thursday" in seen
    assert re.search(r"\b\d{9}\b", seen), "the code that came to the partner's mailbox"
    assert "<script>" not in seen
    assert _left_behind(tmp_path) == []


def _send(shown: str) -> None:
    """Send a message with nothing but what the demonstration told its user."""
    told = dict(re.findall(r"^  (server|user|password|authority) +([^ ,\n]+)", shown, re.MULTILINE))
    port = re.search(r"port (\d+) \(STARTTLS\)", shown)
    assert port
    message = EmailMessage()
    message["From"], message["To"] = "alice@dominiopartner.example", "carol@recipient.example"
    message["Subject"] = "A later word <script>alert(1)</script>"
    message["Message-ID"] = "<later@test.example>"
    message.set_content("Hello.\n")
    with smtplib.SMTP(told["server"], int(port[1]), timeout=20) as client:
        client.starttls(context=ssl.create_default_context(cafile=told["authority"]))
        client.login(told["user"], told["password"])
        client.send_message(message)


def _seen_by_recipients(shown: str) -> str:
    """The page whose address the demonstration has told."""
    address = re.search(r"what recipients see.*\n  (http://\S+)", shown)
    assert address
    return httpx2.get(address[1], trust_env=False, timeout=30).text


def test_ctrl_c_in_the_middle_leaves_nothing(tmp_path: Path) -> None:
    steps = tmp_path / "steps"
    with _demo(tmp_path) as process:
        until(lambda: process.poll() is not None or "making the organisation" in steps.read_text(), "the first step")
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=SECONDS)
    assert process.returncode == 130
    assert _left_behind(tmp_path) == []
