"""store.keysource: keys from a command, and when each source is read again."""

import base64
import shlex
import sys
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.responses import Response

from outgate.store import keyfile
from outgate.store.keyfile import KeyFileError, Keys
from outgate.store.keysource import CommandKeys, EnvironmentKeys, FileKeys, source
from outgate.store.vault import SealBroken, Vault
from outgate.web.sealed_cookie import SealedCookie

ONE, TWO, THREE = {"one": b"1" * 32}, {"two": b"2" * 32}, {"three": b"3" * 32}


def text_of(keys: Keys) -> str:
    return "".join(f"{key_id} {base64.b64encode(key).decode()}\n" for key_id, key in keys.items())


class Kms:
    """A command that prints what is in a file, and notes each run."""

    def __init__(self, folder: Path) -> None:
        self.file, self._runs = folder / "kms keys; $HOME", folder / "runs"
        program = f"open({str(self._runs)!r}, 'a').write('.'); print(open({str(self.file)!r}).read(), end='')"
        self.command = (sys.executable, "-c", program)

    def holds(self, keys: Keys) -> None:
        self.file.write_text(text_of(keys))

    @property
    def runs(self) -> int:
        return len(self._runs.read_text())


@pytest.fixture
def kms(tmp_path: Path) -> Kms:
    made = Kms(tmp_path)
    made.holds(ONE)
    return made


def test_the_command_wins_over_environment_and_file(kms: Kms, tmp_path: Path) -> None:
    environment = {keyfile.VARIABLE: text_of(TWO)}
    assert isinstance(source(tmp_path / "none", environment, kms.command), CommandKeys)
    assert isinstance(source(tmp_path / "none", environment), EnvironmentKeys)
    assert isinstance(source(tmp_path / "none", {}), FileKeys)


def test_the_last_line_that_the_command_prints_seals(kms: Kms, tmp_path: Path) -> None:
    kms.holds(ONE | TWO)
    sealed = Vault.load(tmp_path / "none", {}, kms.command).seal(b"secret", "row")
    assert Vault(TWO, "two").open(sealed, "row") == b"secret"


def test_an_unknown_key_id_makes_the_command_run_again_and_at_most_once_a_minute(
    kms: Kms, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    vault = Vault.load(tmp_path / "none", {}, kms.command)
    kms.holds(ONE | TWO)
    of_two, of_three = Vault(TWO, "two").seal(b"secret", "row"), Vault(THREE, "three").seal(b"secret", "row")
    assert vault.open(of_two, "row") == b"secret"
    assert vault.seal(b"", "row")[2:5] == b"two"
    kms.holds(TWO | THREE)
    now += 59
    for _ in range(100):
        with pytest.raises(SealBroken, match="three"):
            vault.open(of_three, "row")
    assert kms.runs == 2
    now += 1
    assert vault.open(of_three, "row") == b"secret"
    assert kms.runs == 3


def test_a_key_id_that_a_browser_invents_makes_no_command_run(kms: Kms, tmp_path: Path) -> None:
    cookie = SealedCookie("kept", False, 600, Vault.load(tmp_path / "none", {}, kms.command))
    answer = Response()
    cookie.give(answer, "nobody", {"to": "/"})
    name, _, own = answer.headers["set-cookie"].partition(";")[0].partition("=")
    invented = base64.urlsafe_b64encode(Vault(TWO, "two").seal(b"{}", "nobody")).decode()
    for value, kept in {own: {"to": "/"}, invented: None, base64.b64encode(b"\1\4evil").decode(): None}.items():
        request = Request({"type": "http", "headers": [(b"cookie", f"{name}={value}".encode())]})
        assert cookie.read(request, "nobody") == kept
    assert kms.runs == 1


def test_what_is_known_costs_no_run(kms: Kms, tmp_path: Path) -> None:
    vault = Vault.load(tmp_path / "none", {}, kms.command)
    assert vault.open(vault.seal(b"secret", "row"), "row") == b"secret"
    assert kms.runs == 1


def test_reload_reads_at_once_and_keeps_the_former_keys(kms: Kms, tmp_path: Path) -> None:
    vault = Vault.load(tmp_path / "none", {}, kms.command)
    former = vault.seal(b"secret", "row")
    kms.holds(TWO)
    vault.reload()
    assert vault.seal(b"", "row")[2:5] == b"two"
    assert vault.open(former, "row") == b"secret"


def test_a_command_that_fails_later_leaves_the_keys_there_are(kms: Kms, tmp_path: Path) -> None:
    vault = Vault.load(tmp_path / "none", {}, kms.command)
    kms.file.unlink()
    with pytest.raises(KeyFileError):
        vault.reload()
    assert vault.open(vault.seal(b"secret", "row"), "row") == b"secret"


@pytest.mark.parametrize(
    ("program", "seconds", "why"),
    [
        ("echo SECRET; echo SECRET >&2; exit 3", 60.0, "exit status 3"),
        ("kill -9 $$", 60.0, "signal 9"),
        ("echo one SECRET", 60.0, "line 1 of what secret_key_command printed"),
        ("printf 'one \\377'", 60.0, "not US-ASCII"),
        ("true", 60.0, "has no key"),
        ("exec sleep 30", 0.2, "within 0.2 s"),
    ],
)
def test_a_failure_says_how_it_failed_and_nothing_that_was_printed(program: str, seconds: float, why: str) -> None:
    with pytest.raises(KeyFileError, match=why) as caught:
        CommandKeys(("sh", "-c", program, "SECRET-ARGUMENT"), seconds=seconds).read()
    assert "SECRET" not in str(caught.value)


def test_a_command_that_is_not_there_is_told() -> None:
    with pytest.raises(KeyFileError, match=r"kms-that-is-not-there.*No such file"):
        CommandKeys(("kms-that-is-not-there",)).read()


def test_no_shell_reads_the_command() -> None:
    with pytest.raises(KeyFileError, match="line 1"):
        CommandKeys(("echo", "one $(echo two)", shlex.quote(";"))).read()
