"""Comments of a repository, one of them, and those that readers flagged."""

from __future__ import annotations

from flask import Blueprint, Response, request, url_for

from common.names import ImageId, RepositoryName, Tag
from index_service import paging
from index_service.current import services
from index_service.pages.forms import EMPTY, FormState
from index_service.pages.social import CommentPage, CommentsPage, DeleteCommentPage, ModerationPage
from index_service.social.comments import CommentTarget
from index_service.web.forms import Form
from index_service.web.languages import gettext
from index_service.web.request_context import actor, client_address, require_admin, require_signed_in
from index_service.web.responses import flash, page, redirect_to, render_page
from index_service.web.urls import repository_url

views = Blueprint("comments", __name__)

_ONE = "/r/<repository:repository>/@comments/<number:number>"


@page(views, "/r/<repository:repository>/@comments", "/repositories/{repository}/@comments")
def thread(repository: str) -> Response:
    return _show_thread(RepositoryName.parse(repository))


@views.post("/r/<repository:repository>/@comments")
def write(repository: str) -> Response:
    name, who, form = RepositoryName.parse(repository), require_signed_in().actor, Form.read("body", "tag", "image_id")
    anchor = _target(form)
    number = form.attempt(services().social.write, who, name, form["body"], anchor)
    if number is None:
        return _show_thread(name, form.state(), form.status)
    flash("success", gettext("Comment posted."))
    return redirect_to(f"{repository_url(name, 'comments')}#comment-{number}")


@page(views, _ONE, "/repositories/{repository}/@comments/{number}")
def comment(repository: str, number: int) -> Response:
    return _show_one(RepositoryName.parse(repository), number)


@views.post(_ONE)
def edit(repository: str, number: int) -> Response:
    name, who, form = RepositoryName.parse(repository), require_signed_in().actor, Form.read("body")
    form.attempt(services().social.edit, who, name, number, form["body"])
    if not form.ok:
        return _show_one(name, number, form.state(), form.status)
    return _done(name, number, gettext("Comment saved."))


@page(views, f"{_ONE}/delete")
def confirm_deletion(repository: str, number: int) -> Response:
    who, name = require_signed_in().actor, RepositoryName.parse(repository)
    doomed = services().social.deletable(who, name, number)
    return render_page(DeleteCommentPage.of(*doomed), "repositories/delete_comment.html")


@views.post(f"{_ONE}/delete")
def delete(repository: str, number: int) -> Response:
    who, name = require_signed_in().actor, RepositoryName.parse(repository)
    services().social.delete(who, name, number)
    flash("success", gettext("Comment deleted."))
    return redirect_to(repository_url(name, "comments"))


@views.post(f"{_ONE}/pin")
def pin(repository: str, number: int) -> Response:
    """Pin to a tag or an image, or unpin without either."""
    name, who, form = RepositoryName.parse(repository), require_signed_in().actor, Form.read("tag", "image_id")
    anchor = _target(form)
    form.attempt(services().social.pin, who, name, number, anchor)
    if not form.ok:
        return _show_one(name, number, form.state(), form.status)
    return _done(name, number, gettext("Pin changed."))


@views.post(f"{_ONE}/hide")
def hide(repository: str, number: int) -> Response:
    """Hide it, or show it again if `hidden` is empty."""
    name, who, form = RepositoryName.parse(repository), require_signed_in().actor, Form.read("hidden")
    services().social.set_hidden(who, client_address(), name, number, is_hidden=form.ticked("hidden"))
    return _done(name, number, gettext("Comment hidden.") if form.ticked("hidden") else gettext("Comment unhidden."))


@views.post(f"{_ONE}/flag")
def flag(repository: str, number: int) -> Response:
    """Flag it, or remove the flag if `flagged` is empty."""
    name, who, form = RepositoryName.parse(repository), require_signed_in().actor, Form.read("flagged", "reason")
    if not form.ticked("flagged"):
        services().social.unflag(who, name, number)
        return _done(name, number, gettext("Flag removed."))
    form.attempt(services().social.flag, who, name, number, form["reason"])
    if not form.ok:
        return _show_one(name, number, form.state(), form.status)
    return _done(name, number, gettext("The moderators will review it."))


@page(views, "/admin/comments", "/admin/comments")
def moderation() -> Response:
    asked = paging.asked(request.args)
    reported, total = services().social.reported(require_admin(), asked.size, asked.offset)
    return render_page(ModerationPage.of(reported, asked.of(total)), "admin/comments.html")


@views.post("/admin/comments/<number:number>")
def moderate(number: int) -> Response:
    """Hide it, or dismiss its flags if `hidden` is empty."""
    form = Form.read("hidden")
    services().social.moderate(require_admin(), client_address(), number, hide=form.ticked("hidden"))
    flash("success", gettext("Comment hidden.") if form.ticked("hidden") else gettext("Flags dismissed."))
    return redirect_to(url_for("comments.moderation"))


def _target(form: Form) -> CommentTarget:
    """A tag, an image's id, or neither."""
    if form["tag"]:
        return form.validate("tag", Tag)
    return form.validate("image_id", ImageId) if form["image_id"] else None


def _show_thread(name: RepositoryName, state: FormState = EMPTY, status: int = 200) -> Response:
    asked = paging.asked(request.args)
    found = services().social.thread(actor(), name, asked.size, asked.offset)
    return render_page(CommentsPage.of(found, asked, state), "repositories/comments.html", status)


def _show_one(name: RepositoryName, number: int, state: FormState = EMPTY, status: int = 200) -> Response:
    found = services().social.comment(actor(), name, number)
    return render_page(CommentPage.of(found, state), "repositories/comment.html", status)


def _done(name: RepositoryName, number: int, text: str) -> Response:
    flash("success", text)
    return redirect_to(repository_url(name, f"comments/{number}"))
