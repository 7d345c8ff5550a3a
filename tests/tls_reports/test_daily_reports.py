"""The reports of a day: to whom asks for them, by one node, spread over hours, by HTTPS and by mail."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, select

from discovery.internet import Internet, running, status
from outgate.directory.cache import DirectoryCache
from outgate.directory.reader import DirectoryReader
from outgate.mail.dkim import DkimKey, generate, load
from outgate.queue.queue_id import QueueIds
from outgate.record.events import EventKind, MessageEvent
from outgate.store.engine import StoreUnavailable, read, write
from outgate.store.tables import chunk, message, recipient, tls_report
from outgate.tls_reports import report_rows, session_rows
from outgate.tls_reports.daily_reports import SETTLING, SPREAD, DailyReports, ReportLetterhead
from outgate.tls_reports.report_rows import KeptReport, ReportState
from outgate.tls_reports.utc_days import DAY
from outgate.transport_security.tls_session import AppliedPolicy, PolicyType, ResultType, TlsFault, TlsSession
from transport_security.peers import Clock

YESTERDAY = 20_000
MIDNIGHT = (YESTERDAY + 1) * DAY
A_KEY = DkimKey("example.com", "s1", load(generate("ed25519")))
LETTERHEAD = ReportLetterhead("mail.example.com", "Example, Inc.", "tls@example.com")


class Nodes:
    """Two servers that share a database; a clock that the test sets."""

    def __init__(self, engine: Engine, directory: DirectoryReader, internet: Internet) -> None:
        self.engine, self.internet, self.clock = engine, internet, Clock()
        self.keys: dict[str, tuple[DkimKey, ...]] = {"example.com": (A_KEY,)}
        self.committed: list[MessageEvent] = []
        self.clock.at = MIDNIGHT + 1
        self.nodes = [self._node(directory, name) for name in ("one", "other")]

    def _node(self, directory: DirectoryReader, owner: str) -> DailyReports:
        async def keys_of(domain: str, _version: int) -> tuple[DkimKey, ...]:
            return self.keys.get(domain, ())

        internet = self.internet
        return DailyReports(
            self.engine,
            directory,
            internet.resolver,
            internet.https,
            keys_of,
            QueueIds(),
            LETTERHEAD,
            owner,
            self.clock,
            self.committed.extend,
        )

    async def look(self, at: float) -> None:
        """Both, at the same time."""
        self.clock.at = at
        await asyncio.gather(*(node.look() for node in self.nodes))

    def sessions(self, *domains: str) -> None:
        """Of yesterday: one that was as it should be, two that were not."""
        with write(self.engine) as connection:
            for domain in domains:
                applied, fault = AppliedPolicy(PolicyType.NONE, domain), TlsFault(ResultType.STARTTLS_NOT_SUPPORTED)
                bad = TlsSession(domain, applied, fault, f"mx.{domain}", "203.0.113.5", "198.51.100.62")
                session_rows.add(connection, YESTERDAY, domain, {TlsSession(domain, applied): 1, bad: 2})

    def wants(self, domain: str, rua: str) -> None:
        self.internet.zones.publish(f'_smtp._tls.{domain}. 0 IN TXT "v=TLSRPTv1; rua={rua}"\n')

    def collector(self, name: str, code: int) -> str:
        """Its URL."""
        url = f"https://{name}/reports"
        self.internet.site(name)
        self.internet.web.answers[url] = status(code)
        return url

    def kept(self) -> dict[str, KeptReport]:
        with read(self.engine) as connection:
            domains = [one.domain for one in session_rows.domains(connection, YESTERDAY, 100)]
            return report_rows.of_day(connection, YESTERDAY, domains)


@asynccontextmanager
async def nodes(engine: Engine, folder: Path) -> AsyncIterator[Nodes]:
    directory = DirectoryReader(DirectoryCache(engine))
    with running(folder) as internet:
        yield Nodes(engine, directory, internet)
    directory.close()


def mails(connection: Connection) -> list[tuple[list[str], str, str, bytes]]:
    """Recipients, reverse path, what is demanded of TLS, and content of each message in the queue."""
    found = []
    for row in connection.execute(select(message)):
        to = connection.scalars(select(recipient.c.address).where(recipient.c.message_id == row.id)).all()
        content = b"".join(connection.scalars(select(chunk.c.data).where(chunk.c.message_id == row.id)))
        found.append((sorted(to), row.reverse_path, row.tls_demand, content))
    return found


@pytest.mark.asyncio
async def test_who_asks_is_sent_one_report_at_a_time_of_its_own_within_four_hours(
    example: Engine, tmp_path: Path
) -> None:
    async with nodes(example, tmp_path) as world:
        world.sessions("posted.example", "mailed.example", "both.example", "silent.example", "deaf.example")
        world.wants("posted.example", world.collector("good.example", 201))
        world.wants("mailed.example", "mailto:a@collector.example,mailto:b@collector.example")
        world.wants("both.example", f"{world.collector('bad.example', 500)}, mailto:c@collector.example")
        world.wants("deaf.example", "ftp://collector.example/")
        await world.look(MIDNIGHT + 1)
        due = [one.due_at or 0.0 for one in world.kept().values()]
        assert len(set(due)) == 5
        assert MIDNIGHT + SETTLING <= min(due) <= max(due) <= MIDNIGHT + SPREAD
        assert not world.internet.web.posted
        await world.look(MIDNIGHT + SPREAD)
        await world.look(MIDNIGHT + SPREAD + DAY - 1)
        posted = world.internet.web.posted
        kept = world.kept()
        with read(example) as connection:
            queued = mails(connection)
    assert {one.domain: one.state for one in kept.values()} == {
        "posted.example": ReportState.SENT,
        "mailed.example": ReportState.SENT,
        "both.example": ReportState.SENT,
        "silent.example": ReportState.NOT_WANTED,
        "deaf.example": ReportState.NOT_WANTED,
    }
    assert kept["both.example"].detail == "https://bad.example/reports: status 500; mailto:c@collector.example: taken"
    by_url = {url: (kind, json.loads(gzip.decompress(content))) for url, kind, content in posted}
    assert len(posted) == 2
    kind, report = by_url["https://good.example/reports"]
    assert kind == "application/tlsrpt+gzip"
    assert (report["organization-name"], report["contact-info"]) == ("Example, Inc.", "tls@example.com")
    assert report["report-id"] == kept["posted.example"].id
    assert report["policies"] == [
        {
            "policy": {"policy-type": "no-policy-found", "policy-domain": "posted.example"},
            "summary": {"total-successful-session-count": 1, "total-failure-session-count": 2},
            "failure-details": [
                {
                    "result-type": "starttls-not-supported",
                    "sending-mta-ip": "198.51.100.62",
                    "receiving-mx-hostname": "mx.posted.example",
                    "receiving-ip": "203.0.113.5",
                    "failed-session-count": 2,
                }
            ],
        }
    ]
    assert sorted(to for to, *_ in queued) == [["a@collector.example", "b@collector.example"], ["c@collector.example"]]
    accepted = [one for one in world.committed if one.kind is EventKind.ACCEPTED]
    assert len(accepted) == len(queued), "each is told of, as other mail is"
    assert {(sender, demand) for _, sender, demand, _ in queued} == {("", "waived")}
    assert_fits_section_5_3(next(content for to, *_, content in queued if len(to) == 2), kept["mailed.example"].id)


def assert_fits_section_5_3(content: bytes, report_id: str) -> None:
    parsed = message_from_bytes(content, policy=policy.default)
    assert not parsed.defects
    assert parsed.get_content_type() == "multipart/report"
    assert parsed.get_param("report-type") == "tlsrpt"
    assert (parsed["TLS-Report-Domain"], parsed["TLS-Report-Submitter"]) == ("mailed.example", "example.com")
    assert parsed["TLS-Required"] == "No"
    assert parsed["From"] == '"Example, Inc." <postmaster@example.com>'
    assert parsed["Subject"] == f"Report Domain: mailed.example Submitter: example.com Report-ID: <{report_id}>"
    words, file = parsed.iter_parts()
    assert "mailed.example on 2024-10-04 (UTC)" in words.get_content()
    assert file.get_content_type() == "application/tlsrpt+gzip"
    assert file.get_filename() == f"example.com!mailed.example!{YESTERDAY * 86400}!{YESTERDAY * 86400 + 86399}.json.gz"
    assert json.loads(gzip.decompress(file.get_content()))["report-id"] == report_id


@pytest.mark.asyncio
async def test_what_can_not_be_sent_is_tried_again_for_a_day_and_given_up(example: Engine, tmp_path: Path) -> None:
    async with nodes(example, tmp_path) as world:
        world.keys.clear()
        world.sessions("posted.example", "mailed.example")
        world.wants("posted.example", world.collector("bad.example", 503))
        world.wants("mailed.example", "mailto:a@collector.example")
        await world.look(MIDNIGHT + 1)
        at = MIDNIGHT + SPREAD
        waited: list[float] = []
        while (due := [one.due_at for one in world.kept().values() if one.due_at is not None]) and len(waited) < 50:
            await world.look(max(at, min(due)))
            waited.append(world.clock.at)
        kept, posted = world.kept(), world.internet.web.posted
        world.keys["example.com"] = (A_KEY,)
        await world.look(MIDNIGHT + 2 * DAY)
        with read(example) as connection:
            assert mails(connection) == []
    assert {one.state for one in kept.values()} == {ReportState.FAILED}
    assert kept["posted.example"].detail == "https://bad.example/reports: status 503"
    assert "example.com has no DKIM key; make one: outgate domain dkim set example.com" in kept["mailed.example"].detail
    assert 5 <= len(posted) <= 10
    assert waited[-1] <= MIDNIGHT + SPREAD + DAY
    assert {json.loads(gzip.decompress(content))["report-id"] for *_, content in posted} == {kept["posted.example"].id}


@pytest.mark.asyncio
@pytest.mark.parametrize("new_database", ["sqlite"], indirect=True)
async def test_what_was_posted_and_could_not_be_noted_is_posted_for_a_day_at_most(
    example: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked(*_: object) -> bool:
        raise StoreUnavailable("the database is locked")

    async with nodes(example, tmp_path) as world:
        world.sessions("posted.example")
        world.wants("posted.example", world.collector("good.example", 201))
        await world.look(MIDNIGHT + 1)
        with monkeypatch.context() as patched:
            patched.setattr(report_rows, "settle", locked)
            with pytest.raises(StoreUnavailable):
                await world.look(MIDNIGHT + SPREAD)
        assert world.kept()["posted.example"].attempts == 1
        with write(example) as connection:
            connection.execute(tls_report.update().values(leased_until=0.0))
        await world.look(MIDNIGHT + SPREAD + DAY + 1)
        kept, posted = world.kept()["posted.example"], world.internet.web.posted
    assert len(posted) == 1
    assert (kept.state, kept.due_at) == (ReportState.FAILED, None)
    assert "could not be noted" in kept.detail


@pytest.mark.asyncio
@pytest.mark.parametrize("new_database", ["sqlite"], indirect=True)
async def test_what_came_of_a_round_is_noted_at_once(
    example: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    used: list[object] = []
    settle = report_rows.settle

    def noted(connection: Connection, *args: Any) -> bool:
        used.append(connection.get_transaction())
        return settle(connection, *args)

    monkeypatch.setattr(report_rows, "settle", noted)
    async with nodes(example, tmp_path) as world:
        world.sessions("one.example", "two.example", "three.example")
        await world.look(MIDNIGHT + 1)
        await world.look(MIDNIGHT + SPREAD)
    assert len(used) == 3
    assert len({id(one) for one in used}) == 1
