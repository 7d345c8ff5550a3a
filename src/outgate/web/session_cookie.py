"""The cookie of a log-in. Pure; knows no session.

With TLS its name begins with `__Host-`: browsers then take it from this host alone, and only for all of it, so that
neither a neighbour in the domain nor anybody on the way can set one. Without TLS (a trial on one machine) browsers take
no such name.
"""

from starlette.requests import Request
from starlette.responses import Response

from outgate.frozen import frozen

_NAME = "session"


@frozen
class SessionCookie:
    """How it is set and read; `seconds` is how long a browser keeps it at most."""

    secure: bool
    seconds: int

    @property
    def name(self) -> str:
        """As browsers know it."""
        return f"__Host-{_NAME}" if self.secure else _NAME

    def read(self, request: Request) -> str:
        """The secret that a browser has; empty if none."""
        return request.cookies.get(self.name, "")

    def give(self, response: Response, token: str) -> None:
        """Let the browser keep a secret, which no script can read and no other site's form sends."""
        response.set_cookie(
            self.name, token, max_age=self.seconds, path="/", secure=self.secure, httponly=True, samesite="lax"
        )

    def take(self, response: Response) -> None:
        """Let the browser forget it."""
        response.delete_cookie(self.name, path="/", secure=self.secure, httponly=True, samesite="lax")
