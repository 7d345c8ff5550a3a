"""Settings > Security: setting up a second factor and passkeys, and taking them away."""

from typing import Final

from starlette.responses import Response

from outgate.directory.errors import Invalid
from outgate.http.http_route import HttpRoute
from outgate.operations import second_factor_operations
from outgate.web.passkey_ceremony import PasskeyCeremony
from outgate.web.qr_code import qr_code
from outgate.web.security_page import PATH
from outgate.web.visit import Visit
from outgate.web.visits import Visits, status_of

FACTOR: Final = f"{PATH}/second-factor"
PASSKEYS: Final = f"{PATH}/passkeys"


class SecondFactorPage:
    """The steps of both."""

    def __init__(self, passkeys: PasskeyCeremony) -> None:
        self._passkeys = passkeys

    def routes(self, visits: Visits) -> list[HttpRoute]:
        """All there are."""
        return [
            visits.get(FACTOR, ask_code, proven=True),
            visits.post(FACTOR, begin),
            visits.post(f"{FACTOR}/confirm", confirm),
            visits.post(f"{FACTOR}/codes", new_codes),
            visits.get(f"{FACTOR}/remove", ask_before_removal, proven=True),
            visits.post(f"{FACTOR}/remove", remove),
            visits.get(f"{PASSKEYS}/add", self.ask_passkey, proven=True),
            visits.post(f"{PASSKEYS}/add", self.add_passkey),
            visits.post(PASSKEYS + "/{passkey:int}/remove", remove_passkey),
        ]

    def ask_passkey(self, visit: Visit, status: int = 200, why: str = "") -> Response:
        """A name for it, and the button at which the browser makes it."""
        with visit.reading() as op:
            there = second_factor_operations.show(op, visit.address).passkeys
        asked = self._passkeys.ask_for_new(visit.holder.user, there)
        return visit.page("passkey_add.html", status, why=why, name=visit.form.text("name"), asked=asked)

    def add_passkey(self, visit: Visit) -> Response:
        """The browser has made one."""
        form = visit.form
        try:
            key = self._passkeys.made(visit.holder.user, form.text("ticket"), form.text("answer"))
            if key is None:
                raise Invalid("the browser's answer does not hold, or took too long; try again")
            with visit.writing() as op:
                second_factor_operations.add_passkey(op, visit.address, form.text("name"), key)
        except Exception as error:
            return self.ask_passkey(visit, status_of(error), visit.said.error(error))
        return visit.go_to(f"{PATH}?done=passkey")


def begin(visit: Visit) -> Response:
    """Make the secret, then show it."""
    with visit.writing() as op:
        second_factor_operations.begin(op, visit.address)
    return visit.go_to(FACTOR)


def ask_code(visit: Visit, status: int = 200, why: str = "") -> Response:
    """What the app scans, and the field for its first code."""
    with visit.reading() as op:
        factors = second_factor_operations.show(op, visit.address)
        if not (factors.second_factor and factors.second_factor.waits):
            return visit.go_to(PATH)
        told = second_factor_operations.enrolment(op, visit.address)
    spaced = " ".join(told.secret[start : start + 4] for start in range(0, len(told.secret), 4))
    return visit.page("second_factor.html", status, why=why, qr=qr_code(told.uri), secret=spaced)


def confirm(visit: Visit) -> Response:
    """The first code: the second factor is on. Its recovery codes are shown once."""
    try:
        with visit.writing() as op:
            codes = second_factor_operations.confirm(op, visit.address, visit.form.text("code"))
    except Exception as error:
        return ask_code(visit, status_of(error), visit.said.error(error))
    return visit.page("recovery_codes.html", codes=codes, is_new=True)


def new_codes(visit: Visit) -> Response:
    """Recovery codes in place of those there were."""
    with visit.writing() as op:
        codes = second_factor_operations.new_recovery_codes(op, visit.address)
    return visit.page("recovery_codes.html", codes=codes, is_new=False)


def ask_before_removal(visit: Visit) -> Response:
    """Says what it means."""
    return visit.page("second_factor_remove.html")


def remove(visit: Visit) -> Response:
    """The password alone logs in again."""
    with visit.writing() as op:
        second_factor_operations.remove(op, visit.address)
    return visit.go_to(f"{PATH}?done=factor-off")


def remove_passkey(visit: Visit) -> Response:
    """It opens nothing any more."""
    with visit.writing() as op:
        second_factor_operations.remove_passkey(op, visit.address, int(visit.request.path_params["passkey"]))
    return visit.go_to(f"{PATH}?done=passkey-removed")
