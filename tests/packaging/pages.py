"""The Markdown pages of the checkout, taken apart: prose, commands, links and headings."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from markdown_it import MarkdownIt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from markdown_it.token import Token

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = (
    "make",
    "kubectl",
    "helm",
    "docker",
    "python",
    "pytest",
    "openssl",
    "psql",
    "sed",
    "pip",
)
"""What a command in a sentence begins with."""
BUILT = ("build", "dist")
MARKDOWN = MarkdownIt("commonmark").enable("table")


@dataclass(frozen=True)
class Page:
    """One Markdown file; `name` is its path below the checkout."""

    name: str

    @property
    def path(self) -> Path:
        """Where the file is."""
        return ROOT / self.name

    @cached_property
    def text(self) -> str:
        """The whole file."""
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def _tokens(self) -> list[Token]:
        return MARKDOWN.parse(self.text)

    @property
    def _inline(self) -> Iterator[Token]:
        return (token for token in self._tokens if token.type == "inline")

    @property
    def fences(self) -> Iterator[tuple[str, str]]:
        """Language and text of each fenced block."""
        return ((t.info.strip(), t.content) for t in self._tokens if t.type == "fence")

    @property
    def prose(self) -> list[str]:
        """Each paragraph, heading, list item and table cell, without code."""
        return ["".join(map(_words, token.children or ())) for token in self._inline]

    @property
    def links(self) -> Iterator[str]:
        """Where each link leads."""
        for token in self._inline:
            for child in token.children or ():
                if child.type == "link_open":
                    yield str(child.attrs["href"])

    @cached_property
    def _headings(self) -> list[str]:
        after = zip(self._tokens, self._tokens[1:], strict=False)
        titles = (inline.content for head, inline in after if head.type == "heading_open")
        return [re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles]

    @property
    def anchors(self) -> set[str]:
        """The anchors of the headings, as GitHub makes them."""
        return set(self._headings)

    @property
    def repeated(self) -> set[str]:
        """Anchors of more than one heading; a link leads to the first."""
        return {each for each in self._headings if self._headings.count(each) > 1}

    @property
    def commands(self) -> Iterator[list[str]]:
        """The words of every command: of shell blocks, and of code in sentences and cells."""
        for language, text in self.fences:
            if language == "sh":
                yield from commands_of(text)
        for token in self._inline:
            for child in token.children or ():
                if child.type == "code_inline" and _is_command(child.content):
                    yield from commands_of(child.content)


def _words(part: Token) -> str:
    return "`code`" if part.type == "code_inline" else part.content or " "


def _is_command(text: str) -> bool:
    words = text.split()
    return len(words) > 1 and words[0].rsplit("/", 1)[-1] in PROGRAMS


def commands_of(text: str) -> Iterator[list[str]]:
    """Yield the words of each command of a shell text.

    Those that `|`, `&&` or `;` join are commands of their own. Comments are left out, and the name
    that `$(date +%s)` makes is written `$SECOND`.
    """
    for line in re.sub(r"\s*\\\n\s*", " ", text).splitlines():
        named = line.replace("$(date +%s)", "$SECOND")
        lexer = shlex.shlex(named, posix=True, punctuation_chars="|&;")
        lexer.whitespace_split = True
        command: list[str] = []
        for word in lexer:
            if word not in ("|", "&&", ";"):
                command.append(word)
            elif command:
                yield command
                command = []
        if command:
            yield command


def files(*patterns: str) -> list[str]:
    """Return the files of the checkout that match, as paths below it, such as `dev/demo/a.md`.

    Left out are hidden folders, and what is the reader's own (`my-…`) or made by a build.
    """
    top = (p for p in ROOT.iterdir() if not p.name.startswith((".", "my-")) and p.name not in BUILT)
    found = (path for each in top for path in ([each] if each.is_file() else each.rglob("*.*")))
    names = (path.relative_to(ROOT).as_posix() for path in found)
    return sorted(name for name in names if any(fnmatch(name, pattern) for pattern in patterns))


PAGES = [Page(name) for name in files("*.md")]
AT = {page.path: page for page in PAGES}
GENERATED = ("docs/reference.md", "docs/troubleshooting.md")
