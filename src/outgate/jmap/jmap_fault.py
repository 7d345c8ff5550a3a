"""What is told of what was not done: a request (RFC 8620 3.6.1), a method (3.6.2), one object of it (5.3). Pure."""

from typing import Final

from starlette.responses import JSONResponse, Response

_ERROR: Final = "urn:ietf:params:jmap:error:"


class _Fault(Exception):
    """`kind` is the RFC's word; `more` are the properties that it has beside the description."""

    def __init__(self, kind: str, description: str = "", **more: object) -> None:
        super().__init__(description or kind)
        self.kind, self.description, self.more = kind, description, more

    def told(self) -> dict[str, object]:
        """As JSON has it."""
        return {"type": self.kind, **({"description": self.description} if self.description else {}), **self.more}


class RequestFault(_Fault):
    """No method of the request is called."""

    def response(self) -> Response:
        """A problem (RFC 7807)."""
        members = {"type": _ERROR + self.kind, "status": 400, "detail": self.description, **self.more}
        return JSONResponse(members, 400, media_type="application/problem+json")


class MethodFault(_Fault):
    """A method has done nothing."""


class SetFault(_Fault):
    """An object is neither made, changed nor destroyed."""


def wrong_property(name: str, description: str) -> SetFault:
    """One property can't be so."""
    return SetFault("invalidProperties", description, properties=[name])
