"""`outgate import` and `outgate export`: many rows at once, all or none, and again."""

import csv
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import func, insert, select
from typer.testing import CliRunner

from cli.program import ALICE, PARTNER, SWITCH, Program
from outgate.cli.program import app
from outgate.cli.status import Status
from outgate.directory import accounts, password_hash
from outgate.directory.users import Credentials
from outgate.store import tables
from outgate.store.engine import open_engine, write

BOB = "bob@example.com"


def write_csv(path: Path, *lines: str) -> str:
    path.write_text("\r\n".join(lines) + "\r\n", encoding="utf-8")
    return str(path)


def count_of(program: Program, table: str) -> int:
    with program.reading() as connection:
        return connection.scalar(select(func.count()).select_from(tables.metadata.tables[table])) or 0


@pytest.fixture
def people(program: Program, tmp_path: Path) -> str:
    program.run("ou", "add", "/Sales")
    return write_csv(
        tmp_path / "users.csv",
        "address,name,unit,language,suspended,password",
        "dora@example.com,Dora Verdi,/Sales,it,no,",
        'erik@example.com,"Erik, the Second",/,,yes,',
    )


def test_users_are_created_and_an_import_again_changes_nothing(program: Program, people: str) -> None:
    assert program.run("import", "users", people) == {"created": 2, "changed": 0, "unchanged": 0, "faulty": 0}
    assert program.run("import", "users", people)["unchanged"] == 2
    dora, erik = program.run("user", "show", "dora@example.com"), program.run("user", "show", "erik@example.com")
    assert (dora["name"], dora["ou"], dora["language"], dora["suspended"]) == ("Dora Verdi", "/Sales", "it", False)
    assert (erik["name"], erik["suspended"]) == ("Erik, the Second", True)


def test_a_dry_run_changes_nothing(program: Program, people: str) -> None:
    before = count_of(program, "account"), count_of(program, "audit")
    assert program.run("import", "users", people, "--dry-run") == {"rows": 2, "dry_run": True}
    assert (count_of(program, "account"), count_of(program, "audit")) == before


def test_one_faulty_row_stops_all_unless_it_is_to_be_skipped(program: Program, tmp_path: Path) -> None:
    path = write_csv(
        tmp_path / "u.csv",
        "address,unit,suspended",
        "good@example.com,/,",
        "bad@elsewhere.example,/,",
        "lost@example.com,/Nowhere,",
        "odd@example.com,/,perhaps",
    )
    before = count_of(program, "account")
    assert "3 of 4 rows have faults" in program.fails(Status.INVALID, "import", "users", path)
    assert count_of(program, "account") == before
    told = program.says("import", "users", path, "--skip-faulty")
    assert "elsewhere.example is not one of the organisation's domains" in told
    assert "there is no unit /Nowhere" in told
    assert "'perhaps' in the column suspended is neither yes nor no" in told
    assert count_of(program, "account") == before + 1


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        (["address,colour", "a@example.com,red"], "the first line has the unknown column 'colour'"),
        (["name", "A"], "lacks 'address'"),
        (["address,name", "a@example.com"], "line 2: not as many fields"),
        (["address,name", "a@example.com,A,more"], "line 2: not as many fields"),
        (["address", "a@example.com", "A@example.com"], "stands in line 2 already"),
        (["address,name", ",A"], "address must be given"),
        (["address", '"a@example.com'], "is not CSV"),
        ([], "lacks 'address'"),
    ],
)
def test_a_file_of_another_form_is_refused_with_the_reason(
    program: Program, tmp_path: Path, lines: list[str], fault: str
) -> None:
    assert fault in program.fails(Status.INVALID, "import", "users", write_csv(tmp_path / "f.csv", *lines))


def test_semicolons_and_a_byte_order_mark_of_a_spreadsheet_are_understood(program: Program, tmp_path: Path) -> None:
    path = tmp_path / "u.csv"
    path.write_bytes(b"\xef\xbb\xbfaddress;name\r\nfrida@example.com;Frida\r\n")
    assert program.run("import", "users", str(path))["created"] == 1


def test_addresses_and_gateways_go_out_and_in_again(program: Program, tmp_path: Path) -> None:
    """One of the own domains is granted, one outside waits for its code."""
    program.run("policy", "set", SWITCH, "on")
    addresses = write_csv(
        tmp_path / "a.csv",
        "user,address,name,treat_as_alias",
        f"{ALICE},sales@example.com,Sales,",
        f"{ALICE},{PARTNER},Alice at the partner,no",
    )
    assert program.run("import", "addresses", addresses)["created"] == 2
    rows = {row["address"]: row for row in program.run("sendas", "list", ALICE)}
    assert rows["sales@example.com"]["verification_status"] == "accepted"
    assert rows[PARTNER]["verification_status"] == "pending"
    assert rows[PARTNER]["treat_as_alias"] is False
    gateways = write_csv(
        tmp_path / "g.csv",
        "user,address,host,port,security,username,password",
        f"{ALICE},{PARTNER},smtp.dominiopartner.example,465,ssl,alice,marked secret",
    )
    assert program.run("import", "gateways", gateways, "--no-probe")["created"] == 1
    assert program.run("import", "gateways", gateways, "--no-probe")["unchanged"] == 1
    told = program.says("export", "gateways")
    assert "marked" not in told
    (row,) = csv.DictReader(told.splitlines())
    assert (row["user"], row["host"], row["port"], row["security"], row["username"]) == (
        ALICE,
        "smtp.dominiopartner.example",
        "465",
        "ssl",
        "alice",
    )
    out = tmp_path / "out.csv"
    assert program.run("export", "addresses", "--to", str(out))["rows"] == 2
    assert program.run("import", "addresses", str(out))["unchanged"] == 2


def test_what_a_spreadsheet_would_run_is_written_harmlessly(program: Program, tmp_path: Path) -> None:
    program.run("user", "add", "grete@example.com", "--name", "=SUM(A1)", "--no-password")
    out = tmp_path / "out.csv"
    program.run("export", "users", "--to", str(out))
    assert "'=SUM(A1)" in out.read_text()
    assert program.run("import", "users", str(out))["unchanged"] == count_of(program, "account")


def test_an_administrator_imports_only_where_they_may(program: Program, people: str) -> None:
    program.run("role", "assign", "bob@example.com", "user-admin", "--ou", "/Sales")
    told = program.says("--as", "bob@example.com", "import", "users", people, "--skip-faulty")
    assert "users-manage in unit /" in told
    entries = program.run("audit", "list", "--operation", "user.create")
    assert {one["events"][0]["parameters"][2]["value"] for one in entries[:2]} == {"denied", "done"}
    assert {row["address"] for row in program.run("user", "list")} >= {"dora@example.com"}
    assert "erik@example.com" not in {row["address"] for row in program.run("user", "list")}


def test_a_gateway_that_does_not_answer_is_a_fault(program: Program, tmp_path: Path) -> None:
    program.run("policy", "set", SWITCH, "on")
    program.run("sendas", "add", ALICE, PARTNER)
    path = write_csv(
        tmp_path / "g.csv", "user,address,host,port,username,password", f"{ALICE},{PARTNER},localhost,1,alice,x"
    )
    assert "rows have faults" in program.fails(Status.INVALID, "import", "gateways", path)


BAD_USERS = (
    "good@example.com,Good,/,en,no,long enough",
    "bad@elsewhere.example,,/,,,",
    "no address,,/,,,",
    "lost@example.com,,/Nowhere,,,",
    "twice//@example.com,,a//b,,,",
    "odd@example.com,,/,,perhaps,",
    "french@example.com,,/,fr,,",
    "short@example.com,,/,,,seven77",
    "line@example.com,A\tB,/,,,",
    "alice@example.com,Alice,/,it,,",
    "bob@example.com,,/Nowhere,,,",
    "bob@example.com,,,xx,,",
)


def test_a_dry_run_finds_what_the_import_would_and_in_the_same_words(program: Program, tmp_path: Path) -> None:
    for number, line in enumerate(BAD_USERS):
        path = write_csv(tmp_path / f"{number}.csv", "address,name,unit,language,suspended,password", line)
        dry = _faults(program, path, "--dry-run", "--skip-faulty")
        assert dry == _faults(program, path, "--skip-faulty"), line


def _faults(program: Program, path: str, *options: str) -> str:
    """What a run says of its one row; nothing if it is good."""
    env = {"OUTGATE_DATA": str(program.data)}
    result = CliRunner().invoke(app, ["import", "users", path, *options], env=env)
    return "\n".join(line for line in result.stdout.splitlines() if line.startswith("2 "))


def test_a_dry_run_takes_no_lock_and_hashes_nothing(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Credentials, "derive", None)
    path = write_csv(tmp_path / "u.csv", "address,password", *(f"u{i}@example.com,a password {i}" for i in range(20)))
    with program.writing():  # nobody else may write now
        assert program.run("import", "users", path, "--dry-run") == {"rows": 20, "dry_run": True}


def test_each_password_is_hashed_once_and_works(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    derive = Credentials.derive

    def counted(password: str, iterations: int) -> Credentials:
        asked.append(password)
        return derive(password, iterations)

    monkeypatch.setattr(Credentials, "derive", counted)
    path = write_csv(tmp_path / "u.csv", "address,password", *(f"u{i}@example.com,a password {i}" for i in range(5)))
    assert program.run("import", "users", path)["created"] == 5
    assert sorted(asked) == [f"a password {i}" for i in range(5)]
    with program.reading() as connection:
        log_in = accounts.login(connection, "u3@example.com")
    assert log_in
    assert log_in.password_hash
    assert password_hash.verify(log_in.password_hash, "a password 3")


@pytest.mark.measures
@pytest.mark.parametrize("kind", ["users", "addresses"])
def test_submissions_beside_an_import_are_neither_refused_nor_late(program: Program, tmp_path: Path, kind: str) -> None:
    """Each writes as the server does, every 20 ms; `make hard` has the long form."""
    if kind == "users":
        rows = [f"u{i}@example.com,U {i},long enough {i}" for i in range(100)]
        path = write_csv(tmp_path / "u.csv", "address,name,password", *rows)
    else:
        rows = [f"{user},{i}@partner.example" for user in (ALICE, BOB) for i in range(15)]
        path = write_csv(tmp_path / "a.csv", "user,address", *rows)
    done = threading.Event()
    with ThreadPoolExecutor(1) as thread:
        slowest = thread.submit(_write_until, program, done)
        try:
            assert program.run("import", kind, path)["created"] == len(rows)
        finally:
            done.set()
        assert slowest.result() < 0.5


def _write_until(program: Program, done: threading.Event) -> float:
    """The longest that a transaction of another program took."""
    slowest, engine = 0.0, open_engine(f"sqlite:///{program.data / 'outgate.db'}")
    while not done.wait(0.02):
        began = time.monotonic()
        with write(engine) as connection:
            connection.execute(insert(tables.rate_event).values(key="x", at=began))
        slowest = max(slowest, time.monotonic() - began)
    engine.dispose()
    return slowest


def test_each_export_is_imported_again_and_changes_nothing(program: Program, tmp_path: Path) -> None:
    program.add_partner()
    program.run("user", "add", "dora@example.com", "--name", 'Dora; "D", Verdi', "--no-password")
    program.run("sendas", "add", ALICE, "sales@example.com", "--grant", "--name", "=Sales")
    _set_gateway(program, "smtp.dominiopartner.example", "--username", "alice", "--password-stdin")
    for kind, rows in (("users", 3), ("addresses", 2), ("gateways", 1)):
        path = tmp_path / f"{kind}.csv"
        assert program.run("export", kind, "--to", str(path))["rows"] == rows
        assert program.run("import", kind, str(path), "--no-probe")["unchanged"] == rows
        assert program.run("import", kind, str(path), "--no-probe", "--dry-run")["rows"] == rows


def test_an_exported_gateway_without_log_in_comes_in_again(program: Program, tmp_path: Path) -> None:
    program.add_partner()
    _set_gateway(program, "smtp.dominiopartner.example", "--port", "25")
    path = tmp_path / "g.csv"
    program.run("export", "gateways", "--to", str(path))
    assert program.run("import", "gateways", str(path), "--no-probe")["unchanged"] == 1


@pytest.mark.parametrize(
    "row", ["smtp.elsewhere.example,587,starttls,alice", "smtp.dominiopartner.example,587,starttls,mallory"]
)
def test_a_stored_password_serves_no_other_host_or_user(program: Program, tmp_path: Path, row: str) -> None:
    program.add_partner()
    _set_gateway(program, "smtp.dominiopartner.example", "--username", "alice", "--password-stdin")
    path = write_csv(tmp_path / "g.csv", "user,address,host,port,security,username", f"{ALICE},{PARTNER},{row}")
    told = program.says("import", "gateways", path, "--no-probe", "--skip-faulty")
    assert "is not known here; give it" in told


def _set_gateway(program: Program, host: str, *options: str) -> None:
    command = ("sendas", "gateway", "set", ALICE, PARTNER, "--host", host, "--no-probe")
    program.run(*command, *options, stdin="secret")
