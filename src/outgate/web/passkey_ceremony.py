"""The two ceremonies of WebAuthn, with the library: what a browser is asked, and whether its answer holds.

A passkey is of this server's name alone, and whoever uses it must have shown the device that it is them. Knows no
session and no row: challenges are kept in tickets (tickets.py), keys in directory.passkeys.
"""

import ipaddress
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    options_to_json,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url, parse_authentication_credential_json
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from outgate.directory.passkeys import Passkey, VerifiedKey
from outgate.directory.users import User
from outgate.frozen import frozen
from outgate.http.cross_site import origin_of
from outgate.web.tickets import Tickets

ADD: Final = "passkey-add"
USE: Final = "passkey-use"
_MALFORMED: Final = (WebAuthnException, ValueError, KeyError, TypeError)  # the library parses JSON with little care


@frozen
class Asked:
    """What a page gives its script: `options` are JSON for the browser; `ticket` comes back with the answer."""

    options: str
    ticket: str


class PasskeyCeremony:
    """For the server at `public_url`."""

    def __init__(self, public_url: str, tickets: Tickets) -> None:
        self._host, self._origin, self._tickets = urlsplit(public_url).hostname or "", origin_of(public_url), tickets

    @property
    def is_possible(self) -> bool:
        """Browsers take no passkeys for a server that has no name, nor without TLS unless it is on the same machine."""
        try:
            ipaddress.ip_address(self._host)
        except ValueError:
            return self._origin.startswith("https:") or self._host == "localhost"
        return False

    def ask_for_new(self, user: User, there: Iterable[Passkey]) -> Asked:
        """Make one for a user. No device makes a second one beside those that are there."""
        options = generate_registration_options(
            rp_id=self._host,
            rp_name="Outgate",
            user_id=user.id.to_bytes(8),
            user_name=user.address,
            user_display_name=user.name or user.address,
            exclude_credentials=[PublicKeyCredentialDescriptor(id=one.credential_id) for one in there],
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement.REQUIRED
            ),
        )
        challenge = bytes_to_base64url(options.challenge)
        return Asked(options_to_json(options), self._tickets.give(ADD, challenge=challenge, account=user.id))

    def made(self, user: User, ticket: str, answer: str) -> VerifiedKey | None:
        """The key that the browser has made; None if the answer does not hold. Called in a thread."""
        facts = self._tickets.take(ADD, ticket)
        if facts is None or facts["account"] != user.id:
            return None
        try:
            made = verify_registration_response(
                credential=answer,
                expected_challenge=base64url_to_bytes(str(facts["challenge"])),
                expected_rp_id=self._host,
                expected_origin=self._origin,
                require_user_verification=True,
            )
        except _MALFORMED:
            return None
        return VerifiedKey(made.credential_id, made.credential_public_key, made.sign_count)

    def ask_for_one(self, among: Iterable[Passkey] = ()) -> Asked:
        """Use one that there is: one of `among`, or whichever the browser knows."""
        options = generate_authentication_options(
            rp_id=self._host,
            allow_credentials=[PublicKeyCredentialDescriptor(id=one.credential_id) for one in among],
            user_verification=UserVerificationRequirement.REQUIRED,
        )
        return Asked(options_to_json(options), self._tickets.give(USE, challenge=bytes_to_base64url(options.challenge)))

    def offered(self, answer: str) -> bytes | None:
        """The id of the key that an answer is said to be of; None if it can't be read."""
        try:
            return parse_authentication_credential_json(answer).raw_id
        except _MALFORMED:
            return None

    def signed(self, passkey: Passkey, ticket: str, answer: str) -> int | None:
        """The key's new count of signatures, if the answer holds. Called in a thread."""
        facts = self._tickets.take(USE, ticket)
        if facts is None:
            return None
        try:
            used = verify_authentication_response(
                credential=answer,
                expected_challenge=base64url_to_bytes(str(facts["challenge"])),
                expected_rp_id=self._host,
                expected_origin=self._origin,
                credential_public_key=passkey.public_key,
                credential_current_sign_count=passkey.sign_count,
                require_user_verification=True,
            )
        except _MALFORMED:
            return None
        return used.new_sign_count
