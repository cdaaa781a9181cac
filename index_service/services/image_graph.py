"""The image graph: a repository's lanes, the trees of all images, one image's ancestors and descendants.

Each method is one request, served within a short transaction; the number of statements does not depend on the size of
the result.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement
from sqlalchemy.orm import Session

from common.names import ImageId, RepositoryName
from index_service.accounts.actor import Actor
from index_service.database import Database
from index_service.images import lanes, lineage, trees
from index_service.images.lanes import Chart
from index_service.images.lineage import Node, Place
from index_service.images.trees import Branch
from index_service.repositories.models import Repository
from index_service.repositories.roles import AccessControl
from index_service.search import finder
from index_service.search.finder import MAX_PAGE_SIZE, Query
from index_service.services.image_access import pinned_to, require_login, require_shown
from index_service.services.summaries import RepositorySummary, Summaries
from index_service.services.tags import BY_VERSION, tagged
from index_service.social import comments
from index_service.social.comments import CommentView

LANES_AT_ONCE = 12

ROOTS_AT_ONCE = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Lanes:
    """One page of a repository's tagged images side by side.

    `elsewhere` are the tags of other repositories at the same images, `stored` the bytes of all layers shown and
    `counted` what they would be if every lane had its own.
    """

    head: RepositorySummary
    chart: Chart
    elsewhere: dict[str, list[Place]]
    stored: int
    counted: int
    total: int
    is_cut: bool
    annotations: list[CommentView]


@dataclass(frozen=True, slots=True, kw_only=True)
class Forest:
    """Trees of images with their tags, and the number of repositories that use each image."""

    trees: list[Branch]
    places: dict[str, list[Place]]
    uses: dict[str, int]
    images: int
    stored: int
    total: int
    is_cut: bool
    annotations: list[CommentView]


@dataclass(frozen=True, slots=True)
class Descent:
    """An image, its ancestors (the base last), and the tree of its descendants."""

    image_id: str
    ancestors: list[Node]
    forest: Forest


class ImageGraph:
    """The requests of the pages that draw the graph."""

    def __init__(self, database: Database, access_control: AccessControl, summaries: Summaries) -> None:
        self._database = database
        self._access_control = access_control
        self._summaries = summaries

    def lanes(self, actor: Actor | None, name: RepositoryName, offset: int) -> Lanes:
        """A page of a repository's tagged images with their ancestors. Raises as the policy does."""
        visible = self._access_control.visible(actor)
        with self._database.reading() as session:
            found = self._summaries.read(session, actor, name)
            repository = found.repository
            groups, _, is_cut = tagged(session, repository.id, BY_VERSION)
            drawn = [group for group in groups if group.is_shared]
            tags = {group.image_id: group.tags for group in drawn[offset : offset + LANES_AT_ONCE]}
            family = lineage.merged_ancestries(session, tags.keys(), visible)
            ids = [node.image_id for node in family.nodes]
            others = lineage.places(session, ids, visible & (Repository.id != repository.id))
            named = [(repository.id, tag) for group in tags.values() for tag in group]
            pinned = comments.pinned_to(session, visible, tags=named, shared=ids)
        chart = lanes.chart(family.nodes, tags)
        counted = sum(lane.total_size for lane in chart.lanes)
        stored = sum(node.size for node in family.nodes)
        return Lanes(
            head=found.head,
            chart=chart,
            elsewhere=others,
            stored=stored,
            counted=counted,
            total=len(drawn),
            is_cut=is_cut or family.is_cut,
            annotations=pinned,
        )

    def forest(self, actor: Actor | None, offset: int, words: str = "") -> Forest:
        """All images the actor may see as trees: of the latest roots, those that most repositories use first.

        With `words`, those of the repositories that a search for them finds, the best `MAX_PAGE_SIZE` of these.
        """
        require_login(self._access_control, actor)
        visible = self._access_control.visible(actor)
        with self._database.reading() as session:
            among, is_more = self._found(session, actor, words) if words.strip() else (None, False)
            roots, is_cut = lineage.roots(session, visible, among)
            page = roots[offset : offset + ROOTS_AT_ONCE]
            return _forest(session, page, visible, len(roots), among, is_cut=is_cut or is_more)

    def _found(self, session: Session, actor: Actor | None, words: str) -> tuple[list[int], bool]:
        """The ids of repositories that match the words, and whether more do."""
        found = finder.search(session, Query(text=words, page=1, page_size=MAX_PAGE_SIZE), self._access_control, actor)
        return [hit.id for hit in found.hits], found.total > len(found.hits)

    def descent(self, actor: Actor | None, image_id: ImageId) -> Descent:
        """An image's ancestors and descendants. Raises as `image` does."""
        visible = self._access_control.visible(actor)
        with self._database.reading() as session:
            require_shown(session, self._access_control, actor, image_id)
            ancestors = lineage.ancestry(session, image_id, visible)[1:]
            return Descent(image_id, ancestors, _forest(session, [image_id], visible, 1))


def _forest(
    session: Session,
    roots: Sequence[str],
    visible: ColumnElement[bool],
    total: int,
    among: Collection[int] | None = None,
    *,
    is_cut: bool = False,
) -> Forest:
    family = lineage.descendants(session, roots, visible, among)
    places = lineage.places(session, [node.image_id for node in family.nodes], visible)
    if among is not None:
        for found in places.values():
            found.sort(key=lambda place: place.repository_id not in among)
    grown = trees.grow(family.nodes, {*places, *roots})
    order = {image_id: number for number, image_id in enumerate(roots)}
    grown.sort(key=lambda tree: order.get(tree.node.image_id, len(order)))
    shown = [branch.node.image_id for tree in grown for _, branch in tree.walk()]
    uses = lineage.uses(session, shown, visible)
    stored = sum(node.size for node in family.nodes)
    pinned = pinned_to(session, visible, places.keys() | set(shown), places)
    return Forest(
        trees=grown,
        places=places,
        uses=uses,
        images=len(family.nodes),
        stored=stored,
        total=total,
        is_cut=is_cut or family.is_cut,
        annotations=pinned,
    )
