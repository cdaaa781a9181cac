"""The kinds of failure both services know; each room raises these, one table in `common.http` gives them a status.

    Failure
    ├── Invalid            the request itself is wrong; the message names what to mend
    ├── Unauthenticated    nobody, or nobody we believe
    ├── Forbidden          somebody known, who may not
    ├── NotFound           absent, or hidden: the two look the same
    ├── Conflict           right in itself, wrong in the present state
    ├── Unmet              a precondition the client has to fulfil first
    ├── TooLarge           more than this service takes in one piece
    ├── TooMany            asked too often; try again later
    ├── Unavailable        something this service stands on is down or slow
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
    """Asked too often; `retry_after` is in seconds."""

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Unavailable(Failure):
    pass


class OutOfSpace(Failure):
    pass
