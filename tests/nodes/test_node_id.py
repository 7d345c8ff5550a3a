"""A node's id: made once, the same ever after, and no two live nodes have one."""

import asyncio
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from outgate import clock
from outgate.deliver import node_claim
from outgate.deliver.node_claim import claim_name
from outgate.directory import nodes
from outgate.directory.nodes import GoesBy
from outgate.node_id import FILE, NodeIdError, NodeTaken, node_id
from outgate.store import tables
from outgate.store.engine import read, write
from way.place import eventually, install, listens, serve


def test_an_id_is_made_once_and_stays(tmp_path: Path) -> None:
    made = node_id(tmp_path)
    assert node_id(tmp_path) == made
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_two_data_directories_have_two_ids(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    assert node_id(tmp_path / "one") != node_id(tmp_path / "two")


def test_processes_that_make_one_at_once_agree(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(lambda _: node_id(tmp_path), range(40)))) == 1


@pytest.mark.parametrize("content", [b"", b"mail.example.com", b"\xff" * 16, b"0123456789abcdef0"])
def test_a_file_that_is_no_id_is_refused_with_what_to_do(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(NodeIdError, match=r"node\.id"):
        node_id(tmp_path)


def heartbeat(engine: Engine, name: str) -> None:
    with write(engine) as connection:
        GoesBy(name, 1, clock.now()).answer(connection)


def names(engine: Engine) -> list[str]:
    with read(engine) as connection:
        return list(connection.scalars(select(tables.node.c.name)))


async def test_a_node_that_nobody_has_heard_of_begins_at_once(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_claim, "PATIENCE", 1e9)
    heartbeat(engine, "other@mail.example.com#0;")
    async with asyncio.timeout(20):
        await claim_name(engine, "mine@")


async def test_a_node_begins_again_after_a_crash(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_claim, "PATIENCE", 0.3)
    heartbeat(engine, "mine@mail.example.com#0;")
    await claim_name(engine, "mine@")


async def test_a_node_whose_id_gives_signs_of_life_is_refused(engine: Engine) -> None:
    heartbeat(engine, "mine@mail.example.com#1;")
    claim = asyncio.create_task(claim_name(engine, "mine@"))
    async with asyncio.timeout(20):
        while not any("start" in name for name in await asyncio.to_thread(names, engine)):
            await asyncio.sleep(0.01)
    await asyncio.to_thread(heartbeat, engine, "mine@mail.example.com#1;")
    with pytest.raises(NodeTaken, match=r"node\.id"):
        await claim


async def test_of_two_nodes_that_begin_at_once_the_second_is_refused(engine: Engine) -> None:
    await claim_name(engine, "mine@")
    second = asyncio.create_task(claim_name(engine, "mine@"))
    async with asyncio.timeout(20):
        while len(await asyncio.to_thread(names, engine)) < 2:
            await asyncio.sleep(0.01)
    await asyncio.to_thread(heartbeat, engine, "mine@mail.example.com#0;")  # the first one is up
    with pytest.raises(NodeTaken):
        await second


async def test_a_beginning_node_holds_up_no_change_of_policy(engine: Engine) -> None:
    await claim_name(engine, "mine@")
    with read(engine) as connection:
        assert nodes.behind(connection, 1000, clock.now()) == []


async def test_a_copy_of_a_live_nodes_data_directory_does_not_serve(tmp_path: Path, new_postgresql: object) -> None:
    assert callable(new_postgresql)
    url = new_postgresql()
    site = install(tmp_path / "one", database_url=url, top={"database_url": url})
    process = await serve(site)
    await eventually(lambda: listens(site), "it serves", 60)
    copy = tmp_path / "two"
    shutil.copytree(site.data, copy)
    settings = (copy / "outgate.toml").read_text()
    for port in (site.starttls, site.tls):
        settings = settings.replace(f"port = {port}\n", "port = 0\n")
    (copy / "outgate.toml").write_text(settings)
    twin = type(site)(copy, 0, 0, site.authority)
    try:
        other = await serve(twin)
        async with asyncio.timeout(60):
            assert await other.wait() == 7
        said = copy.with_suffix(".log").read_text()
        assert "another server with this node's id is running" in said
        assert "Traceback" not in said
        (copy / FILE).unlink()
        third = await serve(twin)
        await eventually(lambda: '"ready"' in said_by(copy) or " ready " in said_by(copy), "it serves", 60)
        third.terminate()
        assert await third.wait() == 0
    finally:
        process.terminate()
        assert await process.wait() == 0


def said_by(data: Path) -> str:
    return data.with_suffix(".log").read_text()
