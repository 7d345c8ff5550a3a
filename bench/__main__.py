"""Measures Outgate beside Postfix: the same generator, the same sink, in turn, in one run.

    python -m bench [--quick] [--work gateway|relay] [--product outgate|postfix] [--rounds N] [--json FILE]
    python -m bench --api [--seconds N] [--json FILE]
    python -m bench --pages [--seconds N] [--database URL] [--json FILE]

bench/README.md says what is measured and how to read it. Takes root, for Postfix. Stops by itself.
"""

import argparse
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench import api, pages, population
from bench.outgate import Outgate
from bench.postfix import Postfix
from bench.product import Product, Work
from bench.scratch import Scratch, scratch
from bench.sink_process import SinkProcess

WORKS = ("gateway", "relay")
GOAL = 4.0  # times Postfix on the gateway work
SECONDS = 120.0  # that one measurement may take

console = Console(stderr=True)


@dataclass(frozen=True, slots=True)
class Measurement:
    """One product doing one work once. Rates in messages a second, latencies of the 250 in milliseconds."""

    work: str
    product: str
    round: int
    messages: int
    end_to_end: float
    acknowledged: float
    latency_p50: float
    latency_p99: float
    cpu_ms_per_message: float
    fault: str


def measure(
    installation: Scratch, sink: SinkProcess, work: Work, product: Product, number: int, messages: int
) -> Measurement:
    """Start it, warm it up, let it work, stop it."""
    product.start()
    try:
        _drive(installation, sink, work, product, first=0, messages=min(500, messages))
        before = product.cpu_seconds()
        result, report = _drive(installation, sink, work, product, first=100_000, messages=messages)
        cpu = product.cpu_seconds() - before
    finally:
        product.stop()
    started, latencies = result["started"], sorted(result["latencies"]) or [0.0]
    return Measurement(
        work.name,
        product.name,
        number,
        messages,
        end_to_end=report["arrived"] / max(report["last_arrival"] - started, 1e-9),
        acknowledged=result["accepted"] / max(result["ended"] - started, 1e-9),
        latency_p50=latencies[len(latencies) // 2] * 1000,
        latency_p99=latencies[int(len(latencies) * 0.99)] * 1000,
        cpu_ms_per_message=cpu / messages * 1000,
        fault=result["fault"] or _faults(report),
    )


def _faults(report: dict[str, Any]) -> str:
    """A fast wrong answer must fail."""
    wrong = ("missing", "duplicates", "strangers", "wrong_credentials", "altered")
    return ", ".join(f"{report[name]} {name}" for name in wrong if report.get(name))


def _drive(
    installation: Scratch, sink: SinkProcess, work: Work, product: Product, *, first: int, messages: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    sink.expect(first, messages)
    generator = installation.start([sys.executable, "-m", "bench.generator"])
    plan = _plan(installation, work, product, first, messages)
    if generator.stdin is None or generator.stdout is None:
        raise AssertionError("the generator has pipes")
    generator.stdin.write(json.dumps(plan) + "\n")
    generator.stdin.flush()
    line = generator.stdout.readline()
    if line.strip() != "ready":
        raise RuntimeError(f"{product.name}: {json.loads(line)['fault'] if line else 'the generator failed'}")
    generator.stdin.write("go\n")
    generator.stdin.flush()
    result = json.loads(generator.stdout.readline())
    if not result["fault"]:
        sink.wait()
    return result, sink.report()


def _plan(installation: Scratch, work: Work, product: Product, first: int, messages: int) -> dict[str, object]:
    alone = isinstance(product, SinkAlone)
    return {
        "host": "localhost",
        "port": product.port,
        "security": "starttls" if alone else "ssl",
        "ca": str(installation.ca),
        "sessions": [_at_the_sink(one) if alone else _submitting(one, work) for one in population.accounts()],
        "first": first,
        "count": messages,
        "seconds": SECONDS,
    }


def _submitting(account: population.Account, work: Work) -> dict[str, object]:
    addresses = [sender.address for sender in account.senders] if work.name == "gateway" else [account.primary]
    return {"username": account.primary, "password": account.password, "addresses": addresses}


def _at_the_sink(account: population.Account) -> dict[str, object]:
    """As a gateway's user: one of the account's senders."""
    sender = account.senders[0]
    return {"username": sender.address, "password": sender.password, "addresses": [sender.address]}


class SinkAlone:
    """No product: the generator straight into the sink, to show that neither of them is what limits."""

    name = "(sink alone)"

    def __init__(self, port: int) -> None:
        self.port = port

    def start(self) -> None:
        """It runs already."""

    def stop(self) -> None:
        """It goes on."""

    def cpu_seconds(self) -> float:
        """Nothing is between generator and sink."""
        return 0.0


def run(options: argparse.Namespace, progress: Callable[[str], None]) -> list[Measurement]:
    """All rounds of all works, the products in turn."""
    found: list[Measurement] = []
    with scratch() as installation:
        for work_name in options.work:
            sink = SinkProcess(installation, tls=work_name == "gateway")
            work = Work(work_name, sink.port)
            for number in range(options.rounds):
                for product in _products(installation, work, len(found), options):
                    progress(f"{work_name}, round {number + 1} of {options.rounds}: {product.name}")
                    found.append(measure(installation, sink, work, product, number, options.messages))
    return found


def _products(installation: Scratch, work: Work, number: int, options: argparse.Namespace) -> Sequence[Product]:
    made: list[Product] = [SinkAlone(work.sink_port)] if work.name == "gateway" else []
    if "postfix" in options.product:
        made.append(Postfix(installation, work, number, tuned=False))
        made.append(Postfix(installation, work, number + 1, tuned=True))
    if "outgate" in options.product:
        made.append(Outgate(installation, work, number + 2))
    return made


def ratios(found: Sequence[Measurement], work: str, product: str) -> list[float]:
    """Outgate's end-to-end rate by the product's, round by round."""
    rates = {(one.product, one.round): one.end_to_end for one in found if one.work == work}
    rounds = sorted({number for _, number in rates})
    pairs = [(rates.get(("outgate", number)), rates.get((product, number))) for number in rounds]
    return [ours / theirs for ours, theirs in pairs if ours and theirs]


def summary(found: Sequence[Measurement]) -> dict[str, object]:
    """Everything for programs."""
    machine = {"cores": os.cpu_count(), "python": platform.python_version(), "kernel": platform.release()}
    versions = {"postfix": _postfix_version(), "outgate": "0.1.0"}
    durability = "both sync to disk before the 250: Postfix its queue file, Outgate its database's log"
    by_work = {
        work: {name: _spread(ratios(found, work, name)) for name in ("postfix", "postfix tuned")} for work in WORKS
    }
    return {
        "machine": machine,
        "versions": versions,
        "durability": durability,
        "outgate_by": by_work,
        "measurements": [asdict(one) for one in found],
    }


def _spread(values: Sequence[float]) -> dict[str, float] | None:
    if not values:
        return None
    return {"median": statistics.median(values), "least": min(values), "most": max(values)}


def _postfix_version() -> str:
    shown = subprocess.run(["postconf", "-d", "-h", "mail_version"], capture_output=True, text=True, check=False)
    return shown.stdout.strip()


def show(found: Sequence[Measurement]) -> None:
    """Everything for people."""
    table = Table(title="messages a second, end to end; the medians of all rounds")
    for name in (
        "work",
        "product",
        "messages/s",
        "250s/s",
        "p50 ms",
        "p99 ms",
        "CPU ms/message",
        "outgate is",
        "faults",
    ):
        table.add_column(name, justify="left" if name in ("work", "product", "faults") else "right")
    for work, product in dict.fromkeys((one.work, one.product) for one in found):
        rows = [one for one in found if (one.work, one.product) == (work, product)]
        spread = _spread(ratios(found, work, product)) if product.startswith("postfix") else None
        table.add_row(
            work,
            product,
            *(
                f"{statistics.median(getattr(one, name) for one in rows):.{digits}f}"
                for name, digits in (
                    ("end_to_end", 0),
                    ("acknowledged", 0),
                    ("latency_p50", 1),
                    ("latency_p99", 1),
                    ("cpu_ms_per_message", 2),
                )
            ),
            f"{spread['median']:.1f} x ({spread['least']:.1f} to {spread['most']:.1f})" if spread else "",
            "; ".join(sorted({one.fault for one in rows if one.fault})),
        )
    Console().print(table)


def main() -> int:
    """0 if nothing was lost, doubled, altered or sent on a wrong credential, and the goal was reached if measured."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="one short round")
    parser.add_argument("--work", action="append", choices=WORKS)
    parser.add_argument("--product", action="append", choices=("outgate", "postfix"))
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--messages", type=int)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--pages", action="store_true", help="the pages of a large organisation, and nothing else")
    parser.add_argument("--api", action="store_true", help="what programs ask for beside mail, and nothing else")
    parser.add_argument("--seconds", type=float, help="that pages, or the API, are asked for")
    parser.add_argument("--database", default="", metavar="URL", help="an empty PostgreSQL database, for the pages")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is stopped
    if options.pages:
        return pages.run(options.seconds or pages.SECONDS, options.database, options.json)
    if options.api:
        return api.run(options.seconds or api.SECONDS, options.json)
    options.work = options.work or list(WORKS)
    options.product = options.product or ["outgate", "postfix"]
    options.rounds = options.rounds or (1 if options.quick else 3)
    options.messages = options.messages or (1000 if options.quick else 3000)
    if "postfix" in options.product and os.geteuid() != 0:
        console.print("Postfix needs root; measure Outgate alone with: python -m bench --product outgate")
        return 2
    began = time.monotonic()
    with console.status("starting") as status:
        found = run(options, status.update)
    show(found)
    if options.json:
        options.json.write_text(json.dumps(summary(found), indent=2) + "\n")
    console.print(f"took {time.monotonic() - began:.0f} s")
    reached = _spread(ratios(found, "gateway", "postfix"))
    return int(any(one.fault for one in found) or (reached is not None and reached["median"] < GOAL))


if __name__ == "__main__":
    sys.exit(main())
