"""What is declared of each method of an API: the one source of routes, descriptions (discovery documents, OpenAPI) and
checks. Data only.

Knows neither how a method is found nor what it does.
"""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, ClassVar, Final, Literal

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from outgate.frozen import frozen

if TYPE_CHECKING:
    from outgate.api.api_call import ApiCall

MAX_JSON: Final = 1024 * 1024  # bytes of a request without a message


class Resource(BaseModel):
    """What is sent or answered as JSON, by Google's names. What it has no field for is refused.

    A docstring and each field's description go into the discovery document.
    """

    google_name: ClassVar[str] = ""  # where ours is another
    inline: ClassVar[bool] = False  # it has no name at Google's, and stands where it is used

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid")


Verb = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
Outcome = Resource | None
Answer = Callable[["ApiCall"], Outcome] | Callable[["ApiCall"], Awaitable[Outcome]]


@frozen
class ApiParameter:
    """What is given in the path or the query."""

    name: str
    description: str
    location: Literal["path", "query"] = "path"
    kind: Literal["string", "integer", "boolean"] = "string"
    format: str = ""
    default: str = ""
    enum: tuple[str, ...] = ()
    pattern: str = ""  # for Google's clients, which check it
    is_required: bool = False  # in the query; what the path names always is
    repeated: bool = False  # it may come several times (ApiCall.repeated)


@frozen
class MediaUpload:
    """A message may come as it is, beside its JSON or in its place: at `/upload` and the method's path."""

    accept: tuple[str, ...]
    max_bytes: int


@frozen
class ApiMethod:
    """A method as in `gmail.users.settings.sendAs.list`. Any one of the scopes is enough, with all that it needs
    besides (`and_scopes`).

    `path` follows the service path of its API; `{+name}` in it may have slashes, and `flat_path` says how many.
    `answer` is a plain function, run in the base's threads, or `async`. `takes` and `gives` are the bodies; None is an
    empty one, answered by 204. `of_directory` says that what is answered to a user changes only with the directory.
    Whoever names the state that they have seen (If-Match) needs `match_scopes` as well, as for reading it; where there
    are none, it is not looked at.
    """

    id: str
    verb: Verb
    path: str
    description: str
    scopes: tuple[str, ...]
    answer: Answer
    parameters: tuple[ApiParameter, ...] = ()
    takes: type[Resource] | None = None
    gives: type[Resource] | None = None
    media: MediaUpload | None = None
    max_body: int = MAX_JSON
    flat_path: str = ""
    of_directory: bool = False
    and_scopes: tuple[str, ...] = ()
    match_scopes: tuple[str, ...] = ()


CHANGES: Final[tuple[tuple[str, Verb], ...]] = (("patch", "PATCH"), ("update", "PUT"))  # where both do the same


@frozen
class ApiSurface:
    """An API of one name and version, as a discovery document tells of it. `service_path` is empty or ends with `/`.

    `kind` is the form of its answers: Google's, or our own.
    """

    name: str
    version: str
    title: str
    description: str
    service_path: str
    scopes: dict[str, str]  # each with its description
    methods: tuple[ApiMethod, ...]
    batch_path: str = "batch"
    kind: Literal["google", "api"] = "google"

    def template(self, method: ApiMethod) -> str:
        """The whole path of one of its methods, each part of which has no slash."""
        return f"/{self.service_path}{method.flat_path or method.path}"
