"""A data directory for tests of the whole way: the organisation example.com with alice and bob, peers on loopback."""

import asyncio
import atexit
import os
import shutil
import socket
import ssl
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from bench.scratch import free_port

from outgate import clock, wiring
from outgate.demo.certificates import Authority
from outgate.demo.network import VirtualHost
from outgate.directory import domain_keys, organisation, policies, users
from outgate.directory.domain_keys import NewDkimKey
from outgate.directory.gateway_settings import GatewaySettings as GatewayServer
from outgate.directory.settings import ALLOW_EXTERNAL_SMTP
from outgate.directory.users import Credentials
from outgate.installation import KEY_FILE, Installation, open_installation
from outgate.model import Security
from outgate.operations import domain_operations, propagation
from outgate.record import audit_trail
from outgate.sendas import gateways, send_as_addresses, verification
from outgate.store import keyfile
from outgate.store.engine import make_file, migrate, open_engine, write

PASSWORD = "correct horse battery"
GATEWAY_PASSWORD = "partner secret 42"
HOSTNAME = "mail.example.com"
LOCALHOST = VirtualHost("localhost", "127.0.0.1")
PLAIN = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # for clients by plain HTTP, whose own would read all authorities

_TOML = """\
hostname = "mail.example.com"
{top}
[submission]
address = "127.0.0.1"
starttls_port = {starttls}
tls_port = {tls}
{submission}
[relay]
{relay}
[log_in]
scram_iterations = 4096
{log_in}
[delivery]
ca_file = "ca.pem"
{delivery}
[local]
{local}
[oidc]
{oidc}
[ldap]
{ldap}
[egress]
{egress}
[record]
{record}
[web]
{web}
[webhooks]
{webhooks}
"""


# Everybody is on loopback, at any port: what the guard is there to refuse (tests/egress).
_LOOPBACK = {"allowed_networks": {"v4": "127.0.0.0/8", "v6": "::1/128"}, "ports": ()}


@cache  # it reads all authorities of the system, which takes longer than a message
def _context_of(ca_file: str) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=ca_file)


@dataclass
class Site:
    """An installation on disk, and how to change it while its server runs."""

    data: Path
    starttls: int
    tls: int
    authority: Authority

    def place(self) -> Installation:
        return open_installation(self.data)

    def client_context(self) -> ssl.SSLContext:
        return _context_of(str(self.authority.ca_file))

    async def switch(self, on: bool) -> None:
        """allowUsersToUseExternalSmtpServers for everybody; in force when this returns."""
        await asyncio.to_thread(self._switch, on)

    async def add_external(
        self,
        account: str,
        address: str,
        port: int | None = None,
        *,
        host: str = "localhost",
        security: Security = Security.STARTTLS,
        verified: bool = True,
    ) -> None:
        """A From address of another domain, with a gateway at `port` if one is given; in force when this returns."""
        server = GatewayServer(host, port, security, address, GATEWAY_PASSWORD) if port is not None else None
        await asyncio.to_thread(self._add_external, account, address, server, verified)

    async def set_domain_gateway(self, port: int | None, security: Security = Security.STARTTLS) -> None:
        """Everything that leaves passes 127.0.0.1:port, from when this returns."""
        await asyncio.to_thread(self._set_domain_gateway, port, security)

    # In a thread: the server's own writes, in the same process, want the loop while they hold the database's lock.

    def _switch(self, on: bool) -> None:
        place = self.place()
        with write(place.engine) as conn:
            policies.set_value(conn, "/", ALLOW_EXTERNAL_SMTP, on, clock.now())
        propagation.wait(place.engine)
        place.engine.dispose()

    def _add_external(self, account: str, address: str, server: GatewayServer | None, verified: bool) -> None:
        place = self.place()
        with write(place.engine) as conn:
            user = users.find(conn, account)
            send_as_addresses.add(conn, user.id, address, clock.now())
            code = verification.start(conn, place.vault, user.id, address, clock.now()).code
            if server:
                gateways.set_gateway(conn, place.vault, user.id, address, server, clock.now())
        if verified:
            verification.confirm(place.engine, place.vault, user.id, address, code, clock.now())
        propagation.wait(place.engine)
        place.engine.dispose()

    def _set_domain_gateway(self, port: int | None, security: Security) -> None:
        place = self.place()
        with write(place.engine) as conn:
            if port is None:
                organisation.clear_domain_gateway(conn)
            else:
                log_in = () if security is Security.NONE else ("relay", GATEWAY_PASSWORD)
                server = GatewayServer("localhost", port, security, *log_in)
                organisation.set_domain_gateway(conn, place.vault, server)
        propagation.wait(place.engine)
        place.engine.dispose()


def install(data: Path, *, database_url: str = "", dkim_key: bool = True, **settings: Mapping[str, object]) -> Site:
    """What `outgate init` makes, with users alice and bob; `settings` are tables of the configuration."""
    data.mkdir(parents=True)
    authority = Authority(data)
    (data / "tls").mkdir()
    chain, key = authority.issue(LOCALHOST)
    chain.rename(data / "tls" / "cert.pem")
    key.rename(data / "tls" / "key.pem")
    starttls, tls = free_port(), free_port()
    given = {**settings, "egress": {**_LOOPBACK, **settings.get("egress", {})}}
    tables = {
        name: _toml(given.get(name, {}))
        for name in (
            "top",
            "submission",
            "relay",
            "log_in",
            "delivery",
            "local",
            "oidc",
            "ldap",
            "egress",
            "web",
            "webhooks",
            "record",
        )
    }
    (data / "outgate.toml").write_text(_TOML.format(starttls=starttls, tls=tls, **tables))
    keyfile.create(data / KEY_FILE)
    site = Site(data, starttls, tls, authority)
    if not database_url:
        shutil.copy(_migrated(), data / "outgate.db")
    place = site.place()
    now = clock.now()
    with write(place.engine) as conn:
        organisation.create(conn, "example.com", now)
        audit_trail.begin(conn, place.vault)
        if dkim_key:
            domain_keys.sign_with(conn, place.vault, "example.com", _signing_key(), now)
        for name in ("alice", "bob"):
            users.create(conn, f"{name}@example.com", _credentials(), now, name=name.title())
    place.engine.dispose()
    return site


# What is the same for all installations is made once by a test process: it is most of the time that they take.


@cache
def _migrated() -> Path:
    """A database without anything in it."""
    folder = tempfile.mkdtemp(prefix="outgate-migrated-")
    atexit.register(shutil.rmtree, folder)
    engine = open_engine(f"sqlite:///{folder}/outgate.db")
    make_file(engine)
    migrate(engine)
    engine.dispose()
    return Path(folder) / "outgate.db"


@cache
def _signing_key() -> NewDkimKey:
    return domain_operations.new_key("s1")


@cache
def _credentials() -> Credentials:
    return Credentials.derive(PASSWORD, 4096)


def _toml(settings: Mapping[str, object]) -> str:
    return "\n".join(f"{key} = {_value(value)}" for key, value in settings.items())


def _value(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f'"{key}" = {_value(one)}' for key, one in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(one) for one in value) + "]"
    return f'"{value}"'


async def running(site: Site) -> wiring.ServerProcess:
    """The server in this process, ready; the caller stops it."""
    server = wiring.ServerProcess(site.place())
    await server.start()
    return server


async def serve(site: Site, before: Sequence[str] = ()) -> asyncio.subprocess.Process:
    """The server in a process of its own, begun by the command `before`; its log is serve.log beside the data."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [*before, sys.executable, "-m", "outgate", "--data", str(site.data), "serve"]
    with site.data.with_suffix(".log").open("ab") as log:
        return await asyncio.create_subprocess_exec(*command, stderr=log, env=environment)


def listens(site: Site) -> bool:
    """Whether the TLS port answers."""
    try:
        with socket.create_connection(("127.0.0.1", site.tls), timeout=5):
            return True
    except OSError:
        return False


async def eventually(fulfilled: object, what: str, seconds: float = 60.0, *, in_thread: bool = False) -> None:
    """Wait until the callable, which may be asked in a thread, is true; fails with `what` after `seconds`."""
    assert callable(fulfilled)
    async with asyncio.timeout(seconds):
        while not (await asyncio.to_thread(fulfilled) if in_thread else fulfilled()):
            await asyncio.sleep(0.01)
