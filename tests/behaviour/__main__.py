"""`python -m tests.behaviour HOST PORT`: holds a server against all rows, one after the other.

The server must relay whatever it gets to the peer (127.0.0.1:2526 unless told otherwise), in the clear, and try again
within `--retry` seconds; its time-outs should be about as short.
"""

import argparse
import asyncio
import smtplib
import sys
import time

from .page import page
from .peer import Peer
from .rows import Fate, Row, rows


def submit(options: argparse.Namespace, row: Row) -> None:
    """The message of a row."""
    text = f"From: {options.sender}\r\nTo: {options.to}\r\nSubject: row {row.number}\r\n\r\n{row.name}\r\n"
    with smtplib.SMTP(options.host, options.port, timeout=30) as session:
        if options.starttls or options.user:
            session.starttls()
        if options.user:
            session.login(options.user, options.password)
        session.sendmail(options.sender, [options.to], text.encode("utf-8", "replace"))


async def fate_of(peer: Peer, row: Row, seconds: float) -> Fate:
    """What became of it, as the peer has seen it: after the first connection, whether another one comes in time."""
    until = time.monotonic() + 10 * seconds
    while not peer.connections and time.monotonic() < until:
        await asyncio.sleep(0.02)
    began = time.monotonic()
    while time.monotonic() < began + seconds:
        if peer.connections > 1 and peer.acknowledged:
            break
        await asyncio.sleep(0.02)
    if peer.connections > 1 and peer.acknowledged and Fate.RETRIED in row.may:
        return Fate.RETRIED
    return Fate.DELIVERED if peer.acknowledged else Fate.RETURNED


async def run(options: argparse.Namespace) -> int:
    """The number of rows that it fails."""
    failed = 0
    chosen = [row for row in rows() if options.row in (0, row.number)]
    async with Peer(None, options.peer_host, options.peer_port) as peer:
        for row in chosen:
            peer.begin(row)
            await asyncio.to_thread(submit, options, row)
            fate = await fate_of(peer, row, options.retry)
            copies = peer.acknowledged
            fine = fate in row.may and (copies <= 1 or row.twice)
            failed += not fine
            print(f"{'ok  ' if fine else 'FAIL'} {row.number:3} {row.name}: {fate}, {copies} acknowledged", flush=True)
    print(f"{len(chosen) - failed} of {len(chosen)} rows as they may be")
    return failed


def main() -> int:
    """0 if all rows are as they may be."""
    parser = argparse.ArgumentParser(prog="tests.behaviour", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("host", nargs="?", help="the server, where it takes submissions")
    parser.add_argument("port", nargs="?", type=int)
    parser.add_argument("--page", action="store_true", help="print the table of docs/behaviour.md instead")
    parser.add_argument("--peer-host", default="127.0.0.1")
    parser.add_argument("--peer-port", type=int, default=2526)
    parser.add_argument("--sender", default="alice@example.com")
    parser.add_argument("--to", default="carol@recipient.example")
    parser.add_argument("--user", default="")
    parser.add_argument("--password", default="")
    parser.add_argument("--starttls", action="store_true")
    parser.add_argument("--retry", type=float, default=5.0, help="seconds within which the server tries again")
    parser.add_argument("--row", type=int, default=0, help="only this one")
    options = parser.parse_args()
    if options.page:
        print(page(), end="")
        return 0
    if not options.host or not options.port:
        parser.error("say HOST and PORT, or --page")
    return int(asyncio.run(run(options)) > 0)


if __name__ == "__main__":
    sys.exit(main())
