"""The footer on a message in pieces."""

from collections.abc import AsyncIterator

from outgate.compliance.footer_policy import add_footer

HEADER = b"From: alice@x.example\r\n\r\n"
MIB = 1024 * 1024


async def _pieces(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def test_a_message_that_fits_the_beginning_is_in_memory_with_its_footer() -> None:
    pieces = [HEADER, b"Hello\r\n"]
    result = await add_footer(_pieces(*pieces), sum(map(len, pieces)), "Example")
    assert result.beginning == HEADER + b"Hello\r\n\r\n-- \r\nExample\r\n"
    assert (result.more, result.remark) == (None, "added")
    assert result.growth == len(result.beginning) - sum(map(len, pieces))


async def test_of_a_large_one_only_the_beginning_is_read() -> None:
    pieces = [HEADER, b"x" * MIB, b"y" * MIB, b"z"]
    result = await add_footer(_pieces(*pieces), sum(map(len, pieces)), "Example")
    assert result.beginning == HEADER + pieces[1]
    assert result.growth == 0
    assert result.remark.startswith("not added: ")
    assert result.more is not None
    assert [piece async for piece in result.more] == pieces[2:]


async def test_what_must_not_have_a_footer_stays_as_it_is() -> None:
    signed = b'Content-Type: multipart/signed; boundary="b"\r\n' + HEADER
    result = await add_footer(_pieces(signed), len(signed), "Example")
    assert (result.beginning, result.growth, result.remark) == (
        signed,
        0,
        "not added: the message is signed or encrypted",
    )
