"""What the bench asks of a product: to be set up for one work, started and stopped. Knows none of them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Work:
    """One kind of work. `gateway`: each external sender by its own credential, over STARTTLS and AUTH. Else plain relay
    from primary addresses to one smart host. `host` and `port` are the sink's.
    """

    name: str
    host: str
    port: int
    certificates: Path  # holds ca.pem, localhost.pem and localhost.key

    @property
    def gateway(self) -> bool:
        return self.name == "gateway"

    @property
    def ca(self) -> Path:
        return self.certificates / "ca.pem"


class Product(Protocol):
    """Listens on 127.0.0.1, `port`, with implicit TLS, as `localhost`."""

    name: str
    version: str
    durability: str
    port: int

    def start(self) -> None:
        """Until it takes submissions. Raises processes.Unready."""

    def stop(self) -> None:
        """Also when it is not running."""

    def cpu_seconds(self) -> float:
        """CPU time of all its processes so far."""

    @property
    def pid(self) -> int:
        """Its first process."""
