"""What a user is told about resources: once for each thing, with all rules that it is about."""

from __future__ import annotations

from collections.abc import Iterable

from snakemake_executor_plugin_frceapi.resources.request import Notice


class NoticeBoard:
    """Knows which notices were shown."""

    def __init__(self) -> None:
        self._shown: set[str] = set()

    def lines(self, notices: Iterable[Notice]) -> list[str]:
        """Return a line for each key that was not shown before, with all rules that it is about now."""
        new: dict[str, list[Notice]] = {}
        for notice in notices:
            if notice.key not in self._shown:
                new.setdefault(notice.key, []).append(notice)
        self._shown.update(new)
        return list(map(_line, new.values()))


def _line(alike: list[Notice]) -> str:
    rules = list(dict.fromkeys(notice.rule for notice in alike))
    return f"rule{'s' if len(rules) > 1 else ''} {', '.join(rules)}: {alike[0].text}"
