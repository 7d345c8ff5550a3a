"""Passwords of users as argon2id hashes. Slow by intent: call it in a thread, outside of transactions.

Passwords are compared as SASL prepares them (RFC 4013, 4616), so that another keyboard's way to type the same
characters is the same password.
"""

import hmac
from base64 import b64decode
from typing import Final

from argon2 import Parameters, PasswordHasher, extract_parameters
from argon2.exceptions import InvalidHashError
from argon2.low_level import Type, core, ffi

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

    By the library's `core`, since PasswordHasher.verify leaves its copy of the password in freed memory.
    """
    try:
        parameters, salt, expected = _parsed(hashed)
        secret = bytearray(_prepared(password), "utf-8")
    except ValueError:  # InvalidHashError is one, too; so is half of a surrogate pair in a password
        return False
    computed = _computed(parameters, salt, secret, len(expected))
    secret[:] = bytes(len(secret))
    return computed is not None and hmac.compare_digest(computed, expected)


def verify_nobody(password: str) -> bool:
    """Says no, and takes as long as `verify`: the time does not tell which user names exist."""
    return verify(_NOBODY, password)


def _prepared(password: str) -> str:
    """What can't be prepared was never taken as a password, and matches none as it is."""
    try:
        return saslprep(password)
    except SaslError:
        return password


def _parsed(hashed: str) -> tuple[Parameters, bytes, bytes]:
    """The parameters, the salt and the hash of a PHC string of argon2id. Raises InvalidHashError or ValueError."""
    parameters = extract_parameters(hashed)
    numbers = (parameters.version, parameters.time_cost, parameters.memory_cost, parameters.parallelism)
    if parameters.type is not Type.ID or not all(0 < number < 2**32 for number in numbers):
        raise InvalidHashError
    salt, digest = (b64decode(part + "=" * (-len(part) % 4), validate=True) for part in hashed.split("$")[-2:])
    return parameters, salt, digest


def _computed(parameters: Parameters, salt: bytes, secret: bytearray, length: int) -> bytes | None:
    """The hash of a password under these parameters, None where argon2 takes them not. Makes no copy of the password.

    Fields of the context are named as in argon2.h; those left out are nought.
    """
    output = ffi.new("uint8_t[]", length)
    context = ffi.new(
        "argon2_context *",
        {
            "version": parameters.version,
            "out": output,
            "outlen": length,
            "pwd": ffi.from_buffer(secret),
            "pwdlen": len(secret),
            "salt": ffi.from_buffer(salt),
            "saltlen": len(salt),
            "t_cost": parameters.time_cost,
            "m_cost": parameters.memory_cost,
            "lanes": parameters.parallelism,
            "threads": parameters.parallelism,
        },
    )
    failed = core(context, Type.ID.value)
    return None if failed else bytes(ffi.buffer(output))
