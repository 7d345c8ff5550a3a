"""The routes of all pages that there are, without a server."""

from typing import Any, cast

from outgate.http.http_route import HttpRoute
from outgate.web.page_routes import page_routes
from outgate.web.services import PageServices
from way.place import Site
from web.links import opened


def all_pages(site: Site) -> list[HttpRoute]:
    """They are only looked at: what they need is not there, but for what they are made by."""
    with opened(site) as place:
        made_by = {"config": place.config, "engine": place.engine, "vault": place.vault, "sign_ins": {}}
        return page_routes(cast(Any, PageServices)(**dict.fromkeys(PageServices.__dataclass_fields__) | made_by))
