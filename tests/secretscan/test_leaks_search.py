"""leaks: each form of a secret is found wherever it lies, and nothing of it is told."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Literal
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgate.mail import dkim
from outgate.secretscan import scan_targets
from outgate.secretscan.encodings import Secret
from outgate.secretscan.search import Piece, ScanTarget, Search, Searched

VALUE = b'p4ss "w\xc3\xb6rd/%'
SECRET = Secret("alice's password", VALUE, "alice@example.com")
CARRIED: dict[str, Callable[[bytes], bytes]] = {
    "raw": lambda value: value,
    "base64": base64.b64encode,
    "hex": lambda value: value.hex().encode(),
    "UTF-16": lambda value: value.decode().encode("utf-16"),
    "URL-encoded": lambda value: quote(value, safe="").encode(),
    "JSON": lambda value: json.dumps({"password": value.decode()}).encode(),
    "base64 of SASL PLAIN": lambda value: base64.b64encode(b"\0alice@example.com\0" + value),
}


def look(secret: Secret, *pieces: Piece, memory: bool = False) -> Searched:
    return Search([secret]).look(ScanTarget("here", pieces, memory))


def whole(data: bytes) -> Piece:
    return Piece(data)


@pytest.mark.parametrize("form", CARRIED)
def test_each_form_is_found_and_named(form: str) -> None:
    searched = look(SECRET, whole(b"before " + CARRIED[form](VALUE) + b" behind"))
    assert form in {finding.form for finding in searched.findings}
    assert {finding.secret for finding in searched.findings} == {"alice's password"}


@given(st.binary(min_size=7, max_size=200), st.binary(max_size=40), st.binary(max_size=40))
def test_base64_is_found_at_any_place_within_more(value: bytes, before: bytes, behind: bytes) -> None:
    assert look(Secret("x", b"--" + value), whole(base64.b64encode(before + b"--" + value + behind))).findings


@given(st.integers(0, 60), st.integers(1, 30))
def test_what_lies_across_pieces_is_found_once_and_where_it_is(before: int, size: int) -> None:
    data = b"." * before + VALUE + b"." * 20
    cut = [Piece(data[at : at + size], at, follows=at > 0) for at in range(0, len(data), size)]
    [finding] = look(SECRET, *cut).findings
    assert (finding.form, finding.count, finding.offsets) == ("raw", 1, [str(before)])


def test_pieces_that_do_not_follow_are_not_joined() -> None:
    assert look(SECRET, Piece(VALUE[:6]), Piece(VALUE[6:])).findings == []


@pytest.mark.parametrize("algorithm", ["rsa", "ed25519"])
def test_a_signing_key_is_found_with_other_line_ends_and_as_its_bytes(
    algorithm: Literal["rsa", "ed25519"],
) -> None:
    pem = dkim.generate(algorithm)
    lines = [line for line in pem.splitlines() if not line.startswith(b"-----")]
    secret = Secret("key", pem)
    for carried in (b"\r\n".join(lines), b" ".join(lines), json.dumps(pem.decode()).encode()):
        assert look(secret, whole(carried)).findings
    assert look(secret, whole(base64.b64decode(b"".join(lines)))).findings


def test_a_public_key_is_no_secret() -> None:
    pem = dkim.generate("rsa")
    assert look(Secret("key", pem), whole(dkim.dns_record(pem).encode())).findings == []


def test_a_key_may_be_in_memory_and_nowhere_else() -> None:
    key = Secret("key", os.urandom(32), in_memory=False)
    assert look(key, whole(key.value), memory=True).findings == []
    assert look(key, whole(base64.b64encode(key.value))).findings


def test_what_is_too_short_is_named() -> None:
    search = Search([Secret("short", b"abc"), SECRET])
    assert search.too_short == ["short"]


def test_nothing_shows_the_secret() -> None:
    searched = look(SECRET, whole(VALUE))
    assert "p4ss" not in repr((SECRET, searched, whole(VALUE)))


def test_the_memory_of_another_process_is_read_and_a_variable_found_in_it() -> None:
    """The child makes it of two halves, so that neither its program nor its command line has it."""
    program = "import sys; kept = ''.join(['in-memory-', str(6 * 7), '-only']); print(flush=True); sys.stdin.read()"
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", program], stdin=pipe, stdout=pipe) as child:
        assert child.stdout
        child.stdout.readline()
        searched = Search([Secret("kept", b"in-memory-42-only")]).look(scan_targets.memory(child.pid))
        child.communicate()
    assert {finding.form for finding in searched.findings} == {"raw"}
    assert searched.size > 1_000_000


def test_the_holders_of_a_file_are_found(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    program = f"held = open({str(path)!r}, 'w'); print(flush=True); input()"
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", program], stdin=pipe, stdout=pipe) as child:
        assert child.stdout
        child.stdout.readline()
        assert scan_targets.holders(path) == [child.pid]
        child.communicate(b"\n")
    assert scan_targets.holders(path) == []
