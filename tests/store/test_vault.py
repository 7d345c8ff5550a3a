"""store.vault and store.keyfile: what is sealed can only be opened whole, for its own row, with its key."""

import base64
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgate.store import keyfile
from outgate.store.keyfile import KeyFileError
from outgate.store.vault import SealBroken, Vault, credential

IDENTITY = "gateway:17:v3"
ONE = base64.b64encode(b"1" * 32).decode()
TWO = base64.b64encode(b"2" * 32).decode()


@given(st.binary(max_size=300), st.text(max_size=50))
def test_what_was_sealed_opens_for_its_row(plaintext: bytes, identity: str) -> None:
    vault = Vault({"a": b"1" * 32}, "a")
    assert vault.open(vault.seal(plaintext, identity), identity) == plaintext


def test_the_same_password_is_sealed_differently_each_time(vault: Vault) -> None:
    assert vault.seal(b"secret", IDENTITY) != vault.seal(b"secret", IDENTITY)


def test_what_is_sealed_for_one_row_does_not_open_for_another(vault: Vault) -> None:
    with pytest.raises(SealBroken):
        vault.open(vault.seal(b"secret", IDENTITY), "gateway:18:v3")


def test_no_byte_can_be_changed_added_or_taken_away(vault: Vault) -> None:
    sealed = vault.seal(b"secret", IDENTITY)
    broken = [sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :] for at in range(len(sealed))]
    broken += [sealed[:length] for length in range(len(sealed))] + [sealed + b"\0"]
    for wrong in broken:
        with pytest.raises(SealBroken):
            vault.open(wrong, IDENTITY)


def test_an_unknown_key_is_named_by_its_id(vault: Vault) -> None:
    sealed = Vault({"other": b"2" * 32}, "other").seal(b"secret", IDENTITY)
    with pytest.raises(SealBroken, match="other"):
        vault.open(sealed, IDENTITY)
    assert vault.needs_rotation(sealed)
    assert not vault.needs_rotation(vault.seal(b"secret", IDENTITY))


def test_a_digest_depends_on_data_row_and_key(vault: Vault) -> None:
    digests = {
        vault.digest(b"123456789", "send-as:1"),
        vault.digest(b"123456780", "send-as:1"),
        vault.digest(b"123456789", "send-as:2"),
        Vault({"a": b"1" * 32}, "a").digest(b"123456789", "send-as:1"),
    }
    assert len(digests) == 4
    assert vault.digest(b"123456789", "send-as:1") in digests


def test_the_identity_of_a_credential_names_where_it_is_sent() -> None:
    queue_ids = {
        credential("gateway:1", "7:a@b.example", 1, "starttls", "mail.example", 587, "alice"),
        credential("gateway:1", "8:a@b.example", 1, "starttls", "mail.example", 587, "alice"),
        credential("gateway:1", "7:c@b.example", 1, "starttls", "mail.example", 587, "alice"),
        credential("gateway:1", "7:a@b.example", 1, "starttls", "mail.example", 587, 'alice", "x'),
        credential("gateway:1", "7:a@b.example", 1, "starttls", "x@mail.example", 587, "alice"),
        credential("gateway:1", "7:a@b.example", 1, "starttls", "mail.example", 587, "alice@x"),
        credential("gateway:2", "7:a@b.example", 1, "starttls", "mail.example", 587, "alice"),
        credential("gateway:1", "7:a@b.example", 2, "starttls", "mail.example", 587, "alice"),
        credential("gateway:1", "7:a@b.example", 1, "ssl", "mail.example", 587, "alice"),
        credential("gateway:1", "7:a@b.example", 1, "starttls", "evil.example", 587, "alice"),
        credential("gateway:1", "7:a@b.example", 1, "starttls", "mail.example", 25, "alice"),
        credential("gateway:1", "7:a@b.example", 1, "starttls", "mail.example", 587, "bob"),
    }
    assert len(queue_ids) == 12


def test_a_new_key_file_is_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "secret.key"
    sealed = Vault.create(path).seal(b"secret", IDENTITY)
    assert path.stat().st_mode & 0o777 == 0o600
    assert Vault.load(path, {}).open(sealed, IDENTITY) == b"secret"
    assert [entry.name for entry in tmp_path.iterdir()] == ["secret.key"]


def test_an_existing_key_file_is_not_overwritten(tmp_path: Path) -> None:
    Vault.create(tmp_path / "secret.key")
    with pytest.raises(KeyFileError, match="not overwritten"):
        Vault.create(tmp_path / "secret.key")


def test_a_missing_key_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="is missing: bring back your copy"):
        Vault.load(tmp_path / "secret.key", {})


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "secret.key"
    Vault.create(path)
    path.chmod(mode)
    with pytest.raises(KeyFileError, match=f"chmod 600 {path}"):
        Vault.load(path, {})


def test_the_last_line_is_the_current_key(tmp_path: Path) -> None:
    vault = Vault.load(tmp_path / "none", {keyfile.VARIABLE: f"one {ONE}\ntwo {TWO}\n"})
    assert vault.seal(b"", "")[2:5] == b"two"


def test_the_environment_wins_over_the_file_and_may_use_commas(tmp_path: Path) -> None:
    Vault.create(tmp_path / "secret.key")
    vault = Vault.load(tmp_path / "secret.key", {keyfile.VARIABLE: f"two {TWO},one {ONE}"})
    assert vault.seal(b"", "")[2:5] == b"one"


@pytest.mark.parametrize(
    "text",
    ["one", f"one {ONE[:-4]}", f"one {ONE}x", f"o/e {ONE}", f"{ONE}", f"one {ONE},", "\n", f"one {ONE} {ONE}"],
)
def test_a_bad_line_is_told_without_the_key(tmp_path: Path, text: str) -> None:
    path = tmp_path / "secret.key"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(KeyFileError) as caught:
        Vault.load(path, {})
    assert ONE[:20] not in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_running_program_learns_of_a_new_key(tmp_path: Path) -> None:
    path = tmp_path / "secret.key"
    running = Vault.create(path)
    old = running.seal(b"old", IDENTITY)
    keyfile.write(path, keyfile.read(path) | {"new": b"2" * 32})
    assert running.seal(b"", IDENTITY)[2:5] == b"new"
    keyfile.write(path, {"newer": b"3" * 32})
    assert running.open(Vault.load(path, {}).seal(b"secret", IDENTITY), IDENTITY) == b"secret"
    assert running.open(old, IDENTITY) == b"old"


def test_a_write_that_fails_leaves_the_former_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "secret.key"
    keys = keyfile.create(path)

    def disk_is_full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", disk_is_full)
    with pytest.raises(KeyFileError, match="No space left"):
        keyfile.write(path, {"new": b"2" * 32})
    assert keyfile.read(path) == keys
    assert list(tmp_path.iterdir()) == [path]
