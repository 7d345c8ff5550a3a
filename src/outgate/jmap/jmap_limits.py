"""How much a program may ask for at once, as the session resource tells it. Data only."""

from typing import Final

from outgate.api.api_method import MAX_JSON

CORE: Final = "urn:ietf:params:jmap:core"
MAIL: Final = "urn:ietf:params:jmap:mail"
SUBMISSION: Final = "urn:ietf:params:jmap:submission"

MAX_REQUEST: Final = MAX_JSON  # bytes
MAX_CALLS: Final = 16  # methods in one request
MAX_IN_GET: Final = 1000  # objects
MAX_IN_SET: Final = 100
MAX_CONDITIONS: Final = 100  # in the filter of a query, operators among them
MAX_COMPARATORS: Final = 4
MAX_AT_ONCE: Final = 3  # requests of one user, and as many uploads, in one process: less than its database threads
