"""How fast the API is, and what it takes from the mail that flows meanwhile: one process of the server on one core.

    python -m bench --api [--seconds N] [--json FILE]

The server has a core for itself; clients and the partner's servers have the others. Mail flows at a rate that leaves
room, as on a server that is not overrun.
"""

import base64
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from sqlalchemy import select

from bench import population
from bench.http_client import HttpPlan
from bench.outgate import Outgate
from bench.pages import percentile
from bench.product import Work
from bench.scratch import Scratch, free_port, scratch
from bench.sink_process import SinkProcess
from outgate import clock
from outgate.directory import access_tokens
from outgate.installation import open_installation
from outgate.store.engine import write
from outgate.store.tables import account

Progress = Callable[[str], object]

SECONDS: Final = 20.0  # of the mail, alone and beside requests
CONNECTIONS: Final = 50
GOAL: Final = 1000.0  # requests a second of sendAs.list
LEFT: Final = 0.9  # of the mail's rate, while so many are answered
MAIL: Final = 200.0  # messages a second that are offered
_CLIENT: Final = "bench"
_SCOPES: Final = frozenset(
    f"https://www.googleapis.com/auth/gmail.{one}" for one in ("settings.basic", "settings.sharing", "send")
)
_SEND_AS: Final = "/gmail/v1/users/me/settings/sendAs"


@dataclass(frozen=True, slots=True)
class ApiFigures:
    """Of one method: requests a second, and milliseconds that an answer took. `faults` are other answers than 200."""

    method: str
    offered: float  # requests a second; 0.0: as many as are answered
    rate: float
    p50: float
    p99: float
    cpu_ms: float  # of the server for each, mail that flows included
    faults: str


@dataclass(frozen=True, slots=True)
class ApiMeasured:
    """All methods, and messages a second that arrived without requests and beside GOAL of them."""

    methods: list[ApiFigures]
    mail_alone: float
    mail_beside: float

    @property
    def is_reached(self) -> bool:
        """The goal of the list."""
        listed = self.methods[0]
        return listed.rate >= 0.99 * GOAL and self.mail_beside >= LEFT * self.mail_alone and not listed.faults


class _Mail:
    """Flows from its start to its end; `rate` is what arrived a second."""

    def __init__(self, place: Scratch, sink: SinkProcess, port: int, first: int, seconds: float) -> None:
        self._sink, self._first, self._count = sink, first, int(MAIL * seconds)
        self._generator = place.start([sys.executable, "-m", "bench.generator"])
        sessions = [
            {"username": one.primary, "password": one.password, "addresses": [sender.address for sender in one.senders]}
            for one in population.accounts()
        ]
        plan = {"host": "localhost", "port": port, "security": "ssl", "ca": str(place.ca), "sessions": sessions}
        plan |= {"first": first, "count": self._count, "seconds": seconds + 60, "rate": MAIL}
        _say(self._generator, plan)

    def start(self) -> None:
        """All are logged in."""
        self._sink.expect(self._first, self._count)
        _say(self._generator, "go")

    def rate(self) -> float:
        """Raises SystemExit if something went wrong with it."""
        result = _answer(self._generator)
        if result["fault"]:
            raise SystemExit(result["fault"])
        self._sink.wait()
        report = self._sink.report()
        return float(report["arrived"] / max(report["last_arrival"] - result["started"], 1e-9))


def _say(process: "subprocess.Popen[str]", what: object) -> None:
    """A line; to a plan it answers that it is ready."""
    assert process.stdin
    assert process.stdout
    process.stdin.write((what if isinstance(what, str) else json.dumps(what)) + "\n")
    process.stdin.flush()
    if not isinstance(what, str) and (line := process.stdout.readline().strip()) != "ready":
        raise SystemExit(f"a client failed: {line}")


def _answer(process: "subprocess.Popen[str]") -> Any:
    assert process.stdout
    return json.loads(process.stdout.readline())


def _tokens(data: Path) -> list[str]:
    installation = open_installation(data)
    with write(installation.engine) as connection:
        ids = connection.scalars(select(account.c.id).order_by(account.c.id)).all()
        found = [access_tokens.issue(connection, one, _CLIENT, _SCOPES, clock.now()) for one in ids]
    installation.engine.dispose()
    return found


def _requests(tokens: list[str]) -> dict[str, list[list[str]]]:
    """By method, each user's: verb, path, token and body."""
    people = list(zip(tokens, population.accounts(), strict=True))
    new = json.dumps({"sendAsEmail": "new%d@example.com"})
    return {
        "sendAs.list": [["GET", _SEND_AS, token, ""] for token, _ in people],
        "sendAs.get": [["GET", f"{_SEND_AS}/{one.senders[0].address}", token, ""] for token, one in people],
        "sendAs.create": [["POST", _SEND_AS, token, new] for token, _ in people],
        "messages.send": [["POST", "/gmail/v1/users/me/messages/send", token, _message(one)] for token, one in people],
    }


def _message(one: population.Account) -> str:
    text = f"From: <{one.senders[0].address}>\r\nTo: <reader@recipient.example>\r\nSubject: Report\r\n\r\nHello\r\n"
    return json.dumps({"raw": base64.urlsafe_b64encode(text.encode()).decode()})


def measure(seconds: float, progress: Progress) -> ApiMeasured:
    """The mail alone, the list beside it, then each method by itself."""
    with scratch() as place:
        sink, web = SinkProcess(place, tls=True), free_port()
        product = Outgate(place, Work("gateway", sink.port), 0, processes=1, web_port=web)
        product.start()
        product.keep_to_one_core()
        requests = _requests(_tokens(product.data))
        progress("the mail alone")
        mail = [_Mail(place, sink, product.port, 0, seconds), _Mail(place, sink, product.port, 1_000_000, seconds)]
        mail[0].start()
        alone = mail[0].rate()
        progress(f"{GOAL:.0f} lists a second beside it")
        client = _client(place, web, requests["sendAs.list"], GOAL, seconds)
        mail[1].start()
        found = [_asked("sendAs.list", client, product, GOAL)]
        beside = mail[1].rate()
        for method, asked in requests.items():
            progress(f"{method}, as often as it is answered")
            found.append(_asked(method, _client(place, web, asked, 0.0, seconds / 3), product, 0.0))
        product.stop()
        return ApiMeasured(found, alone, beside)


def _client(
    place: Scratch, port: int, requests: list[list[str]], rate: float, seconds: float
) -> "subprocess.Popen[str]":
    process = place.start([sys.executable, "-m", "bench.http_client"])
    plan = HttpPlan(port, CONNECTIONS, requests, rate, seconds)
    _say(process, asdict(plan))
    return process


def _asked(method: str, client: "subprocess.Popen[str]", product: Outgate, offered: float) -> ApiFigures:
    before = product.cpu_seconds()
    _say(client, "go")
    result = _answer(client)
    cpu, times = product.cpu_seconds() - before, [one * 1000 for one in result["seconds"]]
    faults = {status: number for status, number in result["statuses"].items() if status != "200"}
    return ApiFigures(
        method,
        offered,
        len(times) / result["took"],
        percentile(times, 0.5),
        percentile(times, 0.99),
        cpu * 1000 / len(times),
        ", ".join(f"{number} x {status}" for status, number in faults.items()),
    )


def show(measured: ApiMeasured) -> None:
    """For people."""
    table = Table(title=f"the API over {CONNECTIONS} connections, answered by one process on one core")
    for name in ("method", "offered/s", "answered/s", "p50 ms", "p99 ms", "CPU ms", "faults"):
        table.add_column(name, justify="left" if name in ("method", "faults") else "right")
    for one in measured.methods:
        figures = (f"{one.rate:.0f}", f"{one.p50:.1f}", f"{one.p99:.1f}", f"{one.cpu_ms:.2f}")
        table.add_row(one.method, f"{one.offered:.0f}" if one.offered else "all", *figures, one.faults)
    console = Console(width=120)
    console.print(table)
    console.print(
        f"mail, of {MAIL:.0f} messages a second offered: {measured.mail_alone:.1f} arrived a second without requests,"
        f" {measured.mail_beside:.1f} beside {GOAL:.0f} lists a second (goal: {LEFT} of that)"
    )


def run(seconds: float, file: Path | None) -> int:
    """0 if the goal was reached."""
    console = Console(stderr=True)
    with console.status("starting") as status:
        measured = measure(seconds, status.update)
    show(measured)
    if file:
        file.write_text(json.dumps(asdict(measured), indent=2) + "\n")
    return 0 if measured.is_reached else 1
