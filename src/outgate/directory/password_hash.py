"""Passwords of users as argon2id hashes. Slow by intent: call it in a thread, outside of transactions.

Passwords are compared as SASL prepares them (RFC 4013, 4616), so that another keyboard's way to type the same
characters is the same password.
"""

from typing import Final

from _argon2_cffi_bindings import ffi, lib
from argon2 import PasswordHasher
from argon2.low_level import Type

from outgate.smtp.sasl import SaslError, saslprep

# OWASP's least for argon2id: 19 MiB, two passes, one lane.
_HASHER: Final = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)

# A hash of the same cost that no password has: all zeros.
_NOBODY: Final = f"$argon2id$v=19$m={19 * 1024},t=2,p=1${'A' * 22}${'A' * 43}"


def hash_password(password: str) -> str:
    """A PHC string with a salt of its own."""
    return _HASHER.hash(_prepared(password))


def verify(hashed: str, password: str) -> bool:
    """Whether this is the password. A hash that can't be read matches none.

    By the library's C function, since PasswordHasher.verify leaves its copy of the password in freed memory.
    """
    try:
        encoded, secret = hashed.encode(), bytearray(_prepared(password), "utf-8")
    except UnicodeEncodeError:
        return False
    matches = lib.argon2_verify(ffi.new("char[]", encoded), ffi.from_buffer(secret), len(secret), Type.ID.value)
    secret[:] = bytes(len(secret))
    return bool(matches == lib.ARGON2_OK)


def verify_nobody(password: str) -> bool:
    """Says no, and takes as long as `verify`: the time does not tell which user names exist."""
    return verify(_NOBODY, password)


def _prepared(password: str) -> str:
    """What can't be prepared was never taken as a password, and matches none as it is."""
    try:
        return saslprep(password)
    except SaslError:
        return password
