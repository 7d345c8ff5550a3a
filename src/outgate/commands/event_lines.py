"""The events of messages as commands show them. Knows no command."""

from collections.abc import Iterable, Mapping, Sequence

from outgate.cli.output import JsonObject, plain
from outgate.iso_time import iso
from outgate.operations.context import OperationContext
from outgate.operations.queue_names import queue_names
from outgate.record.events import MessageEvent


def event_queues(op: OperationContext, events: Sequence[MessageEvent]) -> Mapping[str, str]:
    """The names of the queues that are spoken of."""
    return queue_names(op, {event.detail["queue"] for event in events if "queue" in event.detail})


def event_row(event: MessageEvent, names: Mapping[str, str]) -> JsonObject:
    """The queue's name is what it is called now; the events themselves have the key."""
    detail = dict(event.detail)
    if "queue" in detail:
        detail["queue_name"] = names[detail["queue"]]
    if "next_attempt" in detail:
        detail["next_attempt"] = iso(detail["next_attempt"])
    return {"at": iso(event.at), "kind": event.kind.value} | detail


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
