"""Outgate under test: an installation with SQLite (each commit synced before the 250), `outgate serve` as a process."""

import os
import shutil
import sys
from pathlib import Path

import psutil

from bench import population
from bench.product import Work, cpu_of
from bench.scratch import Scratch, free_port, listens, until
from outgate import clock
from outgate.directory import organisation, policies, users
from outgate.directory.gateway_settings import GatewaySettings
from outgate.directory.settings import ALLOW_EXTERNAL_SMTP
from outgate.directory.users import Credentials
from outgate.installation import KEY_FILE, open_installation
from outgate.model import Security
from outgate.record import audit_trail
from outgate.sendas import gateways, send_as_addresses, verification
from outgate.store import keyfile
from outgate.store.engine import make_file, migrate, open_engine, write

_CONFIGURATION = """\
hostname = "mail.example.com"
processes = {processes}
[submission]
address = "127.0.0.1"
starttls_port = {starttls}
tls_port = {tls}
certificate = "{certificate}"
private_key = "{key}"
[delivery]
ca_file = "{ca}"
[egress]
allowed_networks = {{loopback = "127.0.0.0/8"}}
ports = []
"""
_WEB = """\
[web]
public_url = "http://127.0.0.1:{port}"
port = {port}
max_connections_per_peer = 100
[api]
user_rate = "1000000/1minute"
client_rate = "1000000/1minute"
"""


class Outgate:
    """One installation for one work."""

    name = "outgate"

    def __init__(
        self, scratch: Scratch, work: Work, number: int, *, processes: int | None = None, web_port: int | None = None
    ) -> None:
        self._scratch = scratch
        self._processes = processes or os.cpu_count()  # Postfix uses all cores, too
        self._web_port = web_port  # None: nothing but mail
        self.data = scratch.folder / f"outgate-{number}"
        self.port = free_port()
        self._process = 0
        self._install(work)

    def start(self) -> None:
        """Serve."""
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        command = [sys.executable, "-m", "outgate", "--data", str(self.data), "serve"]
        with (self.data / "serve.log").open("w") as log:
            self._running = self._scratch.start(command, stderr=log, env=environment)
        until(lambda: listens(self.port), "outgate's start")

    def keep_to_one_core(self) -> None:
        """The last one; the others are left to everybody else."""
        cores = sorted(os.sched_getaffinity(0))
        process = psutil.Process(self._running.pid)
        for one in [process, *process.children(recursive=True)]:
            one.cpu_affinity(cores[-1:])

    def stop(self) -> None:
        """End it and forget its data."""
        self._running.terminate()
        self._running.wait(20)
        shutil.rmtree(self.data)

    def cpu_seconds(self) -> float:
        """Of its one process."""
        return cpu_of(self._running.pid)

    def _install(self, work: Work) -> None:
        self.data.mkdir()
        text = _CONFIGURATION.format(
            processes=self._processes,
            starttls=free_port(),
            tls=self.port,
            certificate=self._scratch.certificate,
            key=self._scratch.key,
            ca=self._scratch.ca,
        )
        if self._web_port:
            text += _WEB.format(port=self._web_port)
        (self.data / "outgate.toml").write_text(text)
        keyfile.create(self.data / KEY_FILE)
        engine = open_engine(f"sqlite:///{self.data / 'outgate.db'}")
        make_file(engine)
        migrate(engine)
        engine.dispose()
        _fill(self.data, work)


def _fill(data: Path, work: Work) -> None:
    installation = open_installation(data)
    now = clock.now()
    codes = []
    derived = [(account, Credentials.derive(account.password, 4096)) for account in population.accounts()]
    with write(installation.engine) as conn:
        organisation.create(conn, population.ORGANISATION, now)
        audit_trail.begin(conn, installation.vault)
        policies.set_value(conn, "/", ALLOW_EXTERNAL_SMTP, True, now)
        if work.name == "relay":
            organisation.set_domain_gateway(
                conn, installation.vault, GatewaySettings("127.0.0.1", work.sink_port, Security.NONE)
            )
        for account, credentials in derived:
            user = users.create(conn, account.primary, credentials, now)
            if work.name != "gateway":
                continue
            for sender in account.senders:
                send_as_addresses.add(conn, user.id, sender.address, now)
                server = GatewaySettings(
                    "localhost", work.sink_port, Security.STARTTLS, sender.address, sender.password
                )
                gateways.set_gateway(conn, installation.vault, user.id, sender.address, server, now)
                code = verification.start(conn, installation.vault, user.id, sender.address, now).code
                codes.append((user.id, sender.address, code))
    for account_id, address, code in codes:
        verification.confirm(installation.engine, installation.vault, account_id, address, code, now)
    installation.engine.dispose()
