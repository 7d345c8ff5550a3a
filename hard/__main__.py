"""Measures what hard conditions do to Outgate, one case after another, each with an installation of its own.

    python -m hard [--short] [--case NAME …] [--product PATH] [--json]

hard/README.md says what is measured. The exit status is 1 if a figure is not as it should be. Everything is on
loopback, in a temporary folder, and ends by itself.
"""

import argparse
import asyncio
import inspect
import json
import logging
import math
import resource
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import uvloop
from bench.scratch import scratch
from rich.console import Console
from rich.table import Table

from hard import hostile_clients, hostile_peers, interruptions, large_queue, large_work, slow_destinations
from hard.figure import Figure
from hard.installation import Ground

Case = Callable[[Ground], Awaitable[list[Figure]]]

LONGEST = 480.0  # seconds that one case may take
# What they look for shows at full size alone.
AT_SIZE = {
    *("many-that-are-due", "many-that-wait", "commands-on-a-long-queue", "looking-at-a-long-queue", "an-old-record"),
}
ROOMS = (slow_destinations, hostile_clients, hostile_peers, interruptions, large_queue, large_work)
console = Console(stderr=True)


@dataclass(frozen=True, slots=True)
class Row:
    """A figure of a case, or why there is none."""

    case: str
    figure: Figure | None
    fault: str = ""

    @property
    def holds(self) -> bool:
        return self.figure is not None and self.figure.holds


def cases() -> dict[str, Case]:
    """All cases by name: the public coroutines of the rooms, in their order."""
    found: dict[str, Case] = {}
    for room in ROOMS:
        for name, one in vars(room).items():
            if inspect.iscoroutinefunction(one) and one.__module__ == room.__name__ and not name.startswith("_"):
                found[name.replace("_", "-")] = one
    return found


async def measure(name: str, case: Case, ground: Ground) -> list[Row]:
    """The rows of one case."""
    try:
        async with asyncio.timeout(LONGEST):
            return [Row(name, figure) for figure in await case(ground)]
    except Exception as error:  # a case that can't be measured is one that is missed
        return [Row(name, None, f"{type(error).__name__}: {error}")]


def show(rows: list[Row]) -> None:
    """Everything for people."""
    table = Table(title="what it is, and what it should be")
    for name in ("case", "figure", "is", "should be", ""):
        table.add_column(name, justify="right" if name in ("is", "should be") else "left", overflow="fold")
    for row in rows:
        if row.figure is None:
            table.add_row(row.case, row.fault, "", "", "missed")
            continue
        one = row.figure
        bound = f"{'at least' if one.least else 'at most'} {one.limit:g} {one.unit}"
        table.add_row(row.case, one.what, f"{one.value:.3g} {one.unit}", bound, "" if one.holds else "missed")
    Console().print(table)


def as_json(rows: list[Row]) -> str:
    """Everything for programs. What is without end is null."""
    listed = []
    for row in rows:
        figure = asdict(row.figure) if row.figure else {}
        if figure and not math.isfinite(figure["value"]):
            figure["value"] = None
        listed.append({"case": row.case, "holds": row.holds, "fault": row.fault} | figure)
    return json.dumps(listed, indent=2)


async def run(options: argparse.Namespace, chosen: dict[str, Case]) -> list[Row]:
    """Case by case."""
    rows: list[Row] = []
    with scratch() as place, console.status("starting") as status:
        ground = Ground(place, options.product, full=not options.short, users=10 if options.short else 200)
        for name, case in chosen.items():
            status.update(name)
            began = time.monotonic()
            found = await measure(name, case, ground)
            rows += found
            missed = "" if all(row.holds for row in found) else ", missed"
            console.print(f"{name}: {time.monotonic() - began:.0f} s{missed}", highlight=False)
    return rows


def main() -> int:
    """0 if every figure is as it should be."""
    known = cases()
    parser = argparse.ArgumentParser(prog="hard", description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--short", action="store_true", help="smaller, in under two minutes")
    parser.add_argument(
        "--case", action="append", choices=known, metavar="NAME", help="only these: " + ", ".join(known)
    )
    parser.add_argument("--product", type=Path, default=Path(sys.executable).parent / "outgate", help="the program")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    logging.getLogger("asyncio").setLevel(logging.ERROR)  # peers here go on talking to connections that were closed
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is stopped
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    chosen = options.case or [name for name in known if not (options.short and name in AT_SIZE)]
    rows = uvloop.run(run(options, {name: known[name] for name in chosen}))
    print(as_json(rows)) if options.json else show(rows)
    return int(not all(row.holds for row in rows))


if __name__ == "__main__":
    sys.exit(main())
