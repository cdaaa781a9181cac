"""The v1 index protocol for Docker clients and registries: each method is one request, served within a short
transaction or refused.

Every method first authenticates the caller. Before it returns it has committed; a raise rolls back.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from common.errors import Forbidden, Unauthenticated
from common.names import ImageId, RepositoryName, Tag
from common.tokens import Access, Token
from index_service.accounts import email_addresses, password_changes, validators
from index_service.accounts.actor import Actor
from index_service.accounts.email_addresses import AddressTaken
from index_service.accounts.registration import NameTaken
from index_service.audit.log import AuditContext
from index_service.database import Database
from index_service.db import Clock
from index_service.images import image_store, jobs
from index_service.images.quotas import Quotas
from index_service.repositories import catalogue, holdings
from index_service.repositories.endpoints import Endpoints
from index_service.repositories.holdings import EVERYWHERE, AskedStore
from index_service.repositories.image_list import ImageListEntry, announced_tags, checksums
from index_service.repositories.models import Repository
from index_service.repositories.policy import Action, RepositoryNotFound
from index_service.repositories.pulls import PullCounter
from index_service.repositories.roles import AccessControl
from index_service.search import documents, finder
from index_service.services import reading_tokens
from index_service.services.authentication import Authentication
from index_service.services.credentials import Anonymous, Bearer, Caller, Credential, Login
from index_service.services.former_names import FormerNames
from index_service.services.job_runner import JobRunner
from index_service.services.metadata_reader import MetadataReader
from index_service.services.registration import Registration, SignUp
from index_service.services.token_sweep import TokenSweep
from index_service.tokens import protocol_tokens
from index_service.tokens.protocol_tokens import ProtocolTokens
from index_service.tokens.signing import TokenRefused

TIME_TO_DO_IT = timedelta(seconds=5)
"""How long a registry usually takes to do what it asked for; the end of a push makes the comparison due at once."""


@dataclass(frozen=True, slots=True)
class Issued:
    """A token for the client, and the registry to present it to."""

    token: Token
    endpoint: str


@dataclass(frozen=True, slots=True)
class Listing:
    """A repository's images, `[{"id": …, "checksum": …}]`, each with `"held"` for a registry; `issued` if a token was
    requested."""

    images: list[dict[str, str]]
    issued: Issued | None


class Protocol:
    """The requests of Docker clients and registries: accounts, names, image lists and tokens."""

    def __init__(
        self,
        database: Database,
        authentication: Authentication,
        registration: Registration,
        tokens: ProtocolTokens,
        access_control: AccessControl,
        endpoints: Endpoints,
        former_names: FormerNames,
        jobs: JobRunner,
        facts: MetadataReader,
        counted: PullCounter,
        sweep: TokenSweep,
        quotas: Quotas,
        clock: Clock,
        *,
        max_images: int,
    ) -> None:
        self._database = database
        self._authentication = authentication
        self._registration = registration
        self._tokens = tokens
        self._access_control = access_control
        self._endpoints = endpoints
        self._former_names = former_names
        self._jobs = jobs
        self._facts = facts
        self._pulls = counted
        self._quotas = quotas
        self._clock = clock
        self._max_images = max_images
        self._sweep = sweep

    def token_keys(self) -> tuple[tuple[bytes, ...], datetime]:
        """The public keys of tokens for reading, and what time it is."""
        return self._tokens.public_keys, self._clock()

    def sign_up(self, name: object, password: object, email: object, client_ip: str) -> SignUp:
        """Protocol §2.2. Raises Invalid, WrongCredential or TooMany."""
        return self._registration.sign_up(name, password, email, client_ip)

    def check_login(self, credential: Credential) -> Actor:
        """Protocol §2.2. Raises Unauthenticated, Forbidden (inactive) or TooMany."""
        return self._authentication.person(credential)

    def change_account(self, credential: Credential, name: str, password: object, email: object) -> None:
        """Set one's own password, or add an address; None leaves either as it is."""
        actor = self._authentication.person(credential)
        if actor.name != name:
            raise Forbidden("You can change only your own account")
        if actor.limits is not None:
            raise Forbidden("Changing an account requires its password, not an access token")
        context = self._context(credential, actor)
        password_hash = None if password is None else self._authentication.hashed_for(password, actor)
        checked = None if email is None else validators.validate_email(email)
        try:
            with self._database.writing() as session:
                if password_hash is not None:
                    password_changes.change_own(session, context, actor, password_hash)
                if checked is not None and not email_addresses.is_of(session, actor.id, checked):
                    email_addresses.add(session, context, actor, checked)
        except AddressTaken as error:
            raise NameTaken from error

    def announce_push(self, credential: Credential, name: RepositoryName, entries: list[ImageListEntry]) -> Issued:
        """Start a push: allocate the name if it is free, add to its list, issue a write token (protocol §2.3).

        Raises QuotaReached.
        """
        caller = self._authentication.caller(credential, name, Access.WRITE)
        name.require_unambiguous()
        with self._database.writing() as session:
            context = self._context(credential, caller.actor)
            is_new = catalogue.find(session, name) is None
            if is_new:
                self._access_control.require_creatable(session, caller.actor, name)
                self._quotas.require_room(session, name)
                endpoint = self._endpoints.choose(name)
                catalogue.allocate(session, context, name, caller.known(), endpoint, "push")
            repository = self._locked(session, caller, name, Action.WRITE)
            self._quotas.require_bytes(session, name.namespace)
            if is_new:
                documents.refresh(session, repository.id)
            catalogue.announce_images(session, repository, checksums(entries), self._max_images, context.at)
            catalogue.announce_tags(session, repository, announced_tags(entries), context.at)
            return self._issue(session, caller, repository, Access.WRITE)

    def read_listing(
        self, credential: Credential, name: RepositoryName, *, asks_token: bool, store: str = ""
    ) -> Listing:
        """The images of a repository, for a client that pulls or a registry that checks a token, which names its store.

        A registry forwards the credential it received and requests no token itself; the scheme without a token is
        enough for a client, but authenticates nothing to a registry (protocol §2.4, §5.3). What a push has only
        announced is for the registry it goes to: no reader sees it.
        """
        if credential == Bearer(()) and not asks_token:
            raise TokenRefused
        caller = self._authentication.caller(credential, name, *Access)
        with self._database.reading() as session:
            if caller.is_index and caller.repository is None:
                return Listing([], None)
            repository = caller.repository or self._readable(session, caller, name)
            if caller.token is not None and not asks_token:
                return Listing(_for_registry(session, caller, repository, self._endpoints.asked(store)), None)
            rows = holdings.listed_for_registry(session, repository, EVERYWHERE, announced=False)
        images = [_entry(id_, checksum) for id_, checksum, _ in rows]
        return Listing(images, self._issue_read(caller, repository, holdings.digest(rows)) if asks_token else None)

    def conclude_push(self, credential: Credential, name: RepositoryName, entries: list[ImageListEntry]) -> None:
        """Conclude a push: add to the list, and confirm the announced tags (protocol §2.4)."""
        caller = self._authentication.caller(credential, name, Access.WRITE)
        with self._database.writing() as session:
            repository = self._locked(session, caller, name, Action.WRITE)
            catalogue.record_images(session, repository, checksums(entries), self._max_images, self._clock())
            catalogue.conclude_push(session, repository, caller.pusher, self._clock())
            self._enqueue_read(session, repository)
        self._jobs.wake_up.set()

    def require_writable(self, credential: Credential, name: RepositoryName) -> None:
        """Raises unless this caller may write to this repository."""
        caller = self._authentication.caller(credential, name, Access.WRITE)
        with self._database.reading() as session:
            self._access_control.require(session, caller.actor, name, catalogue.find(session, name), Action.WRITE)

    def writer(self, credential: Credential, name: RepositoryName) -> Actor:
        """The person behind a credential that may write, if the role allows it. Raises Unauthenticated for the index
        itself, which is nobody."""
        return self._authentication.caller(credential, name, Access.WRITE).known()

    def tags(self, credential: Credential, name: RepositoryName) -> dict[Tag, ImageId]:
        """The tags of a repository that the caller may read, for programs that have a password and no token."""
        caller = self._authentication.caller(credential, name, *Access)
        with self._database.reading() as session:
            repository = caller.repository or self._readable(session, caller, name)
            return catalogue.tags(session, repository.id)

    def is_private(self, credential: Credential, name: RepositoryName) -> bool:
        """The visibility of a repository that the caller may read.

        Raises RepositoryNotFound for the index itself, which asks a registry for what its store says.
        """
        caller = self._authentication.caller(credential, name, *Access)
        if caller.is_index:
            raise RepositoryNotFound
        with self._database.reading() as session:
            return (caller.repository or self._readable(session, caller, name)).is_private

    def has_access(self, credential: Credential, name: RepositoryName, image_id: ImageId, *, store: str = "") -> bool:
        """Whether this repository holds the image in the store of the registry that asks, or a public one holds it
        shared (protocol §2.7).

        What has just been pushed is looked up at its registry. The index itself asks a registry for what the repository
        alone holds, by its store.
        """
        if credential in (Anonymous(), Bearer(())):
            raise Unauthenticated("Requires authorization")
        caller = self._authentication.caller(credential, name, *Access)
        if caller.is_index:
            return False
        asked = self._endpoints.asked(store)
        with self._database.reading() as session:
            repository = caller.repository or self._readable(session, caller, name)
            if holdings.is_open_to(session, repository.id, image_id, asked):
                return True
            candidates = image_store.not_read_yet(session, repository.id, image_id)
        self._facts.look_up([each for each in candidates if each.store is None or asked.has(each)], image_id)
        with self._database.reading() as session:
            return holdings.is_open_to(session, repository.id, image_id, asked)

    def authorize(self, credential: Credential, name: RepositoryName) -> None:
        """Validate a token for a registry; a delete token is consumed and the repository deleted (§2.5)."""
        if not isinstance(credential, Bearer) or not credential.tokens:
            raise Unauthenticated("Requires authorization")
        try:
            with self._database.writing() as session:
                self._authorize(session, credential.tokens, name)
        except TokenRefused as error:
            raise Forbidden("Permission denied") from error

    def set_tag(self, credential: Credential, name: RepositoryName, tag: Tag, image_id: ImageId) -> None:
        """A registry asks, with the writer's token, before it sets a tag. If it then fails to, the job that compares
        its tags with these makes good what was changed here."""
        caller = self._authentication.bearer(credential, name, Access.WRITE)
        with self._database.writing() as session:
            repository = self._locked(session, caller, name, Action.WRITE)
            if caller.is_index:
                # Only the repository's name has changed: the registry has what is or was listed here.
                return
            catalogue.require_creatable(session, repository, tag)
            catalogue.set_tag(session, repository, tag, image_id, caller.pusher, self._clock())
            self._enqueue_read(session, repository, TIME_TO_DO_IT)

    def delete_tag(self, credential: Credential, name: RepositoryName, tag: Tag) -> None:
        """A registry asks, with the writer's or the deleter's token, before it deletes a tag; as `set_tag`."""
        caller = self._authentication.bearer(credential, name, Access.WRITE, Access.DELETE)
        with self._database.writing() as session:
            repository = self._locked(session, caller, name, Action.WRITE)
            catalogue.delete_tag(session, repository, tag, caller.pusher, self._clock())
            self._enqueue_read(session, repository, TIME_TO_DO_IT)

    def delete_repository(self, credential: Credential, name: RepositoryName) -> Issued | None:
        """The token with which to delete the repository at the registry; None once that is done (§2.8).

        Its former names are removed there before, because a queued move is deleted with the repository. Raises
        Unavailable if the registry does not respond.
        """
        caller = Caller() if isinstance(credential, Anonymous) else Caller(self._authentication.person(credential))
        with self._database.writing() as session:
            if self._was_deleted(session, caller.known(), name):
                return None
            repository = self._locked(session, caller, name, Action.DELETE)
        self._former_names.leave_pending(self._endpoints.announced(repository.endpoint), repository)
        with self._database.writing() as session:
            held = self._locked(session, caller, name, Action.DELETE)
            if held.id != repository.id:
                # Another repository took the name meanwhile, and its own former names stay.
                raise RepositoryNotFound
            return self._issue(session, caller, held, Access.DELETE)

    def search(self, credential: Credential, query: finder.Query) -> finder.ResultPage:
        """The matches that the caller may see; a token, valid for one repository, opens nothing more here."""
        actor = self._authentication.person(credential) if isinstance(credential, Login) else None
        if isinstance(credential, Bearer) and credential.tokens:
            self._authentication.bearer(credential, credential.tokens[0].repository, *Access)
        if actor is None and self._access_control.login_only:
            # A daemon then prompts for a login, while an empty page would mean that nothing exists.
            raise Unauthenticated("Requires authorization")
        with self._database.reading() as session:
            return finder.search(session, query, self._access_control, actor)

    def _authorize(self, session: Session, tokens: tuple[Token, ...], name: RepositoryName) -> None:
        fitting = [token for token in tokens if token.repository == name]
        if not fitting:
            raise TokenRefused
        found = self._tokens.find(session, fitting[0], self._clock())
        if found.repository is None and not found.record.is_own:
            raise RepositoryNotFound
        if not self._tokens.is_permitted(session, found):
            raise TokenRefused
        if found.token.access is Access.DELETE:
            self._consume(session, found)

    def _consume(self, session: Session, found: protocol_tokens.IssuedToken) -> None:
        """Consume a delete token. The index's own removes a name at a registry that no repository has here."""
        if found.record.is_own and found.repository is not None:
            raise TokenRefused
        protocol_tokens.consume(session, found.record, self._clock())
        if found.repository is not None:
            catalogue.delete_repository(session, AuditContext(found.actor, "", self._clock()), found.repository)

    def _context(self, credential: Credential, actor: Actor | None) -> AuditContext:
        return AuditContext(actor, credential.client_ip if isinstance(credential, Login) else "", self._clock())

    def _enqueue_read(self, session: Session, repository: Repository, delay: timedelta = timedelta()) -> None:
        """Enqueue the job that reads from the registry what its tags reach."""
        jobs.enqueue(session, jobs.READ, repository.id, {}, self._clock(), delay=delay)

    def _was_deleted(self, session: Session, actor: Actor, name: RepositoryName) -> bool:
        return catalogue.find(session, name) is None and protocol_tokens.forget_consumed(
            session, actor.id, name, self._clock()
        )

    def _issue_read(self, caller: Caller, repository: Repository, listing: bytes) -> Issued:
        """A caller with a token gets the same one, or tokens could renew themselves for ever."""
        self._sweep.run_periodically()
        token = caller.token
        if token is None:
            token = self._issued_for_reading(caller, repository, listing)
            self._pulls.count(repository.id, self._clock())
        return Issued(token, self._endpoints.announced(repository.endpoint))

    def _issued_for_reading(self, caller: Caller, repository: Repository, listing: bytes) -> Token:
        now = self._clock()
        return reading_tokens.issue(
            self._database,
            caller.actor,
            lambda session, who: self._tokens.issue_for_reading(session, who, repository, listing, now, caller.client),
            lambda session: self._access_control.permits(session, None, repository, Action.READ),
        )

    def _issue(self, session: Session, caller: Caller, repository: Repository, access: Access) -> Issued:
        """Issue a token that changes something; a caller with a token gets the same one."""
        token = caller.token or self._tokens.issue(
            session, caller.known(), repository, access, self._clock(), caller.client
        )
        return Issued(token, self._endpoints.announced(repository.endpoint))

    def _locked(self, session: Session, caller: Caller, name: RepositoryName, action: Action) -> Repository:
        """The repository, its row locked, if this caller's own token or role permits this."""
        repository = catalogue.lock(session, name)
        if repository is not None and caller.is_index:
            return repository
        return self._access_control.require(session, caller.actor, name, repository, action)

    def _readable(self, session: Session, caller: Caller, name: RepositoryName) -> Repository:
        return self._access_control.require(session, caller.actor, name, catalogue.find(session, name), Action.READ)


def _for_registry(session: Session, caller: Caller, repository: Repository, asked: AskedStore) -> list[dict[str, str]]:
    """What is held in the asked store. To a token that writes, and to the index's own, also what was only announced."""
    announced = caller.is_index or (caller.token is not None and caller.token.access is Access.WRITE)
    rows = holdings.listed_for_registry(session, repository, asked, announced=announced)
    return [_entry(id_, checksum, held) for id_, checksum, held in rows]


def _entry(image_id: str, checksum: str | None, held: str | None = None) -> dict[str, str]:
    given = {"id": image_id, "checksum": checksum, "held": held}
    return {key: str(value) for key, value in given.items() if value}
