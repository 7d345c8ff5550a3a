"""Passwords and their argon2id hashes: what matches, what does not, and what is left in memory."""

import argon2
import pytest

from outgate.directory import password_hash

PASSWORD = "correct horse battery"
HASHED = "$argon2id$v=19$m=19456,t=2,p=1$lrmj4ctpPNS7PZJKIsEFTQ$uVlcFMEB5XvxAtHxchRhVI39C9VdHbU4q7ZVs5qCw6k"


@pytest.mark.parametrize("password", [PASSWORD, "", "p\u00e4ss w\u00f6rd", "\u00aa", "x" * 5000, "with\x00nought"])
def test_a_password_matches_its_own_hash_alone(password: str) -> None:
    hashed = password_hash.hash_password(password)
    assert password_hash.verify(hashed, password)
    assert not password_hash.verify(hashed, password + "x")
    assert not password_hash.verify_nobody(password)


def test_the_library_agrees_in_both_directions() -> None:
    assert argon2.PasswordHasher().verify(HASHED, PASSWORD)
    elsewhere = argon2.PasswordHasher(time_cost=3, memory_cost=64, parallelism=2, hash_len=20, salt_len=11)
    assert password_hash.verify(elsewhere.hash(PASSWORD), PASSWORD)
    assert not password_hash.verify(elsewhere.hash(PASSWORD), PASSWORD.upper())


def test_another_way_to_type_the_same_characters_is_the_same_password() -> None:
    assert password_hash.verify(password_hash.hash_password("caf\u00e9"), "cafe\u0301")


@pytest.mark.parametrize(
    "hashed",
    [
        *("", "x", "$argon2id$", "$argon2id$v=19$m=1,t=0,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAA", HASHED[:-1] + "!"),
        *(HASHED[:-3], HASHED + "A", HASHED.replace("argon2id", "argon2i"), HASHED.replace("t=2", "t=1")),
        *(HASHED.replace("m=19456", "m=4294967295"), HASHED.replace("p=1", "p=0"), HASHED.rpartition("$")[0] + "$"),
        *(HASHED.replace("t=2", "t=-1"), HASHED.replace("m=19456", "m=99999999999999")),
    ],
)
def test_a_hash_that_cannot_be_read_or_is_another_matches_none(hashed: str) -> None:
    assert not password_hash.verify(hashed, PASSWORD)
    assert not password_hash.verify(hashed, "")


def test_what_no_utf_8_can_say_matches_none() -> None:
    assert not password_hash.verify(HASHED, "\ud800")


def test_the_password_is_wiped_where_argon2_read_it(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bytearray] = []
    computed = password_hash._computed

    def spy(parameters: argon2.Parameters, salt: bytes, secret: bytearray, length: int) -> bytes | None:
        assert secret == PASSWORD.encode()
        seen.append(secret)
        return computed(parameters, salt, secret, length)

    monkeypatch.setattr(password_hash, "_computed", spy)
    assert password_hash.verify(HASHED, PASSWORD)
    assert seen == [bytearray(len(PASSWORD))]
