#!/bin/sh
# Makes the files of this folder anew: a throw-away key that nobody keeps, and two texts signed with it.
# They are kept so that tests need gpgv only (apt depends on it); dated 2024 so that no clock is too early for them.
set -eu
cd "$(dirname "$0")"
GNUPGHOME=$(mktemp -d)
export GNUPGHOME
trap 'gpgconf --kill gpg-agent; rm -rf "$GNUPGHOME"' EXIT
sign() { gpg --batch --quiet --faked-system-time 20240102T030405 --digest-algo SHA512 "$@"; }
sign --passphrase '' --quick-generate-key 'Alice (throw-away key of the tests)' ed25519 sign never
gpg --batch --quiet --yes --output key.gpg --export
# RFC 3156 section 5: the part is signed with CRLF line ends and without the CRLF before the boundary.
sign --yes --armor --output part.asc --detach-sign part.mime
sign --yes --armor --output clear.asc --clear-sign clear.txt
