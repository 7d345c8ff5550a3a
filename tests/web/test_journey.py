"""What a message's page makes of its events: steps, ways, and what became of each recipient."""

from outgate.record import events
from outgate.record.events import EventKind, MessageEvent, Passage
from outgate.record.message_log import MessageOutcome
from outgate.route import ON_BEHALF
from outgate.web.journey import Journey, RecipientState, journey_of
from record.recorded import accepted

CAROL, DAVE = "carol@recipient.example", "dave@recipient.example"
PASSAGE = Passage(1, "alice@example.com", "mx:recipient.example", "direct")


def routed(way: str, *recipients: str, reason: str = "") -> MessageEvent:
    return events.routed(1, 1.0, recipients=recipients, way=way, queue=f"{way}:x", queue_name="", reasons=[reason])


def delivered(recipient: str, at: float = 2.0, reply: str = "250 ok") -> MessageEvent:
    return events.delivered(PASSAGE, at, recipient=recipient, by="", reply=reply, delay=1.0)


def deferred(recipient: str, at: float = 2.0) -> MessageEvent:
    return events.deferred(PASSAGE, at, recipient=recipient, reason="450 later", next_attempt=99.0)


def of(*told: MessageEvent) -> Journey:
    found = journey_of([accepted(1, "alice@example.com", CAROL, DAVE), *told])
    assert found
    return found


def test_what_began_before_the_record_has_no_journey() -> None:
    assert journey_of([]) is None
    assert journey_of([delivered(CAROL)]) is None


def test_recipients_that_came_to_the_same_are_one_step() -> None:
    steps = of(delivered(CAROL), delivered(DAVE)).steps[1:]
    assert [(one.kind, one.recipients) for one in steps] == [(EventKind.DELIVERED, (CAROL, DAVE))]


def test_another_reply_or_time_is_another_step() -> None:
    assert len(of(delivered(CAROL), delivered(DAVE, reply="250 fine")).steps) == 3
    assert len(of(delivered(CAROL), delivered(DAVE, at=3.0)).steps) == 3


def test_the_last_outcome_of_a_recipient_counts() -> None:
    journey = of(deferred(CAROL), deferred(DAVE), delivered(CAROL, at=3.0))
    assert journey.recipients == (
        RecipientState(CAROL, MessageOutcome.DELIVERED, "250 ok"),
        RecipientState(DAVE, MessageOutcome.WAITING, "450 later", 99.0),
    )
    assert [step.look for step in journey.steps] == ["done", "wait", "done"]


def test_who_was_never_tried_waits_and_of_a_refusal_nobody_does() -> None:
    assert {one.outcome for one in of().recipients} == {MessageOutcome.WAITING}
    refused = journey_of([events.refused(accepted(1), "550 5.7.1 no")])
    assert refused
    assert [(one.outcome, one.said) for one in refused.recipients] == [(MessageOutcome.REFUSED, "550 5.7.1 no")]
    assert refused.steps[0].look == "fail"


def test_each_way_has_its_look_and_its_own_count() -> None:
    own = of(routed("user-gateway", CAROL), routed("local", DAVE), delivered(CAROL), deferred(DAVE)).legs
    assert [(leg.look, leg.way, leg.recipients) for leg in own] == [
        ("user-gateway", "user-gateway", (CAROL,)),
        ("organisation", "local", (DAVE,)),
    ]
    assert [dict(leg.tally) for leg in own] == [{MessageOutcome.DELIVERED: 1}, {MessageOutcome.WAITING: 1}]
    (behalf,) = of(routed("direct", CAROL, DAVE, reason=f"{ON_BEHALF}alice@example.com")).legs
    assert behalf.look == "behalf"
