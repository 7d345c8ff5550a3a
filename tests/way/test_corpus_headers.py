"""Every specimen through the steps that read and make header blocks: only the documented fields change.

Around the steps is only what their callers do: find the body, put the new block in front of it.
"""

import pytest

from corpus.compare import OUTGATE, differences, divide, fields, name_of
from corpus.messages import NAMES, build, faults
from outgate.mail.addresses import canonical
from outgate.mail.header_check import examine, split_message
from outgate.mail.header_rewrite import Trace, outgoing

PRIMARY = "alice@example.com"
EXTERNAL = "alice@dominiopartner.example"
INTERNATIONAL = "pelé@exämple.example"
TRACE = Trace("mail.example.com", "5YQ0-1", "ESMTPSA", 1_772_500_000.0)

# From, the Sender that the route wants, the address that it hides.
ROUTES = {
    "user gateway": (EXTERNAL, None, PRIMARY),
    "user gateway, international": (INTERNATIONAL, None, PRIMARY),
    "on behalf": (EXTERNAL, PRIMARY, None),
    "primary": (PRIMARY, None, None),
}


def _sent_on(raw: bytes, sender: str | None, hide: str | None) -> bytes:
    end = split_message(raw)
    block, rest = (raw, b"") if end is None else (raw[: end - 2], raw[end - 2 :])
    made = outgoing(examine(block).fields, trace=TRACE, sender=sender, hide=hide, from_domain="dominiopartner.example")
    return made + rest


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("route", ROUTES)
def test_only_documented_header_lines_change(name: str, route: str) -> None:
    from_address, sender, hide = ROUTES[route]
    specimen = build(name, from_address)
    received = _sent_on(specimen.raw, sender, hide)
    assert differences(specimen.raw, received, OUTGATE) == []
    assert faults(specimen, received) == []


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("from_address", [EXTERNAL, INTERNATIONAL])
def test_what_is_read_off_the_header_is_right(name: str, from_address: str) -> None:
    specimen = build(name, from_address)
    header, _ = divide(specimen.raw)
    examined = examine(header)
    assert examined.header_from == (canonical(from_address),)
    assert examined.has_utf8 is not header.isascii()
    assert [field.raw for field in examined.fields] == fields(header)


@pytest.mark.parametrize("name", NAMES)
def test_sender_is_the_primary_address_on_behalf_and_absent_otherwise(name: str) -> None:
    for from_address, sender, hide in ROUTES.values():
        header, _ = divide(_sent_on(build(name, from_address).raw, sender, hide))
        senders = [field for field in fields(header) if name_of(field) == "sender"]
        assert senders == ([f"Sender: {PRIMARY}\r\n".encode()] if sender else [])


@pytest.mark.parametrize("name", NAMES)
def test_no_header_line_tells_of_the_primary_address_through_a_user_gateway(name: str) -> None:
    header, _ = divide(_sent_on(build(name, EXTERNAL).raw, None, PRIMARY))
    assert PRIMARY.encode() not in header.lower()
