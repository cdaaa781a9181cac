"""The exceptions of both services; one table in `common.http` maps them to HTTP statuses.

    Failure
    ├── Invalid            the request itself is wrong; the message says what to correct
    ├── Unauthenticated    no credentials, or invalid ones
    ├── Forbidden          authenticated, but not authorized
    ├── NotFound           absent, or hidden: indistinguishable
    ├── Conflict           valid, but in conflict with the current state
    ├── Unmet              a precondition the client has to fulfil first
    ├── TooLarge           larger than a limit of this service
    ├── TooMany            rate limit exceeded; retry later
    ├── Unavailable        a dependency is down or slow
    └── OutOfSpace         the store is full

Messages travel to clients as they are: a message holds no secret and no path of the machine.
"""


class Failure(Exception):
    """A failure with a message for the client; raised through its subclasses only."""

    @property
    def message(self) -> str:
        return str(self.args[0])


class Invalid(Failure):
    pass


class Unauthenticated(Failure):
    pass


class Forbidden(Failure):
    pass


class NotFound(Failure):
    pass


class Conflict(Failure):
    pass


class Unmet(Failure):
    pass


class TooLarge(Failure):
    pass


class TooMany(Failure):
    """Rate limit exceeded; `retry_after` is in seconds."""

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Unavailable(Failure):
    """A dependency is down or slow; `retry_after` is in seconds, None where nobody knows."""

    retry_after: int | None = None


class OutOfSpace(Failure):
    pass
