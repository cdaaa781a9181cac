"""Names that people may not register, because others would take their owner for the operator of the index.

An operator may create such an account or organisation by command, and those that exist keep working.
"""

from __future__ import annotations

from common.errors import Invalid

_NAMES = """
    abuse admin administrator administrators admins anonymous api billing contact docker everybody everyone help
    helpdesk hostmaster index info legal mail mailer-daemon moderator moderators noc nobody no-reply noreply official
    operator operators owner postmaster privacy registry root sales security service staff status su sudo superuser
    support sysadmin system team wharfinger webmaster www
"""

RESERVED = frozenset(_NAMES.split())


def require_free(name: str, kind: str) -> None:
    """Raises Invalid; `kind` is what the message calls it, "username" or "name"."""
    if name in RESERVED:
        raise Invalid(f"Invalid {kind}: it is reserved for the operators of this index")
