"""`python -m deploy.demo INDEX_URL`: fills an index that is running, and the registries behind it."""

from __future__ import annotations

import subprocess
import sys

from deploy.demo import content
from deploy.demo.content import Repository
from deploy.demo.daemon import Daemon, DemoFailed
from deploy.demo.site import Person


def main(url: str) -> None:
    """What is there already stays as it is, so that a second run does no harm. Raises DemoFailed."""
    _make_administrator()
    daemons = {name: Daemon(url, name, content.PASSWORD) for name in (content.ADMIN, *content.PEOPLE)}
    people = {name: Person(url, name, content.PASSWORD) for name in daemons}
    for daemon in daemons.values():
        daemon.login()
    owner = people[content.MEMBERS[0]]
    owner.found(content.ORGANISATION, content.ORGANISATION_NAME, content.MEMBERS[1:])
    owner.gather(content.ORGANISATION, content.TEAM, content.TEAM_IS_FOR, content.TEAM_MEMBERS)
    for repository in content.repositories():
        _push(daemons, repository)
        _describe(people, repository)
        print(f"  {url}/r/{repository.name.removeprefix('library/')}", flush=True)


def _push(daemons: dict[str, Daemon], repository: Repository) -> None:
    for tag, chain in repository.tags.items():
        daemons[repository.pusher].push(repository.name, chain, tag)
    for _ in range(repository.pulls):
        daemons[repository.pusher].pull(repository.name, next(iter(repository.tags)))


def _describe(people: dict[str, Person], repository: Repository) -> None:
    owner = people[repository.pusher]
    owner.describe(repository.name, repository.description, repository.readme, is_private=repository.is_private)
    for team, role in repository.team_roles.items():
        owner.give_role(repository.name, team, role)
    for name in repository.starred_by:
        people[name].star(repository.name)
    if not owner.has_comments(repository.name):
        for comment in repository.comments:
            people[comment.author].comment(repository.name, comment.text, comment.tag)


def _make_administrator() -> None:
    """By command, as there is no other way. Where the account is there, logging in shows whether it is the demo's."""
    command = ["wharfinger-index", "create-user", "--admin", "--password-stdin", content.ADMIN]
    done = subprocess.run(command, input=content.PASSWORD + "\n", capture_output=True, text=True, check=False)
    if done.returncode and "already exists" not in done.stderr:
        raise DemoFailed(done.stderr.strip())


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except DemoFailed as error:
        sys.exit(f"demo: {error}")
    everybody = ", ".join((content.ADMIN, *content.PEOPLE))
    print(f"\n  Sign in as {everybody}; the password of each is {content.PASSWORD}.")
