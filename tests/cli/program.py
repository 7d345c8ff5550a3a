"""The program on a data directory, in this process: arguments in; output, parsed, or the error out."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select
from typer.testing import CliRunner

from outgate.cli.program import app
from outgate.cli.status import Status
from outgate.store.engine import open_engine, read, write
from outgate.store.tables import chunk, message

ALICE = "alice@example.com"
PARTNER = "alice@dominiopartner.example"
CAROL = "carol@recipient.example"
PASSWORD = "correct horse battery"
SWITCH = "allowUsersToUseExternalSmtpServers"


@dataclass
class Program:
    """`outgate` with OUTGATE_DATA set to `data`."""

    data: Path

    def says(self, *arguments: str, stdin: str = "", status: Status = Status.OK) -> str:
        """What it prints for people."""
        result = CliRunner().invoke(app, arguments, input=stdin, env={"OUTGATE_DATA": str(self.data)})
        assert result.exit_code == status, result.output
        return result.stdout

    def run(self, *arguments: str, stdin: str = "", status: Status = Status.OK) -> Any:
        """What it prints with --json."""
        return json.loads(self.says(*arguments, "--json", stdin=stdin, status=status))

    def fails(self, status: Status, *arguments: str, stdin: str = "") -> str:
        """The text of its error with --json; nothing on standard output."""
        env = {"OUTGATE_DATA": str(self.data)}
        result = CliRunner().invoke(app, ["--json", *arguments], input=stdin, env=env)
        assert (result.exit_code, result.stdout) == (status, ""), result.output
        error = json.loads(result.stderr)["error"]
        assert error.keys() == {"code", "message"}
        assert error["code"] == status.name.lower()
        return str(error["message"])

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """The database, past the program."""
        engine = open_engine(f"sqlite:///{self.data / 'outgate.db'}")
        with read(engine) as connection:
            yield connection
        engine.dispose()

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """As `reading`, for a change."""
        engine = open_engine(f"sqlite:///{self.data / 'outgate.db'}")
        with write(engine) as connection:
            yield connection
        engine.dispose()

    def waiting(self) -> list[bytes]:
        """The messages in the queue as they are stored, the oldest first."""
        with self.reading() as connection:
            ids = connection.scalars(select(message.c.id).order_by(message.c.id)).all()
            return [
                b"".join(
                    connection.scalars(select(chunk.c.data).where(chunk.c.message_id == one).order_by(chunk.c.number))
                )
                for one in ids
            ]

    def add_partner(self) -> None:
        """Alice's address at the partner, confirmed, with the switch on."""
        self.run("policy", "set", SWITCH, "on")
        self.run("sendas", "add", ALICE, PARTNER, "--no-probe")
        self.run("sendas", "verify", ALICE, PARTNER, code_in(self.waiting()[-1]))


def code_in(content: bytes) -> str:
    """The code in a confirmation message: the line of nine digits."""
    return next(
        line.strip() for line in content.decode().splitlines() if line.strip().isdigit() and len(line.strip()) == 9
    )
