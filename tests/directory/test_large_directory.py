"""A directory of 100,000 users, 300,000 From addresses and 2,000 units: questions stay quick.

Times are those that this thread had a processor, and the collector does not look at what other tests have left: they
run beside these, and before them in the same process.
"""

import gc
import random
import time
import tracemalloc
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, insert

from outgate.authorise import Authorised, authorise
from outgate.directory import organisation, policies, units
from outgate.directory.cache import COPIES, DirectoryCache
from outgate.directory.settings import SETTINGS
from outgate.operations.resources import effective_rows
from outgate.route import Route, route
from outgate.store import tables
from outgate.store.engine import open_engine, read, write

pytestmark = pytest.mark.measures

USERS, ADDRESSES_EACH, UNITS, ASKED = 100_000, 3, 2_000, 5_000


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory, migrated_sqlite: object) -> Iterator[Engine]:
    """Every unit has a value of its own for one setting, the tree is four deep; every user has one gateway."""
    path = tmp_path_factory.mktemp("large") / "outgate.db"
    path.write_bytes(migrated_sqlite.read_bytes())  # type: ignore[attr-defined]  # a Path
    engine = open_engine(f"sqlite:///{path}")
    with write(engine) as connection:
        organisation.create(connection, "example.com", 0.0)
        names = [f"/R{n % 10}" for n in range(10)]
        names += [f"/R{n % 10}/D{n}" for n in range(190)]
        names += [f"/R{n % 190 % 10}/D{n % 190}/T{n}" for n in range(UNITS - 201)]
        parents = {"/": 1}
        for number, name in enumerate(names, start=2):
            parents[name] = number
            parent = parents[name.rpartition("/")[0] or "/"]
            connection.execute(insert(tables.unit).values(id=number, path=name, parent_id=parent))
        chosen = random.Random(1)
        settings = [one for one in SETTINGS.values() if isinstance(one.default, bool)]
        rows = [
            {
                "unit_id": number,
                "setting": chosen.choice(settings).name,
                "value": chosen.choice(("true", "false")),
                "changed_at": 0.0,
            }
            for number in range(1, UNITS + 1)
        ]
        connection.execute(insert(tables.policy), rows)
        _people(connection)
    yield engine
    engine.dispose()


@pytest.fixture(autouse=True)
def _without_what_others_left() -> Iterator[None]:
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def _people(connection: object) -> None:
    execute = connection.execute  # type: ignore[attr-defined]  # a Connection
    for start in range(1, USERS + 1, 10_000):
        ids = range(start, start + 10_000)
        execute(
            insert(tables.account),
            [
                {"id": n, "primary_address": f"u{n}@example.com", "unit_id": n % UNITS + 1, "created_at": 0.0}
                for n in ids
            ],
        )
        execute(insert(tables.send_as), [row for n in ids for row in _addresses(n)])
        gateways = [
            {
                "send_as_id": n * 10 + 1,
                "host": f"smtp.p{n}.example",
                "port": 587,
                "security": "starttls",
                "changed_at": 0.0,
            }
            for n in ids
        ]
        execute(insert(tables.gateway), gateways)


def _addresses(n: int) -> list[dict[str, object]]:
    addresses = [f"u{n}@example.com", f"u{n}@p{n}.example", f"u{n}@q{n}.example"]
    return [
        {
            "id": n * 10 + place,
            "account_id": n,
            "address": address,
            "is_primary": place == 0,
            "is_default": place == 0,
            "verified_at": 0.0,
            "created_at": 0.0,
        }
        for place, address in enumerate(addresses)
    ]


def test_authorise_and_route_take_less_than_a_millisecond(large: Engine) -> None:
    """Each account is asked for the first time, so that none is in memory: the worst case."""
    directory = DirectoryCache(large)
    directory.organisation()
    chosen = random.Random(2).sample(range(1, USERS + 1), ASKED)
    ways, times = [], []
    for number in chosen:
        start = time.thread_time()
        account = directory.account(number)
        assert account
        verdict = authorise(account, f"u{number}@p{number}.example", [f"u{number}@p{number}.example"])
        assert isinstance(verdict, Authorised)
        way = route(directory.organisation(), account, verdict.chosen, "x@y.example", reverse_path="x")
        times.append(time.thread_time() - start)
        ways.append(way)
    times.sort()
    p50, p99 = (times[int(part * len(times))] * 1000 for part in (0.5, 0.99))
    print(f"authorise + route, account not in memory: {p50:.3f} ms (median), {p99:.3f} ms (99th percentile)")
    assert {way.kind.value for way in ways if isinstance(way, Route)} == {"user-gateway", "direct"}
    assert p50 < 1.0
    assert p99 < 1.0


def test_the_policy_of_all_units_is_listed_in_less_than_200_milliseconds(large: Engine) -> None:
    start = time.thread_time()
    with read(large) as connection:
        paths, in_force = units.paths(connection), policies.load(connection)
    rows = [row for path in paths for row in effective_rows(path, in_force.all_effective(path)).values()]
    taken = time.thread_time() - start
    print(f"policy of {len(paths)} units, {len(rows)} values: {taken * 1000:.0f} ms")
    assert len(rows) == UNITS * len(SETTINGS)
    assert taken < 0.2


def test_the_copies_in_memory_take_less_than_64_mebibytes(large: Engine) -> None:
    """10,000 accounts are kept, whatever the size of the directory, and the policy of all units."""
    directory = DirectoryCache(large)
    tracemalloc.start()
    for number in range(1, COPIES + 1001):
        assert directory.account(number)
    taken = tracemalloc.get_traced_memory()[0] / 2**20
    tracemalloc.stop()
    print(f"memory for the copies of {COPIES} accounts and {UNITS} units: {taken:.0f} MiB")
    assert taken < 64
