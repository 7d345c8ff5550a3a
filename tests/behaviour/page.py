"""Writes docs/behaviour.md from the rows."""

from itertools import groupby

from .rows import Fate, Row, rows

_HEAD = """\
<!-- Written by `python -m tests.behaviour --page`; change the rows, not this file. -->
# What other servers do, and what becomes of the message

Each row is tried against Outgate's delivery by a test, with a peer that does this on its first connection and is well
afterwards. *delivered*: once. *retried*: the message waits for its next attempt. *returned*: its sender gets a report.
Where RFC 5321 leaves a choice, the others are in parentheses. "Twice": the peer had the whole message when it broke
off, so that it may arrive again. The last column is of a destination with a further host that is well: another
exchanger, or another host of an outbound gateway.

The rows can be held against any server that relays to the peer of the suite: `python -m tests.behaviour HOST PORT`.

"""


def page() -> str:
    """The whole page."""
    parts = [_HEAD]
    for place, of_place in groupby(sorted(rows(), key=lambda row: row.at), key=lambda row: row.at):
        parts.append(f"## At {place}\n\n| | the peer says or does | Outgate | with a next host |\n|---|---|---|---|\n")
        parts += [f"| {row.number} | {_words(row)} | {_fate(row)} | {row.with_next_host.value} |\n" for row in of_place]
        parts.append("\n")
    return "".join(parts).rstrip("\n") + "\n"


def _words(row: Row) -> str:
    offers = {"8BITMIME", "SIZE 1000000", "STARTTLS"}
    more = f" (offers {', '.join(row.offers)})" if not set(row.offers) <= offers else ""
    return row.words + more


def _fate(row: Row) -> str:
    others = [fate.value for fate in Fate if fate in row.may and fate is not row.ours]
    return row.ours.value + (f" ({', '.join(others)})" if others else "") + ("; twice" if row.twice else "")
