"""OpenDKIM as a milter: signs a domain's mail, or checks signatures (RFC 6376)."""

from collections.abc import Mapping

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from lab.dns import key_record
from lab.namespaces import Namespace
from lab.plan import NAMESERVER

PORT = 8891
MILTER = f"inet:127.0.0.1:{PORT}"
_SELECTOR = "lab"


class SigningKey:
    """A domain's key: `pem` to sign with, `record` to publish."""

    def __init__(self, domain: str) -> None:
        self.domain = domain
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        self.pem = key.private_bytes(pem, pkcs8, serialization.NoEncryption())
        public = key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
        value = "v=DKIM1; k=rsa; p=" + "".join(public.splitlines()[1:-1])
        self.record = key_record(domain, _SELECTOR, value)


def start_signer(namespace: Namespace, key: SigningKey) -> None:
    """Sign what logged-in users send from the key's domain."""
    file = namespace.folder / "dkim.pem"
    file.touch(mode=0o600)
    file.write_bytes(key.pem)
    settings = {"Mode": "s", "Domain": key.domain, "Selector": _SELECTOR, "KeyFile": str(file)}
    # The file is nobody else's, but it is below /tmp, which OpenDKIM does not like.
    _start(namespace, {**settings, "RequireSafeKeys": "no"})


def start_verifier(namespace: Namespace) -> None:
    """Check signatures, and say so in Authentication-Results under the host's name."""
    _start(namespace, {"Mode": "v", "AuthservID": namespace.host.name, "AlwaysAddARHeader": "yes"})


def _start(namespace: Namespace, settings: Mapping[str, str]) -> None:
    common = {"Socket": f"inet:{PORT}@127.0.0.1", "Syslog": "no", "Nameservers": NAMESERVER.address}
    configuration = namespace.folder / "opendkim.conf"
    configuration.write_text("".join(f"{key} {value}\n" for key, value in {**common, **settings}.items()))
    namespace.start("opendkim", "-f", "-x", str(configuration), ready=lambda: namespace.listens(PORT))
