"""What can be wrong with a request to change directory or send-as rows, in texts for people."""


class DirectoryError(Exception):
    """The request can't be met; nothing was changed. The text says why and what to do.

    With `facts`, `text` is a format that names them: so pages say it in the user's language.
    """

    def __init__(self, text: str, /, **facts: object) -> None:
        super().__init__(text.format_map(facts) if facts else text)
        self.text, self.facts = text, facts


class NotFound(DirectoryError):
    """There is no such thing."""


class AlreadyExists(DirectoryError):
    """It is there already."""


class Invalid(DirectoryError):
    """The request is not well-formed, or contradicts the state of things."""


class NotAllowed(DirectoryError):
    """Policy, or the nature of the thing, forbids it."""
