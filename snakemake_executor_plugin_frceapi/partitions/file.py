"""Reads partition files: YAML as for the slurm plugin, with a section ``frceapi`` for what that does not know.

Every file that the slurm plugin (2.8) reads is read here, with the same meaning; a key that is in none of the tables
below, or a value that cannot be right, is one error with file, key, value and remedy.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from snakemake_executor_plugin_frceapi.errors import SettingsError
from snakemake_executor_plugin_frceapi.partitions.duration import minutes
from snakemake_executor_plugin_frceapi.partitions.need import CAPS
from snakemake_executor_plugin_frceapi.partitions.table import Move, Partition, PartitionTable


def parse_table(text: str, source: str) -> PartitionTable:
    """Return the table that the text of a partition file describes.

    Args:
        text: the file's content.
        source: the file's name, for messages.

    Raises:
        SettingsError: it describes none.
    """
    try:
        content = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "somewhere"
        problem = getattr(error, "problem", None) or str(error).partition("\n")[0]
        raise SettingsError(
            f"partition file '{source}' is no YAML: {place}: {problem}; correct it, colons and indentation first"
        ) from None
    return _Reader(source).table(content)


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads what the YAML of one file stands for."""

    source: str

    def error(self, key: str, problem: str, remedy: str) -> SettingsError:
        shown = key if key.isprintable() else repr(key)
        return SettingsError(f"partition file '{self.source}': {shown} {problem}; {remedy}")

    def section(self, key: str, value: object) -> Mapping[Any, Any]:
        """A mapping; None stands for an empty one."""
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise self.error(key, f"is {value!r}", "write one 'name: value' a line below it")
        return value

    def checked(self, key: str, value: object, known: Iterable[str]) -> Mapping[str, Any]:
        """A mapping that has no other keys than the known ones."""
        section, known = self.section(key, value), list(known)
        for name in section:
            if name not in known:
                near = difflib.get_close_matches(str(name), known, 1)
                meant = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
                raise self.error(f"{key}.{name}", "is not known", meant)
        return section

    def value(self, key: str, value: object, kind: _Kind) -> Any:
        """What a value stands for."""
        understood = kind.read(value)
        if understood is None:
            raise self.error(key, f"is {value!r}", f"write {kind.expected}, or leave it out")
        return understood

    def table(self, content: object) -> PartitionTable:
        entries = content.get("partitions") if isinstance(content, dict) else None
        if not isinstance(content, dict) or not isinstance(entries, dict) or not entries:
            raise self.error("partitions", "is missing or empty", "begin with 'partitions:' and one name a partition")
        extra = self.checked("frceapi", content.get("frceapi"), ("facts", "sources", "partitions", "submit_filter"))
        own = self.section("frceapi.partitions", extra.get("partitions"))
        partitions = tuple(self.partition(name, value, own.get(name)) for name, value in entries.items())
        names = [partition.name for partition in partitions]
        for name in own:
            if str(name) not in names:
                raise self.error(f"frceapi.partitions.{name}", "is not below partitions", f"use {', '.join(names)}")
        return PartitionTable(
            source=self.source,
            partitions=partitions,
            moves=self.moves(extra.get("submit_filter"), names),
            facts=str(extra.get("facts") or ""),
            sources=self.value("frceapi.sources", extra.get("sources"), _NAMES),
        )

    def partition(self, name: object, value: object, own: object) -> Partition:
        if isinstance(name, bool) or not re.fullmatch(r"[A-Za-z0-9_.][A-Za-z0-9_.-]{0,63}", str(name)):
            raise self.error(f"partitions.{name}", "is no partition name", "use letters, digits, '_', '.' and '-'")
        for key in self.section(f"partitions.{name}", value):
            if key in _OWN_KEYS:
                remedy = f"write it below frceapi.partitions.{name}, which the slurm plugin passes over"
                raise self.error(f"partitions.{name}.{key}", "stands in the wrong section", remedy)
        fields: dict[str, Any] = {"name": str(name), "caps": {}}
        for prefix, keys, section in (("partitions", _KEYS, value), ("frceapi.partitions", _OWN_KEYS, own)):
            for key, given in self.checked(f"{prefix}.{name}", section, keys).items():
                field, kind = keys[key]
                understood = self.value(f"{prefix}.{name}.{key}", given, kind)
                if key in CAPS:
                    fields["caps"][key] = understood
                elif field:
                    fields[field] = understood
        return Partition(**fields)

    def moves(self, value: object, names: list[str]) -> tuple[Move, ...]:
        found = []
        for number, line in enumerate(value if isinstance(value, list) else [value] if value else [], 1):
            key = f"frceapi.submit_filter[{number}]"
            step = self.checked(key, line, ("up_to", "partition"))
            longest = self.value(f"{key}.up_to", step.get("up_to", math.inf), _DURATION)
            partition = step.get("partition")
            if str(partition) not in names:
                raise self.error(f"{key}.partition", f"is {partition!r}", f"use {', '.join(names)}")
            found.append(Move(longest, str(partition)))
        return tuple(found)


@dataclass(frozen=True, slots=True)
class _Kind:
    """A kind of value.

    Attributes:
        read: returns what a value stands for, None if it stands for nothing.
        expected: what it should be, for messages.
    """

    read: Callable[[Any], Any]
    expected: str


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value <= _LARGEST or value == math.inf else None


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _LARGEST else None


def _texts(value: object) -> tuple[str, ...] | None:
    if value is None:
        return ()
    return tuple(value) if isinstance(value, list) and all(isinstance(item, str) for item in value) else None


_LARGEST = 10**15
_DURATION = _Kind(minutes, "minutes as a number, or a time such as 12h, 5d or 2-12:30:00")
_NUMBER = _Kind(_number, "a number from 0")
_COUNT = _Kind(_count, "a whole number from 0")
_SWITCH = _Kind(lambda value: value if isinstance(value, bool) else None, "true or false")
_NAMES = _Kind(_texts, "a list of names")
_NAME = _Kind(lambda value: value if isinstance(value, str) and value else None, "a name")

_KEYS: Mapping[str, tuple[str, _Kind]] = {
    **{key: (key, _NUMBER) for key in CAPS if key != "max_cpus_per_user"},
    "max_runtime": ("max_runtime", _DURATION),
    "max_gpu": ("max_gpu", _COUNT),
    "available_gpu_models": ("gpu_models", _NAMES),
    "supports_mpi": ("supports_mpi", _SWITCH),
    **dict.fromkeys(("slurm_cluster", "cluster", "clusters"), ("cluster", _NAME)),
    "max_cpus_per_gpu": ("", _NUMBER),
    "available_constraints": ("", _NAMES),
}
"""Keys of the slurm plugin, with the field of `Partition`; none for what no job can ask of this API anyway."""

_OWN_KEYS: Mapping[str, tuple[str, _Kind]] = {
    "max_cpus_per_user": ("max_cpus_per_user", _NUMBER),
    "provides_gpu": ("provides_gpu", _COUNT),
    "only_named": ("only_named", _SWITCH),
    "default_runtime": ("default_runtime_minutes", _DURATION),
    "default_mem_mb_per_cpu": ("default_mem_mb_per_cpu", _COUNT),
}
"""Keys of the section ``frceapi``, likewise."""
