"""The documentation as it is read: chapters, the blocks of code in them, tables, links and code in the text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

_HEADING = re.compile(r"(#+) (.+)")
_FENCE = re.compile(r" *```(\w*)")
_LINK = re.compile(r"\[([^\]]+)\]\(([^)\s]+)\)")
_CODE = re.compile(r"`([^`]+)`")


@dataclass(frozen=True, slots=True)
class Block:
    """A block of code.

    Attributes:
        chapter: the heading above it, empty where there is none.
        language: its tag.
        text: what stands in it.
    """

    chapter: str
    language: str
    text: str


@dataclass(frozen=True, slots=True)
class Page:
    """A page of the documentation.

    Attributes:
        name: its path in the project.
    """

    name: str

    @property
    def text(self) -> str:
        """What stands in it."""
        return (ROOT / self.name).read_text("utf-8")

    @property
    def prose(self) -> str:
        """The same without blocks of code."""
        return "\n".join(line for _, line in self._lines() if line is not None)

    def headings(self) -> list[tuple[int, str]]:
        """Return the headings and the level of each."""
        found = map(_HEADING.fullmatch, self.prose.splitlines())
        return [(len(match[1]), match[2]) for match in found if match]

    def blocks(self) -> list[Block]:
        """Return the blocks of code, in their order."""
        found, chapter, language, lines = [], "", None, list[str]()
        for raw, line in self._lines():
            fence = _FENCE.fullmatch(raw)
            if line is not None:
                chapter = heading[2] if (heading := _HEADING.fullmatch(line)) else chapter
            elif fence and language is None:
                language = fence[1]
            elif fence:
                found.append(Block(chapter, language or "", "\n".join(lines) + "\n"))
                language, lines = None, []
            else:
                lines.append(raw)
        return found

    def rows(self, chapter: str) -> list[list[str]]:
        """Return the cells of the tables of a chapter, row by row, without their heads."""
        marks = "#" * next(level for level, heading in self.headings() if heading == chapter)
        section = self.prose.partition(f"{marks} {chapter}\n")[2].partition(f"\n{marks} ")[0]
        lines = [line for line in section.splitlines() if line.startswith("|")]
        bodies = [line for line, below in zip(lines, [*lines[1:], ""], strict=True) if not below.startswith("|---")]
        return [[cell.strip() for cell in line.strip("|").split("|")] for line in bodies if line[1] != "-"]

    def links(self) -> list[tuple[str, str]]:
        """Return the text and the target of each link."""
        return _LINK.findall(self.prose)

    def code(self) -> list[str]:
        """Return what stands in the text as code, and each block."""
        return [*_CODE.findall(self.prose), *(block.text for block in self.blocks())]

    def _lines(self) -> Iterator[tuple[str, str | None]]:
        """Yield each line, and the same again where it stands in no block."""
        inside = False
        for line in self.text.splitlines():
            is_fence = _FENCE.fullmatch(line) is not None
            yield line, None if inside or is_fence else line
            inside = inside != is_fence


PAGES = tuple(map(Page, ("README.md", "docs/intro.md", "docs/further.md")))
"""What users read; each block of code in these is run."""

OTHER_PAGES = tuple(map(Page, ("CHANGELOG.md", "docs/design.md", "example_workflow/README.md")))


def block_of(page: str, chapter: str, language: str) -> Block:
    """Return the only block of a language in a chapter."""
    (block,) = [block for block in Page(page).blocks() if (block.chapter, block.language) == (chapter, language)]
    return block
