"""Dockerfile steps: the instruction that built an image, reconstructed from the command in its JSON.

Docker writes down what it ran: `/bin/sh -c apt-get update` for RUN, and `/bin/sh -c #(nop) CMD ["bash"]` where
nothing was run. The result reads like the Dockerfile; it is no proof of what the file said.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

_SHELL = re.compile(r"/bin/(?:ba|da)?sh")
_WORDS = (
    *("ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL", "MAINTAINER"),
    *("ONBUILD", "RUN", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR"),
)
_INSTRUCTION = re.compile(rf"(?:{'|'.join(_WORDS)})(?=\s|$)")
_NOTHING = re.compile(r"#\(nop\)\s*")
_BUILDKIT = re.compile(r"\s*# buildkit\s*$")
_GO_MAP = re.compile(r"(?<=^EXPOSE )map\[(.*)\]$|(?<=^VOLUME )map\[(.*)\]$")
_CONTINUED = re.compile(r"[ ]*\t\s*|[ ]{2,}(?=&&|\|\|)")


def step(command: Sequence[str]) -> str:
    """One instruction, with the line breaks it probably had; empty for no command."""
    words = _without_arguments([word for word in command if word])
    if not words:
        return ""
    if len(words) == 1:
        return _dressed(_as_instruction(words[0]))
    if len(words) == 3 and _SHELL.fullmatch(words[0]) and words[1] == "-c":
        return _dressed(_as_instruction(words[2]))
    return "RUN " + json.dumps(words, ensure_ascii=False)


def word_of(text: str) -> str:
    """The instruction of a step, such as `RUN`; empty where there is none."""
    found = _INSTRUCTION.match(text)
    return found[0] if found else ""


def _without_arguments(words: list[str]) -> list[str]:
    """`|2 A=1 B=2 /bin/sh -c …` is how build arguments precede the command."""
    if words and (counted := re.fullmatch(r"\|(\d{1,3})", words[0])):
        return words[1 + int(counted[1]) :]
    return words


def _as_instruction(text: str) -> str:
    nothing = _NOTHING.match(text)
    if nothing:
        return _unmapped(text[nothing.end() :].strip())
    text = _BUILDKIT.sub("", text)
    if _INSTRUCTION.match(text):
        return re.sub(r"^RUN /bin/sh -c ", "RUN ", text).strip()
    return f"RUN {text.strip()}"


def _unmapped(text: str) -> str:
    """`EXPOSE map[80/tcp:{} 443/tcp:{}]` names its ports as Go prints a map."""
    found = _GO_MAP.search(text)
    if found is None:
        return text
    inside = found[1] if found[1] is not None else found[2]
    return text[: found.start()] + " ".join(key for key in re.findall(r"(\S+?):(?:\{\}|struct \{\}\{\})", inside))


def _dressed(text: str) -> str:
    """A line that was continued in the Dockerfile still contains the tabs before its next part."""
    return _CONTINUED.sub(" \\\\\n    ", text)
