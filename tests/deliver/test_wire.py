"""One transport against peers that do what peers do: hosts that can't now, connections that break, words at the end."""

import asyncio
import functools

import pytest

from deliver.scripted import (
    CHUNKED,
    PIPELINED,
    SMALL,
    TIMEOUTS,
    Given,
    Script,
    Talk,
    carried,
    delivery,
    peer,
    transport,
)
from outgate.deliver.connection import Timeouts

GREYLISTED, BUSY = "451 4.3.2 try later", "452 4.3.1 full"
FLOW = [b"x" * 998 + b"\r\n"] * 200


async def takes_all(talk: Talk) -> None:
    await talk.greet()
    while True:
        await talk.take()


def says(verb: str, reply: str) -> Script:
    """A peer that answers one command, or the content, with this."""

    async def script(talk: Talk) -> None:
        await talk.greet()
        while True:
            line = await talk.hear()
            if line.startswith(verb):
                talk.say(reply)
            elif line.startswith("DATA"):
                talk.say("354 Go on")
                await talk.reader.readuntil(b"\r\n.\r\n")
                talk.say(reply if verb == "." else "250 2.0.0 Ok")
            else:
                talk.say("250 2.1.0 Ok")

    return script


# --- the next host -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verb", "reply"), [("RCPT", GREYLISTED), ("MAIL", BUSY), (".", "451 4.3.0 not stored"), ("DATA", "450 4.2.0 no")]
)
async def test_the_next_host_is_asked_when_one_can_not_take_it_now(verb: str, reply: str) -> None:
    async with peer([says(verb, reply)], [takes_all]) as hosts:
        assert await carried(transport(hosts)) == ["delivered 250"]
        assert hosts.connections == [1, 1]


def greeting(reply: str) -> Script:
    """A peer that says this first, or closes."""

    async def script(talk: Talk) -> None:
        if reply:
            talk.say(reply)
            await talk.gone()

    return script


@pytest.mark.parametrize("reply", ["421 4.3.2 closing down", "450 4.3.2 later", "554 5.3.2 no mail here", ""])
async def test_the_next_host_is_asked_where_one_lets_nobody_in(reply: str) -> None:
    """Whatever it says before there is a message is of the host alone."""
    async with peer([greeting(reply)], [takes_all]) as hosts:
        assert await carried(transport(hosts)) == ["delivered 250"]
        assert hosts.connections == [1, 1]


async def test_only_those_who_must_wait_go_on_to_the_next_host() -> None:
    heard: list[str] = []

    async def one_of_three(talk: Talk) -> None:
        await talk.greet()
        await talk.take("250 2.1.5 Ok", GREYLISTED, "550 5.1.1 nobody")

    async def next_one(talk: Talk) -> None:
        await talk.greet()
        await talk.answer("MAIL", "250 2.1.0 Ok")
        heard.append(await talk.answer("RCPT", "250 2.1.5 Ok"))
        await talk.content("250 2.0.0 Ok")

    async with peer([one_of_three], [next_one]) as hosts:
        found = await carried(transport(hosts), delivery("d.example", "d.example", "d.example"))
    assert found == ["delivered 250", "delivered 250", "failed 550"]
    assert heard == ["RCPT TO:<r1@d.example>"]


async def test_when_all_hosts_say_not_now_it_waits_and_no_host_is_asked_twice() -> None:
    async with peer([says("RCPT", GREYLISTED)], [says("RCPT", BUSY)], [says("MAIL", GREYLISTED)]) as hosts:
        line = transport(hosts)
        assert await carried(line) == ["retry 451"]
        assert hosts.connections == [1, 1, 1]


async def test_no_further_host_is_asked_when_the_time_of_one_has_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    passed = [0.0]
    monkeypatch.setattr("outgate.deliver.smtp_transport.monotonic", lambda: passed[0])

    async def slow(talk: Talk) -> None:
        passed[0] += TIMEOUTS.together * 0.6
        talk.say("421 4.3.2 not now")

    async with peer([slow], [slow], [slow], [slow]) as to:
        wire = transport(to)
        failed = await wire.connect()
        assert failed
        assert "421 4.3.2 not now" in failed.reason
        assert to.connections == [1, 1, 0, 0]
        await wire.connect()
        assert to.connections == [1, 1, 1, 1], "the next attempt has its own time, and begins with the others"


async def test_a_host_that_can_not_now_is_not_kept_warm_beside_others() -> None:
    async with peer([says("RCPT", GREYLISTED)], [says("RCPT", GREYLISTED), takes_all]) as hosts:
        line = transport(hosts)
        assert await carried(line) == ["retry 451"]
        assert await carried(line) == ["delivered 250"]
        assert hosts.connections == [2, 2]


async def test_the_only_host_is_kept_warm_whatever_it_says() -> None:
    async with peer([says("RCPT", GREYLISTED)]) as host:
        line = transport(host)
        assert [await carried(line) for _ in range(3)] == [["retry 451"]] * 3
        assert host.connections == [1]


async def test_a_host_that_breaks_in_the_envelope_is_followed_by_the_next() -> None:
    async def breaks(talk: Talk) -> None:
        await talk.greet()
        await talk.answer("MAIL", "250 2.1.0 Ok")
        await talk.hear("RCPT")

    async with peer([breaks], [takes_all]) as hosts:
        assert await carried(transport(hosts)) == ["delivered 250"]


async def test_what_may_have_been_delivered_is_not_given_to_the_next_host_at_once() -> None:
    async def silent_end(talk: Talk) -> None:
        await talk.greet()
        await talk.answer("MAIL", "250 2.1.0 Ok")
        await talk.answer("RCPT", "250 2.1.5 Ok")
        await talk.hear("DATA")
        talk.say("354 Go on")
        await talk.reader.readuntil(b"\r\n.\r\n")

    async with peer([silent_end], [takes_all]) as hosts:
        assert await carried(transport(hosts)) == ["retry 4.4.2"]
        assert hosts.connections == [1, 0]


# --- what is known when it breaks ------------------------------------------------------------------------------------


async def lmtp_breaks(talk: Talk, *replies: str) -> None:
    await talk.greet_lmtp()
    await talk.answer("MAIL", "250 2.1.0 Ok")
    for _ in range(3):
        await talk.answer("RCPT", "250 2.1.5 Ok")
    await talk.answer("DATA", "354 Go on")
    await talk.reader.readuntil(b"\r\n.\r\n")
    talk.say(*replies)


@pytest.mark.parametrize(
    ("replies", "outcomes"),
    [
        (["250 2.0.0 stored"], ["delivered 250", "retry 4.4.2", "retry 4.4.2"]),
        (["250 2.0.0 stored", "550 5.2.2 full"], ["delivered 250", "failed 550", "retry 4.4.2"]),
        (["452 4.2.2 full", "250 2.0.0 stored"], ["retry 452", "delivered 250", "retry 4.4.2"]),
        ([], ["retry 4.4.2"] * 3),
    ],
)
async def test_whom_lmtp_answered_for_before_it_broke_has_that_outcome(replies: list[str], outcomes: list[str]) -> None:
    async def script(talk: Talk) -> None:
        await lmtp_breaks(talk, *replies)

    async with peer([script]) as host:
        assert await carried(transport(host, lmtp=True), delivery(*["d.example"] * 3)) == outcomes


@pytest.mark.parametrize("silent", [True, False])
async def test_a_recipient_refused_before_the_connection_broke_is_not_asked_for_again(silent: bool) -> None:
    async def script(talk: Talk) -> None:
        await talk.greet()
        await talk.answer("MAIL", "250 2.1.0 Ok")
        await talk.answer("RCPT", "550 5.1.1 nobody")
        await talk.hear("RCPT")
        if silent:
            await talk.gone()

    async with peer([script]) as host:
        limits = Timeouts(5.0, 1.0, 1.0, 20.0) if silent else TIMEOUTS
        found = await carried(transport(host, timeouts=limits), delivery("d.example", "d.example"))
    assert found == ["failed 550", "retry 4.4.2"]


async def test_answers_that_may_be_those_to_something_else_are_no_outcomes() -> None:
    async def script(talk: Talk) -> None:
        await talk.greet(PIPELINED)
        await talk.hear("DATA")
        talk.say("250 2.1.0 Ok", "550 5.1.1 nobody", "250 2.1.5 Ok", "250 2.0.0 Ok")
        await talk.gone()

    async with peer([script]) as host:
        found = await carried(transport(host), delivery("d.example", "d.example"))
    assert found == ["retry 4.5.0", "retry 4.5.0"]


@pytest.mark.parametrize(
    ("words", "outcome"),
    [("421 4.3.2 shutting down", "retry 421"), ("552 5.3.4 too large", "failed 552"), ("452 4.3.1 full", "retry 452")],
)
@pytest.mark.parametrize("offers", [PIPELINED, CHUNKED])
@pytest.mark.parametrize("way", ["close", "half-close", "reset"])
async def test_last_words_in_the_middle_of_the_content_are_heard(
    words: str, outcome: str, offers: tuple[str, ...], way: str
) -> None:
    async def script(talk: Talk) -> None:
        await talk.greet(offers)
        await talk.hear("MAIL")
        talk.say("250 2.1.0 Ok", "250 2.1.5 Ok")
        if offers is PIPELINED:
            talk.say("354 Go on")
        await talk.reader.readexactly(20_000)
        talk.say(words)
        await talk.writer.drain()
        if way == "half-close":
            talk.writer.write_eof()
            await talk.gone()
        elif way == "close":
            await asyncio.sleep(0.05)  # until it has been read: a kernel that resets drops what was not

    pieces = FLOW * 20
    async with peer([script]) as host:
        message = Given(SMALL, pieces)
        found = await carried(transport(host, message))
    if way == "reset" and found == ["retry 4.4.2"]:
        return  # the reset may overtake the words
    expected = [[outcome]]
    if words.startswith("421") and offers is PIPELINED:
        expected.append(["retry 4.4.2"])  # in the middle of DATA it is no answer: our own status is before the farewell
    assert found in expected


async def test_the_words_of_a_farewell_are_recorded() -> None:
    async def script(talk: Talk) -> None:
        await talk.greet(PIPELINED)
        await talk.hear("MAIL")
        talk.say("250 2.1.0 Ok", "250 2.1.5 Ok", "354 Go on")
        await talk.reader.readexactly(20_000)
        talk.say("421 4.3.2 shutting down")
        talk.writer.write_eof()
        await talk.gone()

    async with peer([script]) as host:
        line = transport(host, Given(SMALL, FLOW * 20))
        assert await line.connect() is None
        result = await line.carry(delivery())
    assert "421 4.3.2 shutting down" in result.outcomes[0].reason


# --- once more on a fresh connection ---------------------------------------------------------------------------------


async def closes_with_421(talk: Talk) -> None:
    await talk.greet()
    await talk.take()
    await talk.answer("MAIL", "421 4.4.2 idle for too long")


async def closes_at_mail(talk: Talk) -> None:
    await talk.greet()
    await talk.take()
    await talk.hear("MAIL")


async def says_421_to_reset(talk: Talk) -> None:
    await talk.greet()
    await talk.take("550 5.1.1 nobody")
    await talk.answer("RSET", "421 4.4.2 idle for too long")


@pytest.mark.parametrize("stale", [closes_with_421, closes_at_mail, says_421_to_reset])
async def test_a_connection_given_up_by_the_peer_costs_the_next_message_nothing(stale: Script) -> None:
    async with peer([stale, takes_all]) as host:
        line = transport(host)
        await carried(line)
        assert await carried(line) == ["delivered 250"]
        assert host.connections == [2]


async def test_421_to_the_first_message_of_a_connection_is_its_outcome() -> None:
    async with peer([says("MAIL", "421 4.3.2 not now")]) as host:
        assert await carried(transport(host)) == ["retry 421"]
        assert host.connections == [1]


async def refuses_bdat(talk: Talk, reply: str | None) -> None:
    await talk.greet(CHUNKED)
    await talk.hear("MAIL")
    talk.say("250 2.1.0 Ok", "250 2.1.5 Ok")
    line = await talk.hear("BDAT")
    await talk.reader.readexactly(int(line.split()[1]))
    if reply:
        talk.say(reply)
    await talk.gone()


@pytest.mark.parametrize("reply", ["502 5.5.1 not implemented", "500 5.5.2 what", "503 5.5.1 bad sequence", None])
async def test_a_peer_that_offers_chunking_and_can_not_gets_data(reply: str | None) -> None:
    async def by_data(talk: Talk) -> None:
        await talk.greet(CHUNKED)
        await talk.hear("MAIL")
        talk.say("250 2.1.0 Ok", "250 2.1.5 Ok")
        await talk.content("250 2.0.0 Ok")

    async with peer([functools.partial(refuses_bdat, reply=reply), by_data]) as host:
        limits = TIMEOUTS if reply else Timeouts(5.0, 5.0, 1.0, 20.0)
        assert await carried(transport(host, timeouts=limits)) == ["delivered 250"]
        assert host.connections == [2]


async def silent_at_mail(talk: Talk) -> None:
    await talk.greet(CHUNKED)
    await talk.gone()


async def silent_at_rcpt(talk: Talk) -> None:
    await talk.greet(CHUNKED)
    await talk.hear("MAIL")
    talk.say("250 2.1.0 Ok")
    await talk.gone()


async def asks_for_more_at_rcpt(talk: Talk) -> None:
    await talk.greet(CHUNKED)
    await talk.hear("MAIL")
    talk.say("250 2.1.0 Ok", "354 Go on", "250 2.0.0 Ok")
    await talk.gone()


async def silent_at_the_last_chunk(talk: Talk) -> None:
    await talk.greet(CHUNKED)
    await talk.hear("MAIL")
    talk.say("250 2.1.0 Ok", "250 2.1.5 Ok")
    size = int((await talk.hear("BDAT")).split()[1])
    await talk.reader.readexactly(size)
    talk.say("250 2.0.0 chunk")
    await talk.gone()


@pytest.mark.parametrize(
    ("script", "pieces"),
    [(silent_at_mail, []), (silent_at_rcpt, []), (asks_for_more_at_rcpt, []), (silent_at_the_last_chunk, FLOW)],
)
async def test_only_bdat_that_is_itself_not_answered_is_followed_by_data_at_once(
    script: Script, pieces: list[bytes]
) -> None:
    """Elsewhere it is not BDAT that is not known, and the peer may have the message: it waits."""
    async with peer([script, takes_all]) as host:
        quick = Timeouts(5.0, 5.0, 0.3, 20.0)
        found = await carried(transport(host, Given(SMALL, pieces), timeouts=quick))
        assert found in (["retry 4.4.2"], ["retry 4.5.0"])
        assert host.connections == [1]


async def test_bdat_that_is_not_answered_once_is_not_used_again_with_that_peer() -> None:
    """So no more than one message is sent twice by this rule."""
    commands: list[str] = []

    async def by_data(talk: Talk) -> None:
        await talk.greet(CHUNKED)
        while True:
            await talk.hear("MAIL")
            talk.say("250 2.1.0 Ok", "250 2.1.5 Ok")
            commands.append(await talk.hear("DATA"))
            talk.say("354 Go on")
            await talk.reader.readuntil(b"\r\n.\r\n")
            talk.say("250 2.0.0 Ok")

    async with peer([functools.partial(refuses_bdat, reply=None), by_data]) as host:
        line = transport(host, timeouts=Timeouts(5.0, 5.0, 1.0, 20.0))
        assert [await carried(line), await carried(line)] == [["delivered 250"]] * 2
    assert commands == ["DATA", "DATA"]


@pytest.mark.parametrize(
    ("replies", "outcomes"),
    [
        (["503 5.5.1 nobody's", "250 2.0.0 stored"], ["failed 503", "delivered 250"]),
        (["250 2.0.0 stored", "500 5.3.0 broken"], ["delivered 250", "failed 500"]),
        (["250 2.0.0 stored", "504 5.3.0 broken"], ["delivered 250", "failed 504"]),
    ],
)
async def test_lmtp_that_took_it_for_one_by_bdat_gets_it_once(replies: list[str], outcomes: list[str]) -> None:
    async def script(talk: Talk) -> None:
        talk.say("220 store.example")
        await talk.hear("LHLO")
        talk.say("250-store.example", "250-PIPELINING", "250 CHUNKING")
        await talk.hear("MAIL")
        talk.say("250 2.1.0 Ok", "250 2.1.5 Ok", "250 2.1.5 Ok")
        size = int((await talk.hear("BDAT")).split()[1])
        await talk.reader.readexactly(size)
        talk.say(*replies)
        await talk.gone()

    async with peer([script]) as host:
        assert await carried(transport(host, lmtp=True), delivery("d.example", "d.example")) == outcomes
        assert host.connections == [1]


async def test_what_the_settings_discard_is_not_used() -> None:
    async def script(talk: Talk) -> None:
        await talk.greet(CHUNKED)
        await talk.take()

    async with peer([script]) as host:
        assert await carried(transport(host, discarded=frozenset({"CHUNKING", "PIPELINING"}))) == ["delivered 250"]


# --- deadlines, and what nobody asked for ----------------------------------------------------------------------------


async def drips(talk: Talk, text: str, pause: float = 0.02) -> None:
    for character in text * 10_000:
        talk.writer.write(character.encode())
        await asyncio.sleep(pause)
        if talk.writer.is_closing():
            return


@pytest.mark.parametrize("text", ["x", "250-more\r\n"])
@pytest.mark.parametrize("at", ["greeting", "EHLO"])
async def test_a_reply_that_comes_little_by_little_prolongs_no_time_limit_in_opening(text: str, at: str) -> None:
    async def script(talk: Talk) -> None:
        if at == "EHLO":
            talk.say("220 peer.example")
            await talk.hear("EHLO")
        await drips(talk, "220-" + text if at == "greeting" else "250-" + text)

    async with peer([script]) as host, asyncio.timeout(10):
        failed = await transport(host, timeouts=Timeouts(5.0, 0.3, 0.3, 20.0)).connect()
    assert failed is not None
    assert "timed out" in failed.reason


@pytest.mark.parametrize("text", ["x", "250-more\r\n"])
async def test_a_reply_that_comes_little_by_little_prolongs_no_transaction(text: str) -> None:
    async def script(talk: Talk) -> None:
        await talk.greet()
        await talk.hear("MAIL")
        await drips(talk, "250-" + text)

    async with peer([script]) as host, asyncio.timeout(10):
        assert await carried(transport(host, timeouts=Timeouts(5.0, 5.0, 0.3, 20.0))) == ["retry 4.4.2"]


async def test_each_reply_has_its_time_but_all_together_no_more_than_a_transaction() -> None:
    async def slow(talk: Talk) -> None:
        await talk.greet()
        for _ in range(1000):
            await talk.hear()
            await asyncio.sleep(0.1)
            talk.say("250 2.1.5 Ok")

    many = delivery(*["d.example"] * 90)
    async with peer([slow]) as host, asyncio.timeout(10):
        assert set(await carried(transport(host, timeouts=Timeouts(5.0, 5.0, 0.5, 1.0)), many)) == {"retry 4.4.2"}


@pytest.mark.parametrize("more", ["250-", "250 2.0.0 once again", "999 what", "x"])
async def test_an_idle_connection_on_which_something_comes_is_closed(more: str) -> None:
    closed = asyncio.Event()

    async def script(talk: Talk) -> None:
        await talk.greet()
        await talk.take()
        talk.writer.write(more.encode())
        try:
            await talk.gone()
        finally:
            closed.set()

    async with peer([script, takes_all]) as host, asyncio.timeout(10):
        line = transport(host)
        await carried(line)
        await closed.wait()
        assert await carried(line) == ["delivered 250"]


@pytest.mark.parametrize("flood", [b"250-xxxx\r\n", b"x", b"250 ok\r\n"])
async def test_a_flood_behind_354_ends_the_transaction_before_it_fills_the_memory(flood: bytes) -> None:
    sent = 0

    async def script(talk: Talk) -> None:
        nonlocal sent
        await talk.greet(PIPELINED)
        await talk.hear("MAIL")
        talk.say("250 2.1.0 Ok", "250 2.1.5 Ok", "354 Go on")
        while not talk.writer.is_closing():
            talk.writer.write(flood * 10_000)
            sent += len(flood) * 10_000
            await talk.writer.drain()

    async with peer([script]) as host, asyncio.timeout(20):
        message = Given(SMALL, FLOW * 100)
        assert await carried(transport(host, message)) == ["retry 4.5.0"]
    assert sent < 40 << 20


def test_time_limits_are_told_apart() -> None:
    assert TIMEOUTS.opening == 2 * TIMEOUTS.reply
