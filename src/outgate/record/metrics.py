"""What this installation's processes have counted, in Prometheus' text format.

Counters are declared at the head of the file that counts, and live in each process's memory. Each process of the server
writes its own, with the label `process`, to a file of the data directory every few seconds; `exposition` joins them: so
any process, and any command, can tell of all. Knows no counter.
"""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from prometheus_client import REGISTRY, Metric, disable_created_metrics, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

EVERY: Final = 5.0  # seconds between two writings
STALE: Final = 30.0  # seconds after which a process that writes nothing is taken to be gone
FOLDER: Final = "metrics"

disable_created_metrics()  # type: ignore[no-untyped-call]  # a series more for each, which nobody reads


class Snapshot:
    """One process's file in `folder`."""

    def __init__(self, folder: Path, number: int) -> None:
        self._path, self._number = folder / f"{number}.prom", number

    def write(self) -> None:
        """Put the counts of now in the place of the former ones. Raises OSError."""
        self._path.parent.mkdir(exist_ok=True)
        fresh = self._path.with_suffix(".new")
        fresh.write_bytes(generate_latest(_Labelled(REGISTRY.collect(), {"process": str(self._number)})))
        fresh.replace(self._path)

    def remove(self) -> None:
        """The process ends."""
        with suppress(OSError):
            self._path.unlink()


def exposition(folder: Path, now: float) -> bytes:
    """All that the processes have counted, as written at most some seconds ago; empty if no server is running."""
    families: dict[str, Metric] = {}
    for path in sorted(folder.glob("*.prom")):
        if now - path.stat().st_mtime <= STALE:
            for family in text_string_to_metric_families(path.read_text()):
                if known := families.get(family.name):
                    known.samples += family.samples
                else:
                    families[family.name] = family
    return generate_latest(_Labelled(families.values(), {}))


class _Labelled(Collector):
    """These families, with further labels on every sample."""

    def __init__(self, families: Iterable[Metric], labels: dict[str, str]) -> None:
        self._families, self._labels = families, labels

    def collect(self) -> Iterable[Metric]:
        for family in self._families:
            family.samples = [sample._replace(labels={**sample.labels, **self._labels}) for sample in family.samples]
            yield family
