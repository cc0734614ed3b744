"""Changes of a YAML file in which everything else stays as it is: comments, order, quotes and indentation."""

from __future__ import annotations

from dataclasses import dataclass, field

import yaml


@dataclass(slots=True)
class Edits:
    """Changes that are noted by the places of YAML nodes and made all at once.

    Attributes:
        text: the file.
    """

    text: str
    _replaced: list[tuple[int, int, str]] = field(default_factory=list)
    _above: dict[int, list[str]] = field(default_factory=dict)
    _commented: dict[int, int] = field(default_factory=dict)

    def replace(self, node: yaml.Node, text: str) -> None:
        """Write another text in the place of a scalar."""
        self._replaced.append((node.start_mark.index, node.end_mark.index, text))

    def comment_above(self, node: yaml.Node, comment: str) -> None:
        """Put a comment above the line in which a node begins, unless it stands there already."""
        line = node.start_mark.line
        lines = self._above.setdefault(line, [])
        present = [old.strip() for old in self.text.split("\n")[max(0, line - 9) : line]]
        if f"# {comment}" not in present and comment not in lines:
            lines.append(comment)

    def comment_out(self, key: yaml.Node, value: yaml.Node) -> None:
        """Make comments of the lines of an entry of a block mapping."""
        lines = self.text.split("\n")
        last = value.end_mark.line - (value.end_mark.column == 0 and value.end_mark.line > key.start_mark.line)
        while last > key.start_mark.line and lines[last].strip()[:1] in ("", "#"):
            last -= 1
        self._commented.update((line, key.start_mark.column) for line in range(key.start_mark.line, last + 1))

    def result(self) -> str:
        """Return the changed file."""
        text = self.text
        for start, end, new in sorted(self._replaced, reverse=True):
            text = text[:start] + new + text[end:]
        return "\n".join(self._lines(text))

    def _lines(self, text: str) -> list[str]:
        """The lines of a text whose scalars were replaced without adding or removing a line."""
        made = []
        for number, line in enumerate(text.split("\n")):
            indent = line[: len(line) - len(line.lstrip())]
            made += [f"{indent}# {comment}" for comment in self._above.get(number, ())]
            column = self._commented.get(number)
            made.append(line if column is None else f"{line[:column]}# {line[column:]}")
        return made
