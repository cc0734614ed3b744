"""The lines in run directories: what jobs leave there says, and orders; one that is torn or garbled says nothing."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum, unique
from math import isfinite

from snakemake_executor_plugin_frceapi.job import Usage
from snakemake_executor_plugin_frceapi.tracker import Cause, End

_CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


@unique
class Order(StrEnum):
    """What a job is told in the first line of ``control``."""

    RUN = "run"
    GATE = "gate"
    """Wait until the order is another one."""
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True)
class Start:
    """What a job recorded as it started.

    Attributes:
        external_jobid: the job that runs.
        restart: how often Slurm had requeued it.
        node: name of its node.
        cluster: name of the cluster as Slurm told the job, empty where it did not.
        given: what Slurm gave it, by marker field, as Slurm wrote it.
    """

    external_jobid: str
    restart: int
    node: str
    cluster: str
    given: Mapping[str, str]

    @property
    def seconds(self) -> float | None:
        """When it started, in seconds of the epoch by the node's clock, None where that is not known."""
        try:
            return _seconds(self.given.get("start", ""))
        except ValueError:
            return None


def order_line(order: Order) -> str:
    """Return the line of an order: a comment for bash, as long as any other, so that it can be rewritten in place."""
    return f"# {order:<6}\n"


def parse_order(text: str) -> Order | None:
    """Return the order that a text begins with, or None where it is torn or not one."""
    line, end, _ = text.partition("\n")
    mark, _, word = line.rstrip(" ").partition(" ")
    return Order(word) if end and mark == "#" and word in set(Order) else None


def parse_claim(text: str) -> str | None:
    """Return the external jobid of the job that a claim names, or None where it is not one yet."""
    owner = text.removesuffix("\n")
    return owner if text != owner and _is_digits(owner) else None


def parse_end(text: str) -> End | None:
    """Return the end that a marker describes, or None where it is torn or not one."""
    fields = _fields(text)
    try:
        return End(
            external_jobid=_digits(fields["id"]),
            restart=int(_digits(fields["restart"])),
            exit_code=int(_digits(fields["exit"])),
            cause=Cause(fields["cause"]),
            start=_seconds(fields["start"]),
            end=_seconds(fields["end"]),
            cpu_seconds=int(_digits(fields["cpu_ticks"])) / _CLOCK_TICKS,
            gate_seconds=_seconds(_digits(fields.get("gate", "0"))),
            usage=_usage(fields),
        )
    except (KeyError, ValueError, OverflowError):
        return None


def parse_start(text: str) -> Start | None:
    """Return the start that a marker describes, or None where it is torn or not one."""
    fields = _fields(text)
    try:
        restart = int(_digits(fields.pop("restart")))
        return Start(_digits(fields.pop("id")), restart, fields.pop("node"), fields.pop("cluster"), fields)
    except (KeyError, ValueError):
        return None


def parse_peak(text: str) -> int | None:
    """Return the memory in MB that a job was seen to hold at most, or None where that is not known."""
    return _mb(_fields(text).get("kb", ""))


def _usage(fields: Mapping[str, str]) -> Usage:
    """What an end tells beside what it must tell; a version of the run script may not know all of it."""
    peak_mb = _mb(fields.get("peak_kb", ""))
    measured_by = fields.get("peak_by", "") if peak_mb is not None else ""
    return Usage(node=fields.get("node", ""), peak_mb=peak_mb, measured_by=measured_by)


def _mb(kb: str) -> int | None:
    try:
        return int(_digits(kb)) // 1024
    except ValueError:
        return None


def _fields(text: str) -> dict[str, str]:
    if not text.endswith("\n"):
        return {}
    return dict(word.split("=", 1) for word in text.split() if "=" in word)


def _is_digits(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _digits(text: str) -> str:
    if not _is_digits(text):
        raise ValueError(text)
    return text


def _seconds(text: str) -> float:
    seconds = float(text)
    if not isfinite(seconds):
        raise ValueError(text)
    return seconds
