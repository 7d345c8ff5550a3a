"""How fast the pages are in a large organisation, while servers that never answer are being tried.

    python -m bench --pages [--seconds N] [--database postgresql://…] [--json FILE]

What was filled is used for a day, so that only the first run waits for it. It stays in /var/tmp until a later run fills
it anew, or somebody removes it.
"""

import contextlib
import json
import os
import random
import socket
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import count, cycle
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import httpx2
from rich.console import Console
from rich.table import Table

from bench import kept, large_organisation
from bench.large_organisation import ADMINISTRATOR, DIVISION, PASSWORD, UNIT_ADMINISTRATOR, Size, message_id, sent
from bench.scratch import Scratch, free_port, listens, scratch, until
from outgate import clock, config
from outgate.installation import KEY_FILE, open_installation
from outgate.queue.queue_id import to_text
from outgate.store import keyfile
from outgate.store.engine import is_made, make_file, migrate, open_engine

Progress = Callable[[str], object]

GOAL: Final = 0.1  # seconds for 95 of 100 pages
SECONDS: Final = 60.0  # of asking
_TRIALS: Final = 4  # servers that are being tried at any time

_CONFIGURATION = """\
hostname = "mail.example.com"
database_url = "{database_url}"
[submission]
address = "127.0.0.1"
starttls_port = {starttls}
tls_port = {tls}
certificate = "{certificate}"
private_key = "{key}"
[delivery]
ca_file = "{ca}"
retry_longest = 604800
retry_factor = 10
[egress]
allowed_networks = {{loopback = "127.0.0.0/8"}}
ports = []
probes_per_user = "100000/1hour"
probes_per_host = "100000/1hour"
[web]
public_url = "http://127.0.0.1:{port}"
port = {port}
"""


@dataclass(frozen=True, slots=True)
class PageAsked:
    """A page and what is asked of it: `paths` go round. `who` are those who ask, in turn."""

    name: str
    route: str  # as page_routes declares it
    paths: Sequence[str]
    who: Sequence[str]


@dataclass(slots=True)
class PageTimes:
    """Seconds that each answer took, and what was not an answer."""

    asked: PageAsked
    seconds: list[float] = field(default_factory=list)
    fault: str = ""
    size: int = 0


# Pages of the DNS and of others' servers wait for these, and are parts of pages that are there at once. The rest is no
# page: a file, a part of one that was measured, or where a form leads.
LEFT_OUT: Final = {
    "/admin/check": "asks the DNS; comes into the home page when it is found",
    "/admin/apps/mail/authenticate-email/check": "asks the DNS; comes into its page when it is found",
    "/settings/accounts/add/found": "asks the DNS; comes into the wizard when it is found",
    "/settings/accounts/{address:path}/advice": "asks the DNS",
    "/authorize": "where a program leads its user, once",
    "/admin/apps/mail/granted-addresses/gateway": "of a grant, as the next step of a form",
    "/settings/accounts/signed-in": "where a provider sends browsers back to",
    "/settings/security/second-factor": "makes a secret, as the second step of a form",
    "/settings/security/second-factor/remove": "asks whether it is meant",
    "/inbox/{key}/files/{number:int}": "a file",
    "/sent/{identity}/files/{number:int}": "a file",
    "/sent/{identity}/text": "a part of a page, whose copy is in the Sent mailbox",
    "/confirm/{token}": "of nobody who is logged in",
    "/log-in/link/{token}": "the same",
    "/settings/mail-program/apple.mobileconfig": "a file",
    "/admin/reporting/webhooks": "has fifty rows at most, however large the organisation is",
    "/admin/reporting/webhooks/{name}": "the same",
    "/csp-reports": "takes reports",
    "/static/{digest}/{name}": "a file",
}


def pages_asked(size: Size, now: float) -> list[PageAsked]:
    """All of them, each with what is asked of it in such an organisation."""
    return [*_own_pages(size, now), *_console_pages(size, now)]


def _own_pages(size: Size, now: float) -> Iterator[PageAsked]:
    busy = size.busy
    for route in (
        *("/", "/log-in", "/drafts", "/inbox", "/sent", "/prove", "/settings/security", "/settings/security/password"),
        *("/settings/security/passkeys/add", "/settings/accounts", "/settings/accounts/add", "/settings/mail-program"),
    ):
        yield PageAsked(route, route, [route], busy)
    yield PageAsked("/settings/accounts, 98 addresses", "/settings/accounts", ["/settings/accounts"], [size.desk])
    yield PageAsked("/inbox?find", "/inbox", ["/inbox?find=Letter+300"], busy)
    # Each of these is one user's own.
    me, identity = busy[0], to_text(message_id(size, sent(size, 0, 7), now))
    yield PageAsked("/sent, further on", "/sent", [f"/sent?before={identity}"], [me])
    yield PageAsked("/sent/ID", "/sent/{identity}", [f"/sent/{identity}"], [me])
    letter = f"/inbox/{int(now - 9 * 3600)}.9.bench"
    yield PageAsked("/inbox/KEY", "/inbox/{key}", [letter], [me])
    yield PageAsked("/inbox/KEY/text", "/inbox/{key}/text", [f"{letter}/text"], [me])
    yield PageAsked(
        "/inbox/KEY/text, pictures", "/inbox/{key}/text/with-pictures", [f"{letter}/text/with-pictures"], [me]
    )
    for last, number in (("edit", 1), ("signature", 1), ("delete", 1), ("server", 1), ("confirm", 99)):
        address = f"/settings/accounts/{quote(size.outside(number))}"
        route = f"/settings/accounts/{{address:path}}/{last}"
        yield PageAsked(f"/settings/accounts/ADDRESS/{last}", route, [f"{address}/{last}"], [size.user(number)])
    wizard = "/settings/accounts/add/server?address=somebody%40elsewhere.example"
    yield PageAsked("/settings/accounts/add/server", "/settings/accounts/add/server", [wizard], busy)


def _console_pages(size: Size, now: float) -> Iterator[PageAsked]:
    chance = random.Random(3)
    somebody = [size.user(chance.randrange(size.users)) for _ in range(50)]
    division, team = quote(DIVISION), quote(f"{DIVISION}/Department 4/Team 5")
    admin, both = [ADMINISTRATOR], [ADMINISTRATOR, UNIT_ADMINISTRATOR]

    def page(name: str, route: str, *queries: str, who: Sequence[str] = admin) -> PageAsked:
        return PageAsked(name, route, [f"{route}?{one}" if one else route for one in queries], who)

    yield page("/admin", "/admin", "")
    yield page("/admin/search", "/admin/search", "find=gmail", who=both)
    yield from _directory_pages(page, somebody, division, team, both)
    mail = "/admin/apps/mail"
    yield page("…/end-user-access", f"{mail}/end-user-access", "", f"unit={division}", f"unit={team}")
    yield page("…/compliance", f"{mail}/compliance", "", f"unit={division}", f"unit={team}")
    yield page("…/compliance, a setting", f"{mail}/compliance", f"unit={division}&setting=messagesPerDay")
    yield page("…/routing", f"{mail}/routing", "")
    yield page("…/granted-addresses", f"{mail}/granted-addresses", "")
    yield page("…/proven-domains", "/admin/account/proven-domains", "")
    yield page("…/authenticate-email", f"{mail}/authenticate-email", "", "domain=own1.example")
    reports = "/admin/reporting"
    yield page("…/dashboard", f"{reports}/dashboard", "", "span=week", "span=month")
    yield page("…/admin-log-events", f"{reports}/admin-log-events", "", "operation=user.edit", "older_than=9000")
    yield page("…/admin-log-events, about", f"{reports}/admin-log-events", *(f"about={quote(one)}" for one in somebody))
    yield from _gateway_pages(page, f"{reports}/gateways", somebody, division, team)
    yield from _mail_pages(page, size, now, chance, somebody)


Made = Callable[..., PageAsked]


def _directory_pages(
    page: Made, somebody: Sequence[str], division: str, team: str, both: Sequence[str]
) -> Iterator[PageAsked]:
    place = "/admin/directory/users"
    yield page("…/users", place, "", who=both)
    yield page("…/users, further on", place, *(f"after={quote(one)}" for one in somebody))
    yield page("…/users of a unit", place, f"unit={division}", f"unit={team}")
    yield page("…/users, an address", place, *(f"user={quote(one)}" for one in somebody))
    yield page("…/users, a name", place, "user=giulia", "user=rossi", "user=Elena+Greco")
    yield page("…/users, nobody", place, "user=zoe", "user=zoe&state=suspended", f"user=zoe&unit={division}")
    yield page("…/users, suspended", place, "state=suspended", f"state=suspended&unit={team}")
    yield page("…/users/add", f"{place}/add", "", who=both)
    one = f"{place}/{{address:path}}"
    yield PageAsked("…/users/ADDRESS", one, [f"{place}/{quote(address)}" for address in somebody], [ADMINISTRATOR])
    yield page("…/units", "/admin/directory/units", "", f"unit={team}", who=[ADMINISTRATOR])
    yield page("…/roles", "/admin/directory/roles", "", who=[ADMINISTRATOR])


def _gateway_pages(page: Made, place: str, somebody: Sequence[str], division: str, team: str) -> Iterator[PageAsked]:
    yield page("…/gateways", place, "")
    for kind in ("gateway", "without", "pending", "all", "trouble"):
        yield page(f"…/gateways, {kind}", place, f"kind={kind}")
    yield page("…/gateways of a unit", place, f"unit={division}", f"unit={team}")
    yield page("…/gateways of a unit, pending", place, f"kind=pending&unit={team}", f"kind=without&unit={team}")
    yield page("…/gateways, an address", place, *(f"address={quote(one)}" for one in somebody))
    yield page("…/gateways, nobody's", place, "address=zoe", "address=zoe&kind=pending")


def _mail_pages(
    page: Made, size: Size, now: float, chance: random.Random, somebody: Sequence[str]
) -> Iterator[PageAsked]:
    place = "/admin/reporting/email-log-search"
    ids = [to_text(message_id(size, chance.randrange(size.messages), now)) for _ in range(50)]
    yield page("…/email-log-search", place, "")
    yield page("…/email-log-search, further on", place, *(f"older_than={one}" for one in ids))
    yield page("…/email-log-search, sender", place, *(f"sender={quote(one)}" for one in somebody))
    yield page("…/email-log-search, recipient", place, *(f"recipient=reader{n}%40popular.example" for n in range(50)))
    yield page("…/email-log-search, a domain", place, *(f"recipient=recipient{n}.example" for n in range(50)))
    yield page("…/email-log-search, a popular domain", place, "recipient=popular.example", "sender=example.com")
    yield page("…/email-log-search, both", place, "sender=example.com&recipient=popular.example")
    for outcome in ("waiting", "delivered", "bounced", "refused"):
        yield page(f"…/email-log-search, {outcome}", place, f"outcome={outcome}")
    yield page("…/email-log-search, nobody", place, "sender=zoe%40example.com", "message_id=nothing%40example.com")
    yield PageAsked(
        "…/email-log-search/ID", f"{place}/{{identity}}", [f"{place}/{one}" for one in ids], [ADMINISTRATOR]
    )
    told = "/admin/reporting/tls-reports"
    yield page("…/tls-reports", told, "")
    one_told = [f"{told}/recipient{n}.example" for n in range(50)]
    yield PageAsked("…/tls-reports/DOMAIN", f"{told}/{{domain}}", one_told, [ADMINISTRATOR])
    queue = "/admin/reporting/queue"
    yield page("…/queue", queue, "")
    yield page("…/queue, one", queue, "queue=mx%3Arecipient7.example", "queue=gateway%3A6")
    yield page("…/queue, an address", queue, "address=popular.example", "address=zoe", "address=giulia")
    yield page("…/reply-rules", "/admin/reporting/reply-rules", "", "reply=450+4.7.1+later&host=smtp.gmail.com")
    yield page("…/retry-schedules", "/admin/reporting/retry-schedules", "")


# --- the installation ------------------------------------------------------------------------------------------------


def _installed(place: Scratch, size: Size, database: str, port: int, progress: Progress) -> tuple[Path, float]:
    """The data directory, and when it was filled."""
    folder = kept.folder_of(f"outgate-bench-pages-{size.users}-{size.messages}", database)
    at = kept.filled_at(folder)
    if at is None:
        kept.clear(folder)
        keyfile.create(folder / KEY_FILE)
    (folder / "outgate.toml").write_text(
        _CONFIGURATION.format(
            database_url=database,
            starttls=free_port(),
            tls=free_port(),
            port=port,
            certificate=place.certificate,
            key=place.key,
            ca=place.ca,
        )
    )
    if at is None:
        progress("filling it; this takes some minutes, once")
        at = _filled(folder, size)
    return folder, at


def _filled(folder: Path, size: Size) -> float:
    engine = open_engine(config.load(folder).database)
    make_file(engine)
    if is_made(engine):
        raise SystemExit("there is an installation in this database already; name an empty one")
    migrate(engine)
    engine.dispose()
    installation, at = open_installation(folder), clock.now()
    large_organisation.fill(installation.engine, installation.vault, folder / "mail", size, at)
    installation.engine.dispose()
    kept.stamp(folder, at)
    return at


@contextlib.contextmanager
def _serving(place: Scratch, folder: Path, port: int) -> Iterator[None]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with (folder / "serve.log").open("w") as log:
        server = place.start(
            [sys.executable, "-m", "outgate", "--data", str(folder), "serve"], stderr=log, env=environment
        )
    until(lambda: server.poll() is not None or listens(port), "outgate's start")
    if server.poll() is not None:
        raise RuntimeError((folder / "serve.log").read_text())
    yield
    server.terminate()
    server.wait(30)


# --- who asks --------------------------------------------------------------------------------------------------------

_network = count(1)


def _browser(port: int) -> httpx2.Client:
    """Each is of another network, as a proxy says it: limits of how often one may ask are not what is measured."""
    number = next(_network)
    headers = {"Sec-Fetch-Site": "same-origin", "X-Forwarded-For": f"10.{number // 250}.{number % 250}.1"}
    return httpx2.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, headers=headers, timeout=60)


def _logged_in(port: int, user: str) -> httpx2.Client:
    browser = _browser(port)
    answer = browser.post("/log-in", data={"username": user, "password": PASSWORD})
    if answer.status_code != 303:
        raise RuntimeError(f"{user} is not logged in: {answer.status_code}")
    return browser


class SilentServer:
    """Takes connections, and never says a word. Counts them."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listening.getsockname()[1]
        self.taken: list[socket.socket] = []
        threading.Thread(target=self._take, daemon=True).start()

    def _take(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self.taken.append(self._listening.accept()[0])

    def close(self) -> None:
        """Let everybody go."""
        self._listening.close()
        for one in self.taken:
            one.close()


@contextlib.contextmanager
def _trying(port: int, size: Size) -> Iterator[SilentServer]:
    """While some users have a silent server tried again and again, looking on."""
    silent, over = SilentServer(), threading.Event()

    def try_it(number: int) -> None:
        with contextlib.closing(_logged_in(port, size.user(number))) as browser:
            path = f"/settings/accounts/{quote(size.outside(number))}/server"
            form = {
                "host": "localhost",
                "port": str(silent.port),
                "security": "starttls",
                "server_username": "somebody",
            }
            while not over.is_set():
                with (
                    contextlib.suppress(httpx2.TransportError),
                    browser.stream(
                        "POST", path, data={**form, "server_password": "secret"}, headers={"HX-Request": "true"}
                    ) as answer,
                ):
                    for _ in answer.iter_lines():
                        if over.is_set():
                            break

    threads = [threading.Thread(target=try_it, args=(size.users - 1 - n * 4 - 1,)) for n in range(_TRIALS)]
    for one in threads:
        one.start()
    try:
        until(lambda: len(silent.taken) >= _TRIALS, "the first trials")
        yield silent
    finally:
        over.set()
        silent.close()
        for one in threads:
            one.join(20)


def _ask(port: int, asked: Sequence[PageAsked], seconds: float, *, progress: Progress) -> list[PageTimes]:
    """Every page once, then again in another order, until the time is over. The first round warms up, and is not
    counted.
    """
    browsers = {user: _logged_in(port, user) for user in {user for one in asked for user in one.who}}
    turns = {one.name: (cycle(one.who), cycle(one.paths)) for one in asked}
    found = {one.name: PageTimes(one) for one in asked}
    chance, ends = random.Random(4), 0.0
    for round_number in count():
        progress(f"asking, round {round_number}")
        for one in chance.sample(list(asked), len(asked)):
            who, paths = turns[one.name]
            began = time.perf_counter()
            answer = browsers[next(who)].get(path := next(paths))
            took, times = time.perf_counter() - began, found[one.name]
            if round_number:
                times.seconds.append(took)
            times.size = max(times.size, len(answer.content))
            if answer.status_code != 200:
                times.fault = f"{answer.status_code} {path}"
        if not ends:
            ends = time.monotonic() + seconds
        elif time.monotonic() > ends:
            break
    for browser in browsers.values():
        browser.close()
    return list(found.values())


# --- what came of it -------------------------------------------------------------------------------------------------


def percentile(values: Sequence[float], share: float) -> float:
    """The value that this share of all does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def show(found: Sequence[PageTimes], size: Size) -> None:
    """For people, the slowest first."""
    table = Table(
        title=f"pages, in milliseconds: {size.users:,} users, {size.addresses:,} addresses, {size.messages:,} messages"
    )
    for name in ("page", "asked", "median", "p95", "max", "KB", ""):
        table.add_column(name, justify="left" if name in ("page", "") else "right")
    for one in sorted(found, key=lambda one: -percentile(one.seconds, 0.95)):
        missed = "over 100 ms" if percentile(one.seconds, 0.95) > GOAL else ""
        table.add_row(one.asked.name, *_figures(one.seconds), f"{one.size / 1000:.0f}", one.fault or missed)
    table.add_section()
    table.add_row("all", *_figures([took for one in found for took in one.seconds]), "", "")
    Console(width=120).print(table)


def _figures(seconds: Sequence[float]) -> tuple[str, ...]:
    values = (statistics.median(seconds), percentile(seconds, 0.95), max(seconds))
    return (str(len(seconds)), *(f"{one * 1000:.0f}" for one in values))


def measure(size: Size, seconds: float, database: str, progress: Progress) -> tuple[list[PageTimes], int]:
    """The times of all pages, and how many trials of servers were under way meanwhile."""
    port = free_port()
    with scratch() as place:
        folder, at = _installed(place, size, database, port, progress)
        with _serving(place, folder, port), _trying(port, size) as silent:
            found = _ask(port, pages_asked(size, at), seconds, progress=progress)
            return found, len(silent.taken)


def run(seconds: float, database: str, file: Path | None) -> int:
    """0 if 95 of 100 answers came within the goal, and all were answers."""
    console = Console(stderr=True)
    size = Size()
    with console.status("starting") as status:
        found, trials = measure(size, seconds, database, status.update)
    show(found, size)
    console.print(f"servers that did not answer were tried {trials} times meanwhile, {_TRIALS} at any time")
    if file:
        told: list[dict[str, Any]] = [{"page": one.asked.name, "seconds": one.seconds} for one in found]
        file.write_text(json.dumps({"size": asdict(size), "pages": told}, indent=1) + "\n")
    every = [took for one in found for took in one.seconds]
    return int(percentile(every, 0.95) > GOAL or any(one.fault for one in found))
