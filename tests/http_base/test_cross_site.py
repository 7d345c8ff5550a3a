"""Whose request changes something: the table of what browsers and programs send."""

import pytest

from outgate.http.cross_site import is_forged, origin_of

OWN = "https://mail.example.com"


@pytest.mark.parametrize(
    ("headers", "forged"),
    [
        ({"sec-fetch-site": "same-origin"}, False),
        ({"sec-fetch-site": "none"}, False),
        ({"sec-fetch-site": "same-site"}, True),
        ({"sec-fetch-site": "cross-site"}, True),
        ({"sec-fetch-site": ""}, True),
        ({"sec-fetch-site": "Same-Origin"}, True),
        # Sec-Fetch-Site says more than Origin, which is null where a page sends no referrer.
        ({"sec-fetch-site": "same-origin", "origin": "null"}, False),
        ({"sec-fetch-site": "cross-site", "origin": OWN}, True),
        ({"origin": OWN}, False),
        ({"origin": "https://mail.example.com:443"}, True),  # browsers never write the usual port
        ({"origin": "http://mail.example.com"}, True),
        ({"origin": "https://mail.example.com:8443"}, True),
        ({"origin": "https://mail.example.com.evil.example"}, True),
        ({"origin": "https://example.com"}, True),
        ({"origin": "null"}, True),
        ({"origin": ""}, True),
        ({}, False),  # no browser
        ({"referer": "https://evil.example/"}, False),  # says nothing that Origin would not
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_a_change_is_refused_to_other_sites(method: str, headers: dict[str, str], forged: bool) -> None:
    assert is_forged(method, headers, OWN) is forged


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
@pytest.mark.parametrize("site", ["cross-site", "same-site", "none"])
def test_anybody_may_link_to_what_changes_nothing(method: str, site: str) -> None:
    assert not is_forged(method, {"sec-fetch-site": site, "origin": "https://evil.example"}, OWN)


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://mail.example.com", "https://mail.example.com"),
        ("https://mail.example.com/", "https://mail.example.com"),
        ("https://Mail.Example.com:443/outgate/", "https://mail.example.com"),
        ("https://mail.example.com:8443/x", "https://mail.example.com:8443"),
        ("http://mail.example.com:80", "http://mail.example.com"),
        ("http://mail.example.com:443", "http://mail.example.com:443"),
        ("https://[2001:DB8::1]:8443/", "https://[2001:db8::1]:8443"),
    ],
)
def test_an_origin_is_as_browsers_write_it(url: str, origin: str) -> None:
    assert origin_of(url) == origin
