"""Tests of what markers say, and of what is made of markers that are torn or garbled."""

from __future__ import annotations

import math
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakemake_executor_plugin_frceapi.job import Usage
from snakemake_executor_plugin_frceapi.markers import Order, order_line, parse_end, parse_order, parse_peak, parse_start
from snakemake_executor_plugin_frceapi.tracker import Cause, End

USED = " node=cn1 peak_kb=307200 peak_by=cgroup\n"
END = "id=7 restart=0 exit=0 cause=own start=100.5 end=160.25 cpu_ticks=250 gate=30" + USED
START = "id=7 restart=0 node=cn1 cluster=frce start=100.5 mem_per_node= partition=norm\n"


def test_reads_an_end() -> None:
    """An end marker is read into its units."""
    ticks = os.sysconf("SC_CLK_TCK")
    expected = End(
        external_jobid="7",
        restart=0,
        exit_code=0,
        cause=Cause.OWN,
        start=100.5,
        end=160.25,
        cpu_seconds=250 / ticks,
        gate_seconds=30,
        usage=Usage(node="cn1", peak_mb=300, measured_by="cgroup"),
    )

    assert parse_end(END) == expected


@given(st.integers(0, len(END) - 1), st.integers(0, len(START) - 1))
def test_reads_no_torn_marker(end_cut: int, start_cut: int) -> None:
    """A marker of which any part is missing at its end is no marker."""
    assert parse_end(END[:end_cut]) is None
    assert parse_start(START[:start_cut]) is None


@pytest.mark.parametrize(
    ("text", "expected"), [("kb=307200\n", 300), ("kb=0\n", 0), ("kb=3072", None), ("kb=-1\n", None), ("", None)]
)
def test_reads_a_peak_in_mb(text: str, expected: int | None) -> None:
    """A peak that is torn or no number is not known."""
    assert parse_peak(text) == expected


@pytest.mark.parametrize(
    ("tail", "expected"),
    [
        ("\n", Usage()),
        (" node=cn1 peak_kb= peak_by=samples\n", Usage(node="cn1")),
        (" node=cn1 peak_kb=x peak_by=cgroup\n", Usage(node="cn1")),
        (" node= peak_kb=2048 peak_by=samples\n", Usage(peak_mb=2, measured_by="samples")),
    ],
)
def test_reads_an_end_without_what_was_not_measured(tail: str, expected: Usage) -> None:
    """A job that could not measure its memory has ended all the same."""
    end = parse_end(END.removesuffix(USED) + tail)

    assert end is not None
    assert end.usage == expected


@pytest.mark.parametrize(
    ("text", "seconds"), [("start=100.5", 100.5), ("start=", None), ("start=nan", None), ("", None)]
)
def test_reads_when_a_job_has_started(text: str, seconds: float | None) -> None:
    """A start that is no time is not known."""
    start = parse_start(f"id=7 restart=0 node=n cluster=c {text}\n")

    assert start is not None
    assert start.seconds == seconds


NAMES = ["id", "restart", "exit", "cause", "start", "end", "cpu_ticks", "gate"]
tokens = st.one_of(
    st.integers().map(str),
    st.floats().map(str),
    st.sampled_from(
        ["own", "signal", "cancelled", "", "-0", "1_000", "\u0663", "\u00b2", "9" * 4000, "9" * 400, "1e999"]
    ),
    st.text(max_size=5),
)
markers = st.fixed_dictionaries(dict.fromkeys(NAMES, tokens)).map(
    lambda fields: " ".join(f"{name}={value}" for name, value in fields.items()) + "\n"
)


@given(st.text() | markers)
def test_makes_an_end_of_no_garbage(text: str) -> None:
    """Any text is no end, or one whose every value makes sense."""
    end = parse_end(text)
    if end is not None:
        assert end.external_jobid.isascii()
        assert end.external_jobid.isdigit()
        assert end.restart >= 0
        assert end.exit_code >= 0
        assert end.cpu_seconds >= 0
        assert end.gate_seconds >= 0
        assert math.isfinite(end.wall_seconds + end.start + end.end + end.cpu_seconds + end.gate_seconds)


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ("start=100.5", "start=nan"),
        ("end=160.25", "end=inf"),
        ("cpu_ticks=250", "cpu_ticks=" + "9" * 4000),
        ("restart=0", "restart=-1"),
        ("gate=30", "gate=-1"),
        ("gate=30", "gate=" + "9" * 400),
        ("exit=0", "exit=1_0"),
        ("id=7", "id=\u0667"),
    ],
)
def test_takes_no_odd_number(good: str, bad: str) -> None:
    """What Python would take for a number and no job writes makes a marker worthless."""
    assert parse_end(END.replace(good, bad)) is None


@pytest.mark.parametrize("name", NAMES)
def test_needs_every_field_of_an_end(name: str) -> None:
    """An end without one of its fields, or with nonsense there, is none; one of a version without gates has no gate."""
    words = END.split()
    without = parse_end(" ".join(word for word in words if not word.startswith(f"{name}=")) + "\n")

    assert (without and without.gate_seconds) == (0 if name == "gate" else None)
    assert parse_end(" ".join(f"{name}=x" if word.startswith(f"{name}=") else word for word in words) + "\n") is None


@given(st.text() | st.text().map(lambda text: f"id={text} node=n cluster=c\n"))
def test_makes_a_start_of_no_garbage(text: str) -> None:
    """Any text is no start, or one with a job number."""
    start = parse_start(text)
    if start is not None:
        assert start.external_jobid.isascii()
        assert start.external_jobid.isdigit()


@pytest.mark.parametrize("order", Order)
def test_reads_the_order_that_it_writes(order: Order) -> None:
    """Orders are comments for bash, each as long as any other, and are read back whatever stands below them."""
    line = order_line(order)

    assert line.startswith("# ")
    assert len(line) == len(order_line(Order.RUN))
    assert parse_order(line) is parse_order(f"{line}a=1\n") is order


@pytest.mark.parametrize(
    "text", ["", "\n", "# run", "run\n", "# ru\n", "# runs\n", "# run it\n", "#run\n", "\n# run\n"]
)
def test_makes_an_order_of_nothing_else(text: str) -> None:
    """A line that is torn or strange is no order."""
    assert parse_order(text) is None
