"""What is on record of messages that did not come."""

import pytest
from sqlalchemy import Engine

from outgate.mail.mime_fields import TwoReadings, read_mime_field
from outgate.model import Organisation
from outgate.queue import Queue
from outgate.record import message_log
from outgate.smtp import Capabilities
from outgate.store.engine import read
from outgate.store.group_commit import GroupCommit
from outgate.submit import Submitter
from outgate.submit.quotas import SendingQuotas
from submissions import CAROL, LIMITS, NOON, account, submission


async def test_a_refused_sender_or_recipient_is_on_record(engine: Engine) -> None:
    commits = GroupCommit(engine)
    queue = Queue(engine, commits, "node", 60.0)
    submitter = Submitter(queue, SendingQuotas(engine, lambda: NOON), LIMITS)
    await submitter.refuse_envelope(5, NOON, account(), submission().envelope, "550 5.1.1 no such mailbox here")
    await commits.close()
    queue.close()
    with read(engine) as connection:
        [event] = message_log.history(connection, 5)
    assert (event.kind.value, event.detail["recipients"]) == ("refused", [CAROL])
    assert event.detail["refused"].startswith("550 5.1.1")


def test_the_organisations_own_mail_is_from_its_postmaster() -> None:
    assert Organisation(frozenset({"b.example", "a.example"})).postmaster == "postmaster@a.example"
    assert Organisation(frozenset({"b.example"}), primary_domain="b.example").postmaster == "postmaster@b.example"


def test_a_peer_says_that_it_knows_delivery_reports() -> None:
    assert Capabilities.parse(["DSN", "SIZE 1000"]).dsn
    assert not Capabilities.parse(["DSN"], avoided=["DSN"]).dsn


def test_a_parameter_whose_name_has_stars_out_of_place_is_not_read() -> None:
    with pytest.raises(TwoReadings):
        read_mime_field("text/plain; na*me*x=1")
