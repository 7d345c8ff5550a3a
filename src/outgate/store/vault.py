"""Secrets at rest: sealed with AES-256-GCM and bound to the row that they belong to, so that a stolen row can't be
read and a swapped or edited one can't be used. Knows no table.

Sealed form: version (1 byte), length of the key id (1 byte), key id, nonce (12 bytes), ciphertext with its tag.
"""

import hmac
import json
import secrets
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Self

import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from outgate.store import keyfile, keysource
from outgate.store.keysource import KeySource

_VERSION: Final = 1
_NONCE_BYTES: Final = 12

_log = structlog.get_logger("vault")


class SealBroken(Exception):
    """What was sealed can't be opened: changed, of another row, or sealed with a key that is not there."""


class KeyMissing(SealBroken):
    """It is sealed with a key that is not among the vault's."""


class _Key:
    """One key, divided by purpose (RFC 5869): the same bytes never serve for sealing and for digests."""

    def __init__(self, secret: bytes) -> None:
        self.cipher = AESGCM(HKDFExpand(SHA256(), 32, b"outgate seal").derive(secret))
        self.digest_key = HKDFExpand(SHA256(), 32, b"outgate digest").derive(secret)


class Vault:
    """Seals and opens with the keys given; `current` is the id of the one that seals.

    A vault that has a source reads it again when it has changed, so that a rotation of the keys reaches programs that
    are running. Seal what is stored only within a transaction of store.engine.write that has already changed
    `organisation.directory_version`: rotation takes the same lock, and so misses nothing that is sealed meanwhile. What
    is stored nowhere, and may be lost at a rotation, may be sealed at any time; it comes back from outside, and is
    opened by `open_held`.
    """

    def __init__(self, keys: Mapping[str, bytes], current: str, source: KeySource | None = None) -> None:
        self._keys = {key_id: _Key(secret) for key_id, secret in keys.items()}
        self._current = current
        self._source = source
        self._reading = threading.Lock()
        if current not in self._keys:
            raise ValueError(f"there is no key {current} to seal with")

    @classmethod
    def load(cls, path: Path, environment: Mapping[str, str] | None = None, command: Sequence[str] = ()) -> Self:
        """Keys of the command if there is one, else of OUTGATE_SECRET_KEY if set, else of the file.

        Raises keyfile.KeyFileError.
        """
        source = keysource.source(path, environment, command)
        keys = source.read()
        return cls(keys, next(reversed(keys)), source)

    @classmethod
    def create(cls, path: Path) -> Self:
        """Make a key file and load it. Raises keyfile.KeyFileError if there is one already."""
        keyfile.create(path)
        return cls.load(path, {})

    def seal(self, plaintext: bytes, identity: str) -> bytes:
        """Encrypt for the row named by `identity`, which must be given again to open."""
        self._refresh()
        key_id = self._current
        head = bytes([_VERSION, len(key_id)]) + key_id.encode()
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return head + nonce + self._keys[key_id].cipher.encrypt(nonce, plaintext, head + identity.encode())

    def open(self, sealed: bytes, identity: str) -> bytes:
        """The plaintext; raises SealBroken."""
        key_id = key_id_of(sealed)
        if key_id not in self._keys:
            self._look_for(key_id)
        return self.open_held(sealed, identity)

    def open_held(self, sealed: bytes, identity: str) -> bytes:
        """As `open`, but no key is looked for that is not there: what strangers send may name any."""
        key_id = key_id_of(sealed)
        key = self._keys.get(key_id)
        if key is None:
            raise KeyMissing(f"{identity} is sealed with the key {key_id}, which is not among the vault's keys")
        head, rest = sealed[: 2 + len(key_id)], sealed[2 + len(key_id) :]
        try:
            return key.cipher.decrypt(rest[:_NONCE_BYTES], rest[_NONCE_BYTES:], head + identity.encode())
        except (InvalidTag, ValueError):
            raise SealBroken(f"what is sealed for {identity} was changed or belongs to another row") from None

    def needs_rotation(self, sealed: bytes) -> bool:
        """Whether another key than the current one sealed this."""
        return key_id_of(sealed) != self._current

    def digest(self, data: bytes, identity: str) -> bytes:
        """A digest that only holders of the current key can make, bound to a row as seals are."""
        self._refresh()
        key = self._keys[self._current].digest_key
        return hmac.digest(key, identity.encode() + b"\0" + data, "sha256")

    def reload(self) -> None:
        """Read the keys again now. Raises keyfile.KeyFileError, and then goes on with those there are."""
        with self._reading:
            self._read()

    def _refresh(self) -> None:
        if self._source and self._source.news():
            with self._reading:
                if self._source.news():
                    self._read()

    def _look_for(self, key_id: str) -> None:
        """Read the keys again if that may bring this one. That they can't be read is told, and no more than that:
        the other keys serve on.
        """
        with self._reading:
            if key_id in self._keys or self._source is None or not self._source.worth_asking():
                return
            try:
                self._read()
            except keyfile.KeyFileError as error:
                _log.error("keys can't be read again", missing=key_id, error=str(error))

    def _read(self) -> None:
        if self._source is None:
            return
        keys = self._source.read()
        # In this order, for other threads: never a current key that is not among the keys.
        self._keys = self._keys | {key_id: _Key(secret) for key_id, secret in keys.items()}
        self._current = next(reversed(keys))


def credential(row: str, holder: str, version: int, security: str, host: str, port: int, username: str) -> str:
    """The identity that a gateway's password is sealed for: its row, whose it is, and where it is sent.

    So an edited row can't have the password sent to another server, by another kind of connection, or for somebody
    else's mail. `holder` is account and address; of outbound gateways the domain, empty for the whole organisation's.
    As JSON, no two are written alike.
    """
    return json.dumps(["credential", row, holder, version, security, host, port, username])


def hosts_of(host: str, fallbacks: Sequence[str]) -> str:
    """All hosts that a credential may be sent to, for its identity."""
    return " ".join((host, *fallbacks))


def token(kind: str, provider: str, generation: int, of: str) -> str:
    """The identity that a token is sealed for: what it is, and the `credential` of its gateway. A former one that is
    put back does not open.
    """
    return json.dumps(["token", kind, provider, generation, of])


def client_secret(provider: str, client_id: str) -> str:
    """The identity that the secret of a registered OAuth client is sealed for."""
    return json.dumps(["client", provider, client_id])


def holder_of(account_id: int, address: str) -> str:
    """Whose gateway it is, for `credential`: an account's, for one of its addresses."""
    return f"{account_id}:{address}"


def holder_of_common(grant_id: int, address: str) -> str:
    """Whose a common gateway is, for `credential`: a grant's, for the address that it grants."""
    return f"grant:{grant_id}:{address}"


def webhook_secret(name: str) -> str:
    """The identity that the secrets of a webhook are sealed for, which its events are signed with."""
    return f"webhook:{name}:secret"


def signing_key(domain: str) -> str:
    """The identity that a domain's DKIM key is sealed for."""
    return f"domain:{domain}:dkim"


def second_factor(account_id: int) -> str:
    """The identity that an account's TOTP secret is sealed for."""
    return f"account:{account_id}:totp"


def key_id_of(sealed: bytes) -> str:
    """The id of the key that sealed it. Raises SealBroken."""
    if len(sealed) < 2 or sealed[0] != _VERSION:
        raise SealBroken("what is sealed is not of a form that this release knows")
    return sealed[2 : 2 + sealed[1]].decode("ascii", "replace")
