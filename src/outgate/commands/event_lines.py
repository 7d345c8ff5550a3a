"""The events of messages as commands show them. Knows no command."""

from collections.abc import Iterable, Mapping

from outgate.cli.output import JsonObject, plain
from outgate.operations.resources import event_row
from outgate.record.events import MessageEvent


def named(row: JsonObject) -> JsonObject:
    """For people: the queue by its name alone."""
    return {key: row["queue_name"] if key == "queue" else value for key, value in row.items() if key != "queue_name"}


def event_lines(event: MessageEvent, names: Mapping[str, str]) -> str:
    """An event as a heading and a line for each of its details."""
    row = named(event_row(event, names))
    lines = [f"{row.pop('at')}  {row.pop('kind')}"]
    for key, value in row.items():
        values: Iterable[object] = value if isinstance(value, list) else [value]
        if value not in ("", None, []):
            lines.extend(f"    {key.replace('_', ' '):12}  {plain(each)}" for each in values)
    return "\n".join(lines)
