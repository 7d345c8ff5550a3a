"""How the demonstration looks in a terminal: rows of a table where it is wide enough, else a card for each message."""

from collections.abc import Iterable

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from outgate.demo.story import Row
from outgate.printable import printable

_COLUMNS = (
    ("Case", 15),
    ("From as displayed", 29),
    ("Sender", 17),
    ("Envelope from", 28),
    ("Delivered by", 27),
    ("SPF", 4),
    ("DKIM", 4),
    ("DMARC", 5),
    ("Who has a record of it", 27),
)
KEY = """\
From as displayed, Sender: what the recipient's program shows.  Envelope from: where bounces go (MAIL FROM).
SPF: may this server send for the envelope's domain?  DKIM: did a domain sign it?  DMARC: did one of both speak for the
domain in From?  Who has a record of it: whose server passed it on, and can tell of it."""

_WIDE = sum(width + 3 for _, width in _COLUMNS) + 1
_COLOURS = {"pass": "green", "fail": "red"}


def show(console: Console, rows: Iterable[Row], *, header: bool = True) -> None:
    """Print the rows; without header they follow a table that stands already."""
    console.print(_table(rows, header) if console.width >= _WIDE else Group(*map(_card, rows)))


def _table(rows: Iterable[Row], header: bool) -> RenderableType:
    shown = Table(show_header=header, show_lines=True)
    for name, width in _COLUMNS:
        shown.add_column(name, width=width, overflow="fold")
    for row in rows:
        shown.add_row(*_cells(row))
    return shown


def _card(row: Row) -> RenderableType:
    """One message, a line for each column."""
    card = Table(show_header=False)
    card.add_column(style="bold", no_wrap=True)
    card.add_column(overflow="fold")
    for (name, _), cell in zip(_COLUMNS, _cells(row), strict=True):
        card.add_row(name, cell)
    return card


def _cells(row: Row) -> tuple[Text, ...]:
    """What a sender wrote is text: neither markup nor anything that a terminal would obey."""
    arrival, checks = row.arrival, row.arrival.checks
    words = (row.title, arrival.shown_as, arrival.sender or "none", arrival.envelope_from or "<>", arrival.delivered_by)
    results = (Text(result, _COLOURS.get(result, "yellow")) for result in (checks.spf, checks.dkim, checks.dmarc))
    return (*(Text(printable(word)) for word in words), *results, Text("\n".join(row.recorded_by)))
