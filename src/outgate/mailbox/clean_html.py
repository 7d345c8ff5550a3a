"""HTML that somebody else wrote, made fit to be shown: what could run, load, submit or cover something is gone. Pure.

This is the first of two walls. The second is where it is shown: a sandboxed frame whose policy lets nothing run and
nothing load, so that a mistake here would be no more than ugly.
"""

import base64
import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote

import nh3

from outgate.frozen import frozen


def _named(text: str) -> frozenset[str]:
    return frozenset(text.split())


_TAGS: Final = _named(
    """
    a abbr b bdi bdo blockquote br caption center cite code col colgroup dd del dfn div dl dt em font h1 h2 h3 h4
    h5 h6 hr i img ins kbd li ol p pre q s samp small span strike strong sub sup table tbody td tfoot th thead tr
    tt u ul var wbr
    """
)
# What nobody reads. No `head`: its end tag may be left out, and all would be silent from there on.
SILENT: Final = _named(
    """
    script style title template svg math noscript iframe object embed applet
    """
)
_PLACED: Final = frozenset({"align", "valign", "width", "height", "bgcolor", "color", "dir", "lang", "title", "style"})
_ATTRIBUTES: Final = {
    "*": set(_PLACED),
    "a": {"href"},
    "img": {"src", "alt"},
    "td": {"colspan", "rowspan"},
    "th": {"colspan", "rowspan"},
    "ol": {"start"},
    "font": {"size", "face"},
    "table": {"border", "cellpadding", "cellspacing"},
}
_STYLES: Final = _named(
    """
    background-color border border-bottom border-collapse border-color border-left border-radius border-right
    border-spacing border-style border-top border-width color direction font font-family font-size font-style
    font-variant font-weight height letter-spacing line-height margin margin-bottom margin-left margin-right
    margin-top max-width min-width padding padding-bottom padding-left padding-right padding-top text-align
    text-decoration text-indent text-transform vertical-align white-space width word-break
    """
)
# What a user writes: no more than the writer's buttons make, so that no style of a quoted text stays in it.
_WRITTEN_TAGS: Final = _named(
    """
    a b blockquote br code div em h1 h2 h3 i li ol p pre s strong u ul
    """
)
_LOADS: Final = re.compile(r"(url|image|image-set|src|expression|import|attr|var|env)\s*\(|[\\@<]|/\*", re.IGNORECASE)
_DATA: Final = re.compile(r"data:image/(png|jpeg|gif|webp);base64,[A-Za-z0-9+/=\s]+\Z", re.IGNORECASE)
_LINK: Final = re.compile(r"(https?://|mailto:)", re.IGNORECASE)
_REMOTE: Final = re.compile(r"https?://", re.IGNORECASE)


@frozen
class CleanHtml:
    """What may be shown, and how many pictures elsewhere it would load (or loads, if that was asked for)."""

    html: str
    remote: int


def cleaned(html: str, pictures: Mapping[str, tuple[str, bytes]], *, with_remote: bool = False) -> CleanHtml:
    """`pictures` are those that came with it, by Content-ID: content type and bytes. Of the others none is loaded
    unless `with_remote`; the reader's address tells their owner where and when the letter was read."""
    remote = 0

    def filtered(tag: str, name: str, value: str) -> str | None:
        nonlocal remote
        if name == "style":
            return ";".join(one for one in value.split(";") if not _LOADS.search(one))
        if tag == "img" and name == "src":
            value = value.strip()
            if value.lower().startswith("cid:"):
                return _embedded(pictures.get(unquote(value[4:])))
            if _DATA.match(value):
                return value
            if _REMOTE.match(value):
                remote += 1
                return value if with_remote else None
            return None
        if name == "href" and not _LINK.match(value.strip()):
            return None
        return value

    clean = nh3.clean(
        html,
        tags=set(_TAGS),
        clean_content_tags=set(SILENT),
        attributes={tag: set(names) for tag, names in _ATTRIBUTES.items()},
        attribute_filter=filtered,
        url_schemes={"http", "https", "mailto", "cid", "data"},
        filter_style_properties=set(_STYLES),
        set_tag_attribute_values={"a": {"target": "_blank"}},
        link_rel="noopener noreferrer nofollow",
        generic_attribute_prefixes=None,
    )
    return CleanHtml(clean, remote)


def written(html: str) -> str:
    """What a user has written or keeps as a signature, for others: the tags of the writer's buttons alone."""
    return nh3.clean(
        html,
        tags=set(_WRITTEN_TAGS),
        clean_content_tags=set(SILENT),
        attributes={"a": {"href"}},
        url_schemes={"http", "https", "mailto"},
        link_rel=None,
    )


def _embedded(picture: tuple[str, bytes] | None) -> str | None:
    if picture is None:
        return None
    kind, content = picture
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
