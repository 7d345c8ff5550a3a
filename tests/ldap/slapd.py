"""A real OpenLDAP server on loopback with people of example.com, changed by OpenLDAP's own tools."""

import base64
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from bench.scratch import free_port

from outgate.demo.certificates import Authority
from way.place import LOCALHOST

BASE: Final = "dc=example,dc=com"
PEOPLE: Final = f"ou=people,{BASE}"
ADMIN: Final = f"cn=admin,{BASE}"
READER: Final = f"cn=reader,{BASE}"
SECRET: Final = "directory secret 17"

# `allow bind_anon_dn` is what Active Directory does: a bind with a name and no password succeeds. The
# attributes are Active Directory's, too.
_CONF: Final = """\
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
attributetype ( 1.2.840.113556.1.4.2 NAME 'objectGUID' EQUALITY octetStringMatch
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.40 SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.4.8 NAME 'userAccountControl' EQUALITY integerMatch
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.27 SINGLE-VALUE )
objectclass ( 1.3.6.1.4.1.32473.1 NAME 'adUser' SUP top AUXILIARY MAY ( objectGUID $ userAccountControl ) )
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile {folder}/slapd.pid
{tls}
allow bind_anon_dn
sizelimit size.soft=500 size.hard=500 size.prtotal=1500
database mdb
suffix "{base}"
rootdn "{admin}"
rootpw "{secret}"
directory {folder}/db
maxsize 268435456
envflags nosync
index objectClass,entryUUID,objectGUID,mail eq
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact="{reader}" read by anonymous auth by * none
"""

_ADDRESSES: Final = ("127.0.0.1", "127.0.0.2")

Value = str | bytes
Person = Mapping[str, Value | tuple[Value, ...]]


_TLS: Final = """\
TLSCACertificateFile {ca}
TLSCertificateFile {chain}
TLSCertificateKeyFile {key}
"""


class Slapd:
    """`ldaps`, `ldap` and `ldapi` are the URLs where it listens. `secret_file` has the password of READER.

    It listens at 127.0.0.2 as well, which is not in its certificate.
    """

    def __init__(self, folder: Path, authority: Authority, *, tls: bool = True) -> None:
        self._folder = folder
        (folder / "db").mkdir(parents=True)
        chain, key = authority.issue(LOCALHOST)
        chain, key = chain.rename(folder / "cert.pem"), key.rename(folder / "key.pem")
        self.ca_file = authority.ca_file
        names = {"base": BASE, "admin": ADMIN, "reader": READER, "secret": SECRET}
        encrypted = _TLS.format(ca=self.ca_file, chain=chain, key=key) if tls else ""
        (folder / "slapd.conf").write_text(_CONF.format(folder=folder, tls=encrypted, **names))
        self.secret_file = folder / "reader.password"
        self.secret_file.touch(mode=0o600)
        self.secret_file.write_text(f"{SECRET}\n")
        self.ldaps = f"ldaps://localhost:{free_port()}"
        self.ldap = f"ldap://localhost:{free_port()}"
        self._socket = str(folder / "ldapi")
        self.ldapi = f"ldapi://{self._socket.replace('/', '%2F')}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when it answers."""
        ports = [url.replace("localhost", address) for url in (self.ldaps, self.ldap) for address in _ADDRESSES]
        urls = " ".join([*ports, self.ldapi])
        conf = str(self._folder / "slapd.conf")
        command = ["setpriv", "--pdeathsig", "KILL", "slapd", "-d", "none", "-f", conf, "-h", urls]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        deadline = time.monotonic() + 20
        while not self._answers():
            assert self._process.poll() is None, (self._folder / "log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def stop(self) -> None:
        """Its database stays."""
        if self._process:
            self._process.terminate()
            self._process.wait(20)
            self._process = None

    def add(self, *entries: tuple[str, Person]) -> None:
        """By ldapadd: DNs with their attributes; a value in bytes may hold anything."""
        self._run("ldapadd", "".join(_ldif(dn, attributes.items()) for dn, attributes in entries))

    def seed(self, count: int) -> None:
        """The tree, who may search it, and user0 to user<count - 1> with the passwords `password of userN`."""
        self.add(
            (BASE, {"objectClass": "domain", "dc": "example"}),
            (PEOPLE, {"objectClass": "organizationalUnit", "ou": "people"}),
            (READER, {"objectClass": "person", "cn": "reader", "sn": "reader", "userPassword": SECRET}),
            *(person(f"user{number}") for number in range(count)),
        )

    def modify(self, dn: str, attribute: str, value: Value | tuple[Value, ...]) -> None:
        """Replace an attribute."""
        values = "\n".join(_lines([(attribute, value)]))
        self._run("ldapmodify", f"dn: {dn}\nchangetype: modify\nreplace: {attribute}\n{values}\n\n")

    def rename(self, dn: str, rdn: str) -> None:
        """Give an entry another name in its place."""
        self._run("ldapmodify", f"dn: {dn}\nchangetype: modrdn\nnewrdn: {rdn}\ndeleteoldrdn: 1\n\n")

    def delete(self, *dns: str) -> None:
        """For good."""
        self._run("ldapmodify", "".join(f"dn: {dn}\nchangetype: delete\n\n" for dn in dns))

    def who_am_i(self, dn: str, password: str) -> str:
        """What ldapwhoami says after a bind (RFC 4532); fails if the bind did."""
        command = ["ldapwhoami", "-x", "-H", self.ldapi, "-D", dn, "-w", password]
        return subprocess.run(command, capture_output=True, check=True, timeout=60, text=True).stdout.strip()

    def _run(self, tool: str, ldif: str) -> None:
        command = [tool, "-x", "-H", self.ldapi, "-D", ADMIN, "-w", SECRET]
        done = subprocess.run(command, input=ldif.encode(), capture_output=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr.decode()

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(self._socket) == 0


def dn_of(name: str) -> str:
    """Where a person is."""
    return f"uid={name},{PEOPLE}"


def password_of(name: str) -> str:
    """What they log in with."""
    return f"password of {name}"


def person(name: str, **attributes: Value | tuple[Value, ...]) -> tuple[str, Person]:
    """An entry with its DN; `attributes` replace or add."""
    usual = {
        "objectClass": "inetOrgPerson",
        "uid": name,
        "cn": f"Person {name}",
        "sn": name,
        "mail": f"{name}@example.com",
        "userPassword": password_of(name),
    }
    return dn_of(name), {**usual, **attributes}


def _ldif(dn: str, attributes: Iterable[tuple[str, Value | tuple[Value, ...]]]) -> str:
    return f"{_line('dn', dn)}\n" + "\n".join(_lines(attributes)) + "\n\n"


def _lines(attributes: Iterable[tuple[str, Value | tuple[Value, ...]]]) -> Iterator[str]:
    for name, given in attributes:
        for value in given if isinstance(given, tuple) else (given,):
            yield _line(name, value)


def _line(name: str, value: Value) -> str:
    """RFC 2849: in base64, so that no value need be looked at."""
    raw = value.encode() if isinstance(value, str) else value
    return f"{name}:: {base64.b64encode(raw).decode()}"
