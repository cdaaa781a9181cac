"""The drawn tree of docker-registry 0.9.1 (protocol §6.1), and the only code that computes paths in it.

    images/<id>/
        json              the image's JSON, verbatim
        layer             the layer's bytes, verbatim
        ancestry          JSON array of ids, the image first
        _checksum         JSON array of checksums; of old a bare one
        _inprogress       the mark: while it is there, the image is not; holds the publisher's claim
        _inprogress.<n>   a claim that took over from a dead one, named by a digest of the one before;
                          without a mark it means nothing
        _files, _diff     what the layer's listing and difference came to
        _oci_layer        JSON object: the digests and sizes of the layer and of the blob that it is offered as
        _oci_layer.<hex>  the layer as OCI can carry it, where it cannot as it is stored; named by the digest of that
        _oci_image        JSON object: the image's config and manifests
    repositories/<namespace>/<name>/
        tag_<tag>         an image's id
        tag<tag>_json     who pushed the tag; no underscore before the tag
        json              the same for `latest`
        _index_images     JSON array of {id, checksum}: what a registry alone lists
        _index_images.claim[.<n>]   who is changing it
        _images_list      JSON array of ids, kept of an external index's answer
        _private          there if the repository is private
        _held/<id>        JSON object: which image of the id the repository has since it was pushed, or fetched by a
                          mirror, with what checksums
        _mirrored         there if the repository is a mirror's copy; when it was last compared with its source
    _apart/<namespace>/<name>/<id>/
                          as images/<id>/: an image kept apart for the repository that pushed it, or that a mirror
                          fetched it for, because the one of that id in images/ has other content
        _digests/…        as _digests/, for images kept apart
    _digests/<hh>/<hex>   JSON object: an image that has a layer, a config or a manifest of this digest, whose first
                          two digits are <hh>; perhaps not the only one, perhaps not any more
    _mirror/<id>-<offered>[.<n>]   who is fetching the layer that a source offers under the id
    _uploads/<id>/<uploader>/
        json              a described image's JSON
        claims            JSON object of the checksums claimed so far
        layer.<n>         a received layer
        received.<hex>    names the `layer.<n>` whose payload checksum is <hex>
    _pending/<n>.<m>      JSON object: a change of a tag that the index is still to be asked about; <n> is a digest of
                          repository and tag
    _pending.claim[.<n>]  who is asking about them
    _intents/<n>          JSON object: the images that a tag is about to reach, and who sets it
    _gc/claim[.<n>]       who is collecting what nothing reaches
    _gc/clock             written to learn the store's time
    _gc/condemned/<image> there since nothing was found to reach the image at images/<id> or _apart/…/<id>
    _gc/doomed            JSON object: the images that are being deleted, and by whom
    _collected/<hhh>      a line for each collected image whose id begins with <hhh>: id and payload checksums
    _store_id             32 hex digits that tell this store from all others
    _probes/<n>           what a health check writes, reads and deletes
    _probes/<n>/…         what an operator's check does; layer and layer.moved are layers

Every variable component is quoted as Python 2's quote_plus did; `.` and `..` become `%252E` and `%252E%252E`.
A multi-slash name is quoted twice: `a/b/c` lies at `repositories/a/b%252Fc`.

A trap: the tag `_foo` keeps its pusher in `tag_foo_json`, which is also where the tag `foo_json` is kept.
"""

from __future__ import annotations

import hashlib
import re
from typing import Self
from urllib.parse import quote_plus, unquote_plus

from common.errors import Invalid
from common.names import ImageId, RepositoryName, Tag

IMAGES = "images"
REPOSITORIES = "repositories"
UPLOADS = "_uploads"
APART = "_apart"
MIRROR = "_mirror"
PENDING = "_pending"
PENDING_CLAIM = f"{PENDING}.claim"
PROBES = "_probes"
INTENTS = "_intents"
COLLECTION = "_gc"
COLLECTION_CLAIM = f"{COLLECTION}/claim"
COLLECTION_CLOCK = f"{COLLECTION}/clock"
CONDEMNED = f"{COLLECTION}/condemned"
DOOMED = f"{COLLECTION}/doomed"
COLLECTED = "_collected"
DIGESTS = "_digests"
STORE_ID = "_store_id"

HELD = "_held"
INDEX_IMAGES = "_index_images"
_MARK = "_inprogress"

_OCI_LAYER = "_oci_layer"
_OCI_IMAGE = "_oci_image"

_IMMUTABLE_NAMES = ("json", "ancestry", "_checksum", _OCI_LAYER, _OCI_IMAGE)
_IMAGE = re.compile(rf"(?:images|{APART}/[^/]+/[^/]+)/[0-9a-f]+")
_IMMUTABLE = re.compile(rf"{_IMAGE.pattern}/(?:{'|'.join(_IMMUTABLE_NAMES)})")

PRIVATE = "_private"
_TAG = "tag_"
_RECEIVED = "received."


def quote(component: str) -> str:
    """One component, as the ancestor quoted it: Python 2 did not let `~` pass."""
    if component in (".", ".."):
        component = component.replace(".", "%2E")
    return quote_plus(component).replace("~", "%7E")


class ApartImageId(ImageId):
    """The id of an image whose content is kept apart for one repository; equal to the plain id, found elsewhere."""

    __slots__ = ("repository",)

    repository: RepositoryName

    def __new__(cls, image_id: ImageId, repository: RepositoryName) -> Self:
        apart = super().__new__(cls, image_id)
        apart.repository = repository
        return apart


def image(image_id: ImageId) -> str:
    if isinstance(image_id, ApartImageId):
        return f"{apart_images(image_id.repository)}/{image_id}"
    return f"{IMAGES}/{image_id}"


def image_json(image_id: ImageId) -> str:
    return f"{image(image_id)}/json"


def image_layer(image_id: ImageId) -> str:
    return f"{image(image_id)}/layer"


def image_ancestry(image_id: ImageId) -> str:
    return f"{image(image_id)}/ancestry"


def image_checksum(image_id: ImageId) -> str:
    return f"{image(image_id)}/_checksum"


def image_mark(image_id: ImageId) -> str:
    return f"{image(image_id)}/{_MARK}"


def is_part_of_image(name: str) -> bool:
    """Whether a content of this name below an image's path is the image's; all others are somebody else's."""
    if name.startswith((f"{_OCI_LAYER}.", f"{_MARK}.")):
        return True
    return name in (*_IMMUTABLE_NAMES, "layer", "_files", "_diff", _MARK)


def is_image_mark(name: str) -> bool:
    """Whether it is an image's mark, or a claim that took over from one."""
    return name == _MARK or name.startswith(f"{_MARK}.")


def image_files(image_id: ImageId) -> str:
    return f"{image(image_id)}/_files"


def image_diff(image_id: ImageId) -> str:
    return f"{image(image_id)}/_diff"


def oci_layer(image_id: ImageId) -> str:
    return f"{image(image_id)}/{_OCI_LAYER}"


def oci_layer_blob(image_id: ImageId, hex_digest: str) -> str:
    return f"{oci_layer(image_id)}.{hex_digest}"


def oci_image(image_id: ImageId) -> str:
    return f"{image(image_id)}/{_OCI_IMAGE}"


def digest(hex_digest: str, apart_for: RepositoryName | None = None) -> str:
    """Where an image is named that has something of a digest; `apart_for`: one that a repository keeps apart."""
    above = DIGESTS if apart_for is None else f"{apart_images(apart_for)}/{DIGESTS}"
    return f"{above}/{hex_digest[:2]}/{hex_digest}"


def is_immutable(path: str) -> bool:
    """Whether a content is small and, once its image is complete, the same for ever."""
    return _IMMUTABLE.fullmatch(path) is not None


def immutable_below(path: str) -> list[str]:
    """The immutable contents that are at a path of an image or directly below it."""
    if is_immutable(path):
        return [path]
    return [f"{path}/{name}" for name in _IMMUTABLE_NAMES] if _IMAGE.fullmatch(path) else []


def successor(claim: str, content: bytes) -> str:
    """Where the claim is kept that takes over from `content`, whoever wrote that at the mark `claim`."""
    return f"{claim}.{hashlib.sha256(content).hexdigest()[:32]}"


def repository(name: RepositoryName) -> str:
    return f"{REPOSITORIES}/{_below(name)}"


def repository_directory(name: RepositoryName) -> str:
    """Its directory below all repositories', and below what they keep apart."""
    return _below(name)


def _below(name: RepositoryName) -> str:
    return f"{quote(name.namespace)}/{quote(quote(name.name))}"


def repository_json(name: RepositoryName) -> str:
    return f"{repository(name)}/json"


def index_images(name: RepositoryName) -> str:
    return f"{repository(name)}/{INDEX_IMAGES}"


def index_images_claim(name: RepositoryName) -> str:
    return f"{repository(name)}/_index_images.claim"


def private(name: RepositoryName) -> str:
    return f"{repository(name)}/{PRIVATE}"


def apart_images(name: RepositoryName) -> str:
    return f"{APART}/{_below(name)}"


def all_held(name: RepositoryName) -> str:
    return f"{repository(name)}/{HELD}"


def held(name: RepositoryName, image_id: ImageId) -> str:
    return f"{all_held(name)}/{image_id}"


def mirrored(name: RepositoryName) -> str:
    return f"{repository(name)}/_mirrored"


def mirror_claim(image_id: ImageId, offered: str) -> str:
    """`offered` is a digest of what a source offers under the id."""
    return f"{MIRROR}/{image_id}-{offered}"


def tag(name: RepositoryName, tag: Tag) -> str:
    return f"{repository(name)}/{_TAG}{quote(tag)}"


def tag_json(name: RepositoryName, tag: Tag) -> str:
    return f"{repository(name)}/tag{quote(tag)}_json"


def pending_tag(name: RepositoryName, tag: Tag) -> str:
    """What the names of a tag's contents below `PENDING` begin with."""
    return f"{hashlib.sha256(f'{name}:{tag}'.encode()).hexdigest()[:32]}."


def tag_in(entry: str) -> str | None:
    """The tag a file of a repository's directory is named for, or None."""
    return unquote_plus(entry.removeprefix(_TAG)) if entry.startswith(_TAG) else None


def uploads(image_id: ImageId) -> str:
    return f"{UPLOADS}/{image_id}"


def upload(image_id: ImageId, uploader: str) -> str:
    """One uploader's stage; uploaders are named by a digest, for theirs may be a secret, and long."""
    return f"{UPLOADS}/{image_id}/{hashlib.sha256(uploader.encode()).hexdigest()[:32]}"


def upload_json(stage: str) -> str:
    return f"{stage}/json"


def upload_claims(stage: str) -> str:
    return f"{stage}/claims"


def upload_layer(stage: str, name: str) -> str:
    return f"{stage}/layer.{name}"


def is_layer(path: str) -> bool:
    """Whether that is where a layer is kept: published, received, or made to try the store out."""
    first, *below = path.split("/")
    if first == IMAGES:
        return len(below) == 2 and _is_layer_of_image(below[1])
    if first == PROBES:
        return len(below) == 2 and below[1] in ("layer", "layer.moved")
    if first == APART:
        return len(below) == 4 and _is_layer_of_image(below[3])
    return first == UPLOADS and len(below) == 3 and below[2].startswith("layer.")


def _is_layer_of_image(name: str) -> bool:
    return name == "layer" or name.startswith(f"{_OCI_LAYER}.")


def lies_above_layers(path: str) -> bool:
    """Whether layers are kept somewhere below."""
    first, *below = path.split("/")
    return len(below) < {IMAGES: 2, APART: 4, UPLOADS: 3, PROBES: 2}.get(first, 0)


def upload_received(stage: str, hex_digest: str) -> str:
    return f"{stage}/{_RECEIVED}{hex_digest}"


def received_in(entry: str) -> str | None:
    """The hex digits a file of a stage is named for, or None."""
    return entry.removeprefix(_RECEIVED) if entry.startswith(_RECEIVED) else None


def condemned(image_path: str) -> str:
    """Where it is told of the image at a path that nothing reaches it."""
    return f"{CONDEMNED}/{image_path}"


def collected(image_id: ImageId) -> str:
    return f"{COLLECTED}/{image_id[:3]}"


def intent(name: str) -> str:
    return f"{INTENTS}/{name}"


def image_at(path: str) -> ImageId:
    """The image that is kept at a path. Raises Invalid or NotFound for another path."""
    above, _, id_ = path.rpartition("/")
    if above == IMAGES:
        return ImageId(id_)
    top, *names = above.split("/")
    if top != APART or len(names) != 2:
        raise Invalid("Not the path of an image")
    return ApartImageId(ImageId(id_), repository_in(*names))


def probe(name: str) -> str:
    return f"{PROBES}/{name}"


def repository_in(namespace: str, name: str) -> RepositoryName:
    """The repository that two directory names stand for. Raises Invalid for what `repository` does not make."""
    found = RepositoryName.parse(f"{unquote_plus(namespace)}/{unquote_plus(unquote_plus(name))}")
    if repository(found) != f"{REPOSITORIES}/{namespace}/{name}":
        raise Invalid("Not a repository's directory")
    return found
