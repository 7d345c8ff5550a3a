"""The page of all counters, made from their declarations."""

from prometheus_client import REGISTRY
from prometheus_client.metrics import MetricWrapperBase

from outgate import wiring
from outgate.web import page_routes

assert wiring  # these import every file that counts
assert page_routes

_HEAD = """\
# Metrics

What the server counts, for Prometheus. `outgate metrics` prints it. Each process of the server writes its counts every
5 seconds to `metrics/<process>.prom` in the data directory, with the label `process`, so that no process has to be
asked for another's; Prometheus' node exporter can read the files (`--collector.textfile.directory`). A count begins at
0 when its process starts. Add up over `process`:
`sum without (process) (rate(outgate_messages_accepted_total[5m]))`.

A count follows the commit of what it counts, and is lost if the process is killed in between: the record is exact
(`outgate log`), counts are for watching. What a command changes (a message deleted from the queue) is in the record
alone. `process_*` and `python_*` are the client library's.

| name | type | labels | meaning |
|---|---|---|---|
"""


def metrics_page() -> str:
    """docs/metrics.md."""
    return _HEAD + "\n".join(sorted(_row(metric) for metric in _declared())) + "\n"


def _declared() -> list[MetricWrapperBase]:
    """The library has no list of the declared ones: its public interface gives counted ones, without their labels."""
    collectors = list(REGISTRY._collector_to_names)
    return [one for one in collectors if isinstance(one, MetricWrapperBase) and one._name.startswith("outgate_")]


def _row(metric: MetricWrapperBase) -> str:
    name = f"{metric._name}_total" if metric._type == "counter" else metric._name
    labels = ", ".join(f"`{label}`" for label in metric._labelnames)
    return f"| `{name}` | {metric._type} | {labels} | {metric._documentation} |"
