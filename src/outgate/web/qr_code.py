"""A text as a QR code to be scanned from a page. Pure; knows no page."""

import segno
from markupsafe import Markup


def qr_code(text: str) -> Markup | None:
    """An SVG with a light ground of its own, as scanners need, without anything that a page's policy forbids; None for
    a text that is too long: a code holds 2,953 bytes at most (ISO/IEC 18004, version 40-L).
    """
    try:
        code = segno.make(text, micro=False)
    except segno.DataOverflowError:
        return None
    return Markup(code.svg_inline(border=4, dark="#000", light="#fff", svgclass="qr", lineclass=None, omitsize=True))  # noqa: S704  # of the library: squares
