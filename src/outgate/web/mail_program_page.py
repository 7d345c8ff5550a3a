"""Settings > Mail program: what to enter in a mail program, and what sets one up by itself."""

from typing import Final

from starlette.responses import Response

from outgate.directory.errors import NotFound
from outgate.http.http_route import HttpRoute
from outgate.mail_program.apple_profile import CONTENT_TYPE, apple_profile
from outgate.mail_program.program_servers import servers_of
from outgate.mail_program.thunderbird_code import thunderbird_code
from outgate.operations import second_factor_operations
from outgate.web.qr_code import qr_code
from outgate.web.visit import Visit
from outgate.web.visits import Visits

PATH: Final = "/settings/mail-program"
PROFILE: Final = f"{PATH}/apple.mobileconfig"


class MailProgramPage:
    """The page, and the file for Apple's devices."""

    def routes(self, visits: Visits) -> list[HttpRoute]:
        """All there are."""
        return [visits.get(PATH, _show), visits.get(PROFILE, _profile)]


def _show(visit: Visit) -> Response:
    servers, user = servers_of(visit.services.config), visit.holder.user
    with visit.reading() as op:
        factor = second_factor_operations.show(op, visit.address).second_factor
    code = thunderbird_code(*servers.both, user.address, user.name) if servers.both else None
    return visit.page(
        "mail_program.html",
        servers=servers,
        needs_own_password=factor is not None and not factor.waits,
        profile=PROFILE if servers.both else "",
        page_code=qr_code(servers.pages + PATH),
        thunderbird_code=qr_code(code) if code else None,
    )


def _profile(visit: Visit) -> Response:
    """To be opened on the device itself."""
    both, user = servers_of(visit.services.config).both, visit.holder.user
    if not both:
        raise NotFound("no server for reading mail is known here, so there is no profile; enter the settings by hand")
    title = visit.said("Mail of %(address)s", address=user.address)
    name = f"{user.address.rpartition('@')[2]}.mobileconfig"
    return Response(
        apple_profile(*both, user.address, user.name, title),
        media_type=CONTENT_TYPE,
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )
