"""Changes of a YAML file in which everything else stays as it is: comments, order, quotes and indentation."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import yaml

_LINE = re.compile(r"[^\n\r\x85\u2028\u2029]*(?:\r\n|[\n\r\x85\u2028\u2029]|\Z)")
"""A line as YAML counts them, with its end."""


@dataclass(slots=True)
class Edits:
    """Changes that are noted by the places of YAML nodes and made all at once.

    Attributes:
        text: the file.
    """

    text: str
    _lines: list[str] = field(init=False)
    _replaced: list[tuple[int, int, str]] = field(default_factory=list)
    _above: dict[int, list[str]] = field(default_factory=dict)
    _commented: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Find the lines."""
        self._lines = _LINE.findall(self.text)

    def replace(self, node: yaml.Node, text: str) -> None:
        """Write another text, without a line end, in the place of a scalar of one line."""
        self._replaced.append((node.start_mark.index, node.end_mark.index, text))

    def comment_above(self, node: yaml.Node, comment: str) -> None:
        """Put a comment above the line in which a node begins, unless it stands there already."""
        number = node.start_mark.line
        above = self._above.setdefault(number, [])
        if comment not in above and f"# {comment}" not in self._comments_above(number):
            above.append(comment)

    def comment_out(self, key: yaml.Node, value: yaml.Node) -> None:
        """Make comments of the lines of an entry of a block mapping."""
        first, last = key.start_mark.line, value.end_mark.line
        if value.end_mark.column == 0 and last > first:
            last -= 1
        while last > first and self._lines[last].strip()[:1] in ("", "#"):
            last -= 1
        self._commented.update((number, key.start_mark.column) for number in range(first, last + 1))

    def result(self) -> str:
        """Return the changed file."""
        text = self.text
        for start, end, new in sorted(self._replaced, reverse=True):
            text = text[:start] + new + text[end:]
        return "".join(self._changed(number, line) for number, line in enumerate(_LINE.findall(text)))

    def _changed(self, number: int, line: str) -> str:
        indent = line[: len(line) - len(line.lstrip())]
        above = "".join(f"{indent}# {comment}\n" for comment in self._above.get(number, ()))
        column = self._commented.get(number)
        return above + (line if column is None else f"{line[:column]}# {line[column:]}")

    def _comments_above(self, number: int) -> set[str]:
        found = set()
        while number > 0 and self._lines[number - 1].lstrip().startswith("#"):
            number -= 1
            found.add(self._lines[number].strip())
        return found
