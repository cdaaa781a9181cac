"""Untrusted Markdown as safe HTML: READMEs as GitHub renders them, and a subset for comments.

Whatever the text says, no remote host learns of a reader: an image becomes a link with its description.
"""

from __future__ import annotations

from index_service.markdown import dialects, sanitizing
from index_service.markdown.contents import Heading, headings
from index_service.markdown.rendering import MAX_LENGTH, Renderer

__all__ = ["MAX_LENGTH", "Heading", "Renderer", "comment", "headings", "readme"]

readme = Renderer(dialects.readme(), sanitizing.README)
"""Renders a README."""

comment = Renderer(dialects.comment(), sanitizing.COMMENT)
"""Renders a comment."""
