"""Error texts in the reader's language: by status, or by the failure's English message."""

from __future__ import annotations

from common import errors
from index_service.accounts import access_tokens, email_addresses, organisations
from index_service.accounts.organisations import SoleOwner
from index_service.images.quotas import QuotaReached
from index_service.repositories import role_assignments
from index_service.repositories.repository_settings import UnmovableTags
from index_service.web.formats import number, size
from index_service.web.languages import Text, gettext, lazy

TITLES = {
    400: lazy("Bad request"),
    403: lazy("Access denied"),
    404: lazy("Page not found"),
    405: lazy("Method not allowed"),
    409: lazy("Something has changed in the meantime"),
    413: lazy("Too large"),
    429: lazy("Too many requests"),
    500: lazy("Something went wrong"),
    503: lazy("Service temporarily unavailable"),
}
"""The heading of a failure's page."""

EXPLANATIONS = {
    400: lazy("Part of the address is not valid for this page."),
    403: lazy("You do not have permission to view or do this."),
    404: lazy("This page does not exist, or you do not have access to it."),
    405: lazy("This address does not support this method."),
    409: lazy("Your request conflicts with the current state."),
    413: lazy("The form is larger than this site accepts."),
    429: lazy("Wait a moment and try again."),
    500: lazy("This is not your fault. The error has been logged under the number below."),
    503: lazy("Try again in a moment. Everything already pushed is safe."),
}

TRANSLATED = (
    lazy("Wrong username or password"),
    lazy("Account is not active"),
    lazy("Too many attempts, try again later"),
    lazy("Invalid username: use 2 to 30 of a-z 0-9, joined by one of . _ - in between"),
    lazy("Invalid username: library is reserved for official repositories"),
    lazy("Invalid password: use 8 to 256 characters"),
    lazy("Invalid password: choose another than the username or the email address"),
    lazy("Invalid password: too many people use it; choose another"),
    lazy("Invalid username: it is reserved for the operators of this index"),
    lazy("Invalid name: it is reserved for the operators of this index"),
    lazy("Invalid email address"),
    lazy("Username or email already exists"),
    lazy("The database does not answer, try again later"),
    lazy("The registry is unavailable, so nothing more was deleted; try again later"),
    lazy("The form has expired or was not sent from this site; reload the page"),
    lazy("Only administrators can do this"),
    lazy("Invalid name: use 2 to 30 of a-z 0-9, joined by one of . _ - in between"),
    lazy("Invalid name: library is reserved for official repositories"),
    lazy("Invalid text"),
    lazy("Invalid size: use a number and a unit, such as 500 MB or 10 GB, and 0 for no limit"),
    lazy("Invalid number: use a whole number, and 0 for no limit"),
    lazy("This name is taken"),
    lazy("No account or organisation has this name"),
    lazy("Cannot remove the last owner; make someone else an owner first"),
    lazy("This person is already a member"),
    lazy("This person is already in the team"),
    lazy("Only an owner of the organisation can do this"),
    lazy("Only an administrator of the namespace can do this"),
    lazy("Only an owner of the namespace can move a repository out of it"),
    lazy("no such organisation"),
    lazy("no such team"),
    lazy("no such member"),
    lazy("no such role"),
    lazy("Choose a role"),
    lazy("Choose who can see it"),
    lazy("Choose a person or a team"),
    lazy("This person owns the namespace"),
    lazy("Only teams of the namespace's organisation can be granted a role"),
    lazy("The repository already has this name"),
    lazy("Enter the full name, such as acme/app"),
    lazy("Invalid repository name"),
    lazy("Invalid repository name: it could be mistaken for an image id"),
    lazy("The name does not match"),
    lazy("You cannot change your own account here; ask another administrator"),
    lazy("This account is closed: reopen it first"),
    lazy("Cannot remove the last administrator; make someone else an administrator first"),
    lazy("Choose what to change"),
    lazy("Choose what to end"),
    lazy("This account has no such session or token"),
    lazy("Enter a date such as 2015-06-08"),
    lazy("Invalid filter"),
    lazy("Invalid sort order"),
    lazy("This list has no such page"),
    lazy("Invalid page number: use a whole number from 1"),
    lazy("Wrong password"),
    lazy("Sign-up is closed; ask an administrator for an account"),
    lazy("This link has been used or has expired"),
    lazy("This email address is already in use"),
    lazy("Cannot remove the only email address; add another one first"),
    lazy("Enter a name of up to 100 characters"),
    lazy("Use a repository's full name, with * for any run of characters: acme/* or acme/web-*"),
    lazy("Choose one of the languages"),
    lazy("Choose what the token can do"),
    lazy("Choose how long the token lasts"),
    lazy("Invalid text: it is too long"),
    lazy("Invalid text: it has characters that cannot be shown"),
    lazy("Invalid website: give an address that begins with http:// or https://"),
    lazy("Comment not found"),
    lazy("A comment cannot be empty"),
    lazy("The repository has no such tag"),
    lazy("The repository has no such image"),
    lazy("Only the author of a comment can edit it"),
    lazy("Only the author of a comment can delete it"),
    lazy("Pinning a comment requires write access to the repository"),
    lazy("You cannot flag your own comment; edit or delete it"),
    lazy("An administrator of the index has hidden this comment"),
    lazy("Only an administrator of the repository can hide a comment"),
    lazy("Too many comments, try again later"),
    lazy("Confirm your e-mail address first"),
    lazy("Invalid tag name"),
    lazy("Invalid image ID"),
    lazy("The query is too long"),
)
"""Messages of the domain that people may see; the others are shown as they are."""

LIMITS = (
    (lazy("Limit of %(limit)s organisations per owner reached"), organisations.MAX_OWNED),
    (lazy("Limit of %(limit)s teams per organisation reached"), organisations.MAX_TEAMS),
    (lazy("Limit of %(limit)s role assignments reached; use a team"), role_assignments.MAX_ASSIGNMENTS),
    (lazy("Limit of %(limit)s email addresses per account reached"), email_addresses.MAX_ADDRESSES),
    (lazy("Limit of %(limit)s access tokens per account reached; revoke one first"), access_tokens.MAX_TOKENS),
)
"""Messages of the domain about limits, each with the limit."""

_TRANSLATED = {text.message for text in TRANSLATED}
_LIMITS = {text.message % {"limit": limit}: (text.message, limit) for text, limit in LIMITS}


def explain(failure: errors.Failure) -> str:
    """The error text beside a form's field."""
    if isinstance(failure, SoleOwner):
        return gettext(
            "This person is the last owner of %(organisations)s: make someone else an owner there first",
            organisations=failure.organisations,
        )
    if isinstance(failure, UnmovableTags):
        return gettext("These tags cannot be moved to another name, delete them first: %(tags)s", tags=failure.tags)
    if isinstance(failure, QuotaReached):
        return _used_up(failure)
    return _translated(failure.message)


def _used_up(failure: QuotaReached) -> str:
    used, allowed = ((number if failure.is_count else size)(each) for each in (failure.used, failure.allowed))
    return gettext(
        "The quota of %(namespace)s is used up: %(used)s of %(allowed)s; delete repositories, or ask for more",
        namespace=failure.namespace,
        used=used,
        allowed=allowed,
    )


def title(status: int) -> str:
    return str(TITLES.get(status) or TITLES[500 if status >= 500 else 400])


def explanation(status: int, message: str) -> str:
    """The domain's own message if it has a translation, else the text of the status."""
    if message in _TRANSLATED or message in _LIMITS:
        return _translated(message)
    return str(_of_status(status))


def _translated(message: str) -> str:
    if message in _LIMITS:
        text, limit = _LIMITS[message]
        return gettext(text, limit=limit)
    return gettext(message)


def _of_status(status: int) -> Text:
    return EXPLANATIONS.get(status) or EXPLANATIONS[500 if status >= 500 else 400]
